// `fieldprint memory serve | mcp`: the one process that has a memory open, and the way of an MCP client to it.
#include <fmt/format.h>

#include <chrono>

#include "fieldprint/error.h"
#include "fieldprint/memory_daemon.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Serve {
  MemoryFlags memory;
  std::string token;
  int port = -1, idle = 0;
};

int serve(const Serve& serve) {
  const std::string directory = serve.memory.path();
  MemoryDaemonOptions options;
  options.directory = directory;
  options.version = FIELDPRINT_VERSION;
  options.http_port = serve.port;
  options.http_token = serve.token;
  options.http_principal = serve.memory.principal;
  options.idle = std::chrono::seconds(serve.idle);
  const SignalGuard guard;
  const std::unique_ptr<MemoryCalls> calls = open_in_turn(directory, [&directory]() -> std::unique_ptr<MemoryCalls> {
    if (connect_memory(directory) != nullptr)
      throw Error(ErrorKind::kIo, "another daemon serves this memory", directory);
    return nullptr;
  });
  MemoryDaemon daemon(*calls, options);
  std::string line = fmt::format("serving {}", printable_line(directory));
  if (!daemon.url().empty()) line += ", MCP at " + daemon.url();
  write_out(line + "\n");
  flush_out();  // who started it waits for this line
  until_interrupted([&] { daemon.wait(); }, [&] { daemon.stop(); });
  return kDone;
}

}  // namespace

Action add_memory_serve(CLI::App& app) {
  auto options = std::make_shared<Serve>();
  add_memory(app, options->memory);
  add_text(app, "--principal", options->memory.principal, "TEXT", "Whose records MCP clients over HTTP see")
      ->group("Memory");
  add_integer(app, "--port", options->port, -1, "Speak MCP over HTTP on 127.0.0.1 too; 0 = any free port, -1 = do not")
      ->group("HTTP");
  add_text(app, "--token", options->token, "TEXT", "What HTTP clients have to bring as a bearer token")->group("HTTP");
  add_integer(app, "--idle", options->idle, 0, "End after so many seconds without a client; 0 = never")
      ->group("Memory");
  app.footer(
      "  fieldprint memory serve\n"
      "  fieldprint memory serve --port 8765 --token \"$TOKEN\"");
  return [options] { return serve(*options); };
}

Action add_memory_mcp(CLI::App& app) {
  auto flags = std::make_shared<MemoryFlags>();
  auto alone = std::make_shared<bool>(false);
  add_memory(app, *flags);
  add_text(app, "--principal", flags->principal, "TEXT", "Whose records these are; those of others are not seen")
      ->group("Memory");
  add_flag(app, "--no-start", *alone, "Start no daemon where none runs")->group("Memory");
  app.footer("  fieldprint memory install --claude --codex   puts this into their settings");
  return [flags, alone] {
    MemoryBridgeOptions options;
    options.directory = flags->path();
    options.principal = flags->principal;
    // Ten minutes after its last client has left it goes too.
    if (!*alone) options.daemon = {"/proc/self/exe", "memory", "serve", "--memory", options.directory, "--idle", "600"};
    bridge_memory_mcp(options);
    return kDone;
  };
}

}  // namespace fieldprint::cli
