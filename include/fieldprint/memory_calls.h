// The operations on an agent's memory, by name: what the command line, the daemon and the MCP tools have in common.
// docs/memory.md lists them with their parameters; docs/formats/memory.md says what they leave in the ledger.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

// Who calls, as the channel knows it: never from the content. It decides where a record comes from.
struct MemoryCaller {
  std::string principal = "user";  // whose records these are; nobody else's are seen
  std::string session;          // the conversation, where there is one: what it has seen is lineage of what it writes
  std::string adapter = "cli";  // what the call came through: "cli", "mcp:NAME", "hook:NAME", "chat", "serve"
};

class MemoryCalls {
 public:
  virtual ~MemoryCalls() = default;

  // `params` and the result are JSON objects. Any thread; calls of many threads share commits. What is returned is
  // durable. Throws Error kUsage (an unknown method, a parameter of the wrong type, named), kBadInput, kNotFound (no
  // such record), kLimit (a quota), kUnsupported (a rule forbids it: the sentence names the rule), kIo (the ledger
  // refuses everything from then on).
  virtual std::string call(const MemoryCaller& caller, std::string_view method, std::string_view params) = 0;
};

struct MemoryOptions {
  std::string directory;     // of the memory (fieldprint memory init)
  std::string encoder = {};  // of new records; empty: what the memory was made with
  std::string model = {};    // file of the model that the encoder "model" runs
  bool detectors = true;     // they may only lower trust (docs/memory.md)
};

// Opens the memory in this process, which is then its only writer. Throws Error kNotFound, kBadFile (the ledger is
// damaged or was rolled back), kIo (another process has it open).
std::unique_ptr<MemoryCalls> open_memory(const MemoryOptions& options);

// Names of all methods, for help texts.
std::vector<std::string> memory_methods();

}  // namespace fieldprint
