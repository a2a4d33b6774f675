// The override of an agent's memory: what people can always do to it, whatever state the rest is in. It is a process of
// its own with a socket, keys and a journal of its own; it needs no ledger, no model and no disk space to act.
// docs/override.md says what each command does and how to use it by hand.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldprint {

// Who may command. No key may have two roles.
struct OverrideKeys {
  std::string agent;                                     // of the memory: 1 to 64 printable ASCII characters
  std::vector<std::string> operators, approvers, roots;  // vkeys; they lower, they raise, they change keys
  int operators_needed = 1, approvers_needed = 2, roots_needed = 2;  // signatures that it takes of each
};

// Makes an override in `directory` (0700), which must not be there or be empty: the root file, which nobody may write,
// an empty journal, and flags that say nothing. On an error nothing is left. Throws Error kUsage, kIo.
void make_override(const std::string& directory, const OverrideKeys& keys);

struct OverrideStatus {
  std::string agent;
  std::string instance;  // of the process that runs, or ran last: 32 hex digits; a command may be for it alone
  uint64_t epoch = 0;    // grows with all that is accepted
  uint64_t counter = 0;  // of the last command that was accepted; the next has to be above it
  std::string prev;      // digest that the next command has to name: 64 hex digits
  bool halted = false, no_anchors = false, frozen = false, clean_boot = false;
  std::vector<std::string> sources;  // that are suspended: 32 hex digits
  std::vector<uint64_t> waiting;     // counters of commands that wait for the ledger
  std::string fault;                 // why everything is closed, whatever was commanded; empty: all is well
};

// Read from the files, whether the process runs or not. Where they are missing or damaged it says so as `fault`, and
// all flags are set. Any thread.
OverrideStatus override_status(const std::string& directory);

struct OverrideRequest {
  std::string command;                                         // "HALT"
  std::vector<std::pair<std::string, std::string>> arguments;  // those of the command: {"record", "9f86..."}
  std::string target = "*";                                    // or "agent=NAME", or "instance=ID"
  std::string reason;                                          // any text; the command holds its digest
  int64_t seconds = 600;                                       // that it is good for, from now on: at most 900
};

// The text of a command that would be accepted next, to be signed. Throws Error kUsage.
std::string make_override_command(const OverrideStatus& status, const OverrideRequest& request);

// The text of a command, or what somebody else has signed already, with one more signature (C2SP signed note). It needs
// no override at hand. `skey`: PRIVATE+KEY+... Throws Error kBadInput.
std::string sign_override_command(std::string_view command, std::string_view skey);

// Hands a signed command to the process; the answer is a sentence. Throws Error kNotFound where no process listens,
// kBadInput for what it refused, with its reason; kIo, kLimit after `timeout_ms`.
std::string send_override(const std::string& directory, std::string_view note, int timeout_ms = 5000);

// What was accepted, in order.
struct OverrideEntry {
  uint64_t epoch = 0;    // the state's, with this
  uint64_t counter = 0;  // the command's
  int64_t time = 0;      // when it was accepted: seconds since 1970
  std::string command;   // "REVOKE"
  std::vector<std::pair<std::string, std::string>> arguments;
  bool in_force = false;  // false: it waits for the ledger, or did so in vain
  std::string note;       // as it was signed
};
// Those after `epoch`; whoever follows the override applies them and then says confirm_override() for those that wait.
// Throws Error kNotFound, kBadFile.
std::vector<OverrideEntry> override_entries(const std::string& directory, uint64_t epoch = 0);

// Tells the process that the ledger has the command with this counter, which RESTORE and ROTATE_KEY wait for. Throws as
// send_override().
std::string confirm_override(const std::string& directory, uint64_t counter, int timeout_ms = 5000);

struct OverrideOptions {
  std::string directory;                                    // that make_override() made
  std::vector<uint32_t> users = {};                         // who may connect besides this process's own user
  std::function<void(const std::string&)> log = {};         // one line for all that is accepted or refused
  std::function<void(const OverrideEntry&)> accepted = {};  // after it is in force (or waits)
  std::function<int64_t()> clock = {};                      // seconds since 1970; for tests
};

// The process. One at a time for a directory.
class OverrideProcess {
 public:
  // Takes the lock, reads root file and journal, brings the flags up to date and listens. Throws Error kNotFound,
  // kBadFile (the root file may be written by others, or is not well formed), kIo.
  explicit OverrideProcess(OverrideOptions options);
  ~OverrideProcess();

  void run();   // until stop(); handles one request after the other
  void stop();  // from any thread, or a signal handler

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
