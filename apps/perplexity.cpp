// `fieldprint perplexity`: how well a model predicts a text.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/error.h"
#include "fieldprint/evaluate.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Perplexity {
  ModelOptions model;
  PerplexityOptions evaluation;
  std::string file;
  bool json = false, quiet = false;
  int operator()() const;
};

int Perplexity::operator()() const {
  if (file.empty())
    throw Error(ErrorKind::kUsage, "which text?", {}, "`fieldprint perplexity FILE`, or - for standard input");
  const SignalGuard guard;
  const auto path = model_path(model.model);
  const std::string text = read_file(file);
  auto options = evaluation;
  options.session = model.session;
  ProgressBar bar(ProgressBar::Unit::kCount, quiet);
  int told = 0;
  const auto result =
      perplexity(Model::load(path, model.load), text, options, [&](const PerplexityResult& so_far, int total) {
        const std::string running = fmt::format("perplexity {:.4f} +- {:.4f}", so_far.perplexity, so_far.error);
        if (!bar.update("perplexity", static_cast<uint64_t>(so_far.chunks), static_cast<uint64_t>(total), running))
          throw Interrupted{};
        // A log gets ten lines, a terminal its bar.
        if (!quiet && !err_is_terminal() && so_far.chunks * 10 / std::max(total, 1) > told) {
          told = so_far.chunks * 10 / total;
          write_err(fmt::format("[{}/{}] {}\n", so_far.chunks, total, running));
        }
      });
  bar.wipe();
  if (json) {
    const nlohmann::ordered_json object = {
        {"perplexity", result.perplexity}, {"error", result.error},   {"nll", result.nll},
        {"tokens", result.tokens},         {"chunks", result.chunks}, {"context", options.context}};
    write_out(object.dump() + "\n");
  } else {
    write_out(fmt::format("perplexity {:.4f} +- {:.4f} ({} tokens in {} chunks of {})\n", result.perplexity,
                          result.error, result.tokens, result.chunks, options.context));
  }
  return kDone;
}

}  // namespace

Action add_perplexity(CLI::App& app) {
  auto options = std::make_shared<Perplexity>();
  add_text(app, "FILE", options->file, "FILE", "The text; - for standard input");
  add_model(app, options->model.model);
  add_experts(app, options->model.load);
  // Not --context: a $FIELDPRINT_CONTEXT that is meant for answers should not change what is measured here.
  add_integer(app, "-c,--window", options->evaluation.context, 4, "Tokens a chunk; its second half is scored")
      ->group("Measure");
  add_integer(app, "--chunks", options->evaluation.chunks, 0, "Chunks at most; 0 = all")->group("Measure");
  add_flag(app, "--json", options->json, "One JSON object")->group("Output");
  add_quiet(app, options->quiet);
  add_threads(app, options->model.load);
  add_executor(app, options->model.session);
  app.footer("  fieldprint perplexity --chunks 39 wikitext2-test.txt");
  return [options] { return (*options)(); };
}

}  // namespace fieldprint::cli
