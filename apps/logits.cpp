// `fieldprint logits`: float32 logits [tokens, vocabulary], little-endian, of a token sequence. What the tests and
// anyone who compares engines reads.
#include <fmt/format.h>

#include <bit>

#include "command.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

Action add_logits(CLI::App& app) {
  struct Logits {
    ModelOptions model;
    std::string tokens, out;
    bool quiet = false;
  };
  auto options = std::make_shared<Logits>();
  add_model(app, options->model.model);
  add_context(app, options->model.session);
  add_experts(app, options->model.load);
  add_adapters(app, options->model.load);
  add_text(app, "--tokens", options->tokens, "FILE",
           "Token ids in decimal, as `fieldprint tokenize` prints them; - for standard input")
      ->group("Files");
  add_text(app, "--out", options->out, "FILE", "The file to write: float32 logits [tokens, vocabulary]")
      ->group("Files");
  add_quiet(app, options->quiet);
  add_threads(app, options->model.load);
  add_executor(app, options->model.session);
  app.footer(
      "  fieldprint tokenize \"Hello world\" > ids.txt\n"
      "  fieldprint logits --tokens ids.txt --out logits.f32 --executor reference");
  return [options] {
    static_assert(std::endian::native == std::endian::little, "the file is little-endian");
    if (options->tokens.empty())
      throw Error(ErrorKind::kUsage, "--tokens FILE is missing", {}, "`fieldprint logits --help` shows an example");
    if (options->out.empty())
      throw Error(ErrorKind::kUsage, "--out FILE is missing", {}, "`fieldprint logits --help` shows an example");
    const SignalGuard guard;
    const auto ids = parse_ids(read_file(options->tokens), options->tokens);
    if (ids.empty()) throw Error(ErrorKind::kBadInput, "there are no token ids", options->tokens);
    Session session(load_model(options->model), options->model.session);
    AtomicFile out(options->out);
    ProgressBar bar(ProgressBar::Unit::kCount, options->quiet);
    session.append(ids, [&](int index, std::span<const float> row) {
      out.write(std::as_bytes(row));
      if (!bar.update("logits", static_cast<uint64_t>(index) + 1, ids.size())) throw Interrupted{};
    });
    out.commit();
    return kDone;
  };
}

}  // namespace fieldprint::cli
