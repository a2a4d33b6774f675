// What the override's process does with a request, apart from sockets: it judges, writes the journal, and then changes
// the flags. One thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fieldprint/override.h"
#include "override/files.h"
#include "override/flags.h"
#include "override/journal.h"

namespace fieldprint::overrides {

class Acceptor {
 public:
  // Takes the journal's lock and brings the flags up to date. Where the files turn out to be older than what had been
  // in force, everything is closed, and stays so until RESTORE. Where they are damaged, everything is closed and Error
  // kBadFile thrown.
  Acceptor(Files files, std::string instance, int64_t now);

  const State& state() const { return state_; }
  const std::string& instance() const { return instance_; }

  // A signed command: in force on return (or waiting for the ledger). Error kBadInput with the reason why not; kIo,
  // kLimit where the journal cannot be written: a command that lowers has closed everything then.
  OverrideEntry accept(std::string_view note, int64_t now);
  // The ledger has the command with this counter.
  void logged(uint64_t counter, int64_t now);

 private:
  struct Known {  // by the page of flags
    uint64_t epoch = 0, counter = 0;
  };
  std::optional<Known> open_page();
  void append(const Entry& entry);
  void publish();

  const Files files_;
  const std::string instance_;
  std::optional<FlagsPage> page_;
  std::optional<Journal> journal_;
  State state_;
  uint64_t unwritten_ = 0;  // commands that are in force as "everything is closed" and in no journal
};

// The entry of a command as it is told to others.
OverrideEntry tell(const Command& command, const Entry& entry, uint64_t epoch, bool in_force);

}  // namespace fieldprint::overrides
