// One process has a memory open; everybody else speaks to it. This is that process's door, and the way through it: a
// Unix socket in the memory's directory for processes of the same user, and, where it is wanted, MCP over HTTP on
// loopback. docs/mcp.md says what is spoken.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "fieldprint/memory_calls.h"

namespace fieldprint {

struct MemoryDaemonOptions {
  std::string directory = {};           // of the memory
  std::string version = "0";            // of the program, as MCP clients are told it
  int http_port = -1;                   // of MCP on 127.0.0.1; 0: any free one; -1: none
  std::string http_token = {};          // that its clients have to bring; "" = none
  std::string http_principal = "user";  // whose records they see; on the socket each says it itself
  std::chrono::seconds idle{0};         // without a connection: then it ends; 0: never
};

class MemoryDaemon {
 public:
  // Listens. `calls` outlives it. Throws Error kIo (another daemon has this directory, the port is taken), kUsage.
  MemoryDaemon(MemoryCalls& calls, const MemoryDaemonOptions& options);
  ~MemoryDaemon();

  std::string url() const;  // of MCP over HTTP; "" where it is not spoken

  void wait();  // until stop(), or until it has been idle for long enough
  void stop();  // any thread: no new connections; what is under way is finished

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// To a daemon that runs; null where none does. Calls of many threads wait for each other. call() throws as the memory
// does, and kIo where the daemon is gone or does not answer within `patience` (0: however long it takes): what was
// asked may have been done or not.
std::unique_ptr<MemoryCalls> connect_memory(const std::string& directory,
                                            std::chrono::milliseconds patience = std::chrono::milliseconds(0));

struct MemoryBridgeOptions {
  std::string directory;
  std::string principal = "user";
  // Program and arguments of a daemon for the directory, which is started where none runs. The program is an absolute
  // path or /proc/self/exe, the working directory will be /; it has to write a line to its output as soon as it
  // listens.
  std::vector<std::string> daemon;
  std::chrono::milliseconds patience{20'000};  // for it to listen
  int in = 0, out = 1;
};

// An MCP server on a pair of descriptors that is the daemon's: messages pass unchanged. Where the daemon ends, what it
// had not answered is answered with an error, and the next message finds or starts another one. Returns when the input
// ends and everything is answered. SIGPIPE is ignored from then on.
void bridge_memory_mcp(const MemoryBridgeOptions& options);

}  // namespace fieldprint
