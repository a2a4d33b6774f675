// `fieldprint memory witness serve | cosign`: somebody else who sees that a ledger only grows.
#include <fmt/format.h>

#include "fieldprint/memory_witness.h"
#include "memory/access.h"
#include "memory/actions.h"
#include "memory/signing.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

void add_witness(CLI::App& app, MemoryWitnessOptions& options) {
  constexpr const char* kGroup = "Witness";
  add_text(app, "--key", options.key, "FILE", "Its key, of `fieldprint memory keygen --for-witness`")->group(kGroup);
  add_text(app, "--state", options.state, "FILE", "What it has seen; made where there is none, its own")->group(kGroup);
  add_texts(app, "--log", options.logs, "KEY", "A log's key, as `fieldprint memory status` shows it; repeatable")
      ->group(kGroup);
}

void check(const MemoryWitnessOptions& options) {
  need(options.key, "with which key?", "`fieldprint memory keygen FILE --name NAME --for-witness` makes one");
  need(options.state, "where is kept what it has seen?", "--state FILE");
  need(options.logs.empty() ? "" : options.logs.front(), "for which logs?",
       "--log KEY, as `fieldprint memory status` shows it");
}

Action add_serve(CLI::App& app) {
  struct Options {
    MemoryWitnessOptions witness;
    std::string socket;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "SOCKET", options->socket, "FILE", "The socket that memories reach it at");
  add_witness(app, options->witness);
  app.footer(
      "  fieldprint memory witness serve w.sock --key w.key --state w.seen \\\n"
      "    --log \"example.org/helper+2e9b654c+AT2U9...\"");
  return [options] {
    need(options->socket, "at which socket?", "`fieldprint memory witness serve SOCKET`");
    check(options->witness);
    const SignalGuard guard;
    write_out(fmt::format("witness at {}\n", printable_line(options->socket)));
    flush_out();
    serve_memory_witness(options->witness, options->socket, interrupted);
    return kDone;
  };
}

Action add_cosign(CLI::App& app) {
  struct Options {
    MemoryWitnessOptions witness;
    std::string directory, out;
  };
  auto options = std::make_shared<Options>();
  add_text(app, "DIR", options->directory, "REQUIRED", "An export, or a memory's folder `ledger`");
  add_witness(app, options->witness);
  add_text(app, "--out", options->out, "FILE", "Where the checkpoint goes, if not to standard output")->group("Output");
  return [options] {
    need(options->directory, "which ledger?", "`fieldprint memory export DIR` writes one");
    check(options->witness);
    write_to(options->out, cosign_memory(options->witness, options->directory));
    return kDone;
  };
}

constexpr Command kActions[] = {
    {"serve", "Witness", "Cosign checkpoints that memories bring, as long as they only grow", add_serve},
    {"cosign", "Witness", "Cosign the checkpoint of an export once", add_cosign},
};

}  // namespace

std::span<const Command> witness_actions() { return kActions; }

}  // namespace fieldprint::cli
