// fieldprint-verify: holds an exported memory to every rule of docs/formats/memory.md, with nothing of the program that
// wrote it.
#include <fmt/format.h>
#include <sodium.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "checkpoint.h"
#include "proof.h"
#include "verify.h"

namespace {

using namespace fieldprint::verify;

constexpr int kSound = 0, kFaulty = 1, kUsage = 2;

int usage(const std::string& what) {
  fmt::print(stderr, "fieldprint-verify: {}\n", what);
  return kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Checks what `fieldprint memory export` wrote: signatures, Merkle tree, events, records, statements.",
               "fieldprint-verify");
  std::string directory, log, older, proof, event;
  std::vector<std::string> witnesses;
  size_t witnesses_min = 0;
  bool json = false;
  app.add_option("directory", directory, "the exported directory")->type_name("DIR");
  app.add_option("--log-key", log, "the log's key that you trust (otherwise the directory's own)")->type_name("VKEY");
  app.add_option("--witness", witnesses, "a witness's key that you trust (otherwise those that the ledger names)")
      ->type_name("VKEY");
  const auto* min = app.add_option("--min-witnesses", witnesses_min, "how many have to have cosigned")->type_name("N");
  app.add_option("--older", older, "a checkpoint that you kept: the directory has to continue it")->type_name("FILE");
  app.add_option("--proof", proof, "a tlog-proof; with or without a directory")->type_name("FILE");
  app.add_option("--event", event, "the event that the proof is of, where it does not carry it")->type_name("FILE");
  app.add_flag("--json", json, "one JSON object instead of sentences");
  app.footer("Ends with 0 where all is sound, 1 where there is a fault, 2 where the call is wrong.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kSound : kUsage;
  }
  if (sodium_init() < 0) return usage("libsodium cannot start");

  Options options;
  if (!log.empty()) {
    options.log = parse_vkey(log);
    if (!options.log) return usage("--log-key is not a verifier key, NAME+ID+KEY");
  }
  for (const std::string& text : witnesses) {
    const std::optional<Vkey> key = parse_vkey(text);
    if (!key || key->type != kCosignature)
      return usage(fmt::format("--witness {} is not a witness's verifier key", text));
    options.witnesses.push_back(*key);
  }
  if (min->count() > 0) options.witnesses_min = witnesses_min;
  if (proof.empty() && !event.empty()) return usage("--event needs --proof");
  if (directory.empty() && (proof.empty() || !options.log || !older.empty()))
    return usage("name an exported directory, or --proof together with --log-key (see --help)");
  const auto given = [](const std::string& path, size_t size_max) -> std::optional<Given> {
    std::optional<std::string> bytes = read_named(path, size_max);
    if (!bytes) return std::nullopt;
    return Given{path, std::move(*bytes)};
  };
  if (!older.empty() && !(options.older = given(older, kCheckpointBytesMax))) return usage(older + " cannot be read");
  if (!proof.empty() && !(options.proof = given(proof, kProofBytesMax))) return usage(proof + " cannot be read");
  if (!event.empty() && !(options.event = read_named(event, UINT16_MAX))) return usage(event + " cannot be read");
  std::unique_ptr<Files> files;
  if (!directory.empty() && !(files = open_directory(directory)))
    return usage(directory + " is not a directory that can be read");

  try {
    const Report report = check(files.get(), options);
    const std::string text = json ? report.json() : report.text();
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
      return usage("the report cannot be written");
    return report.sound() ? kSound : kFaulty;
  } catch (const std::exception& error) {  // out of memory, a library that does not work
    return usage(error.what());
  }
}
