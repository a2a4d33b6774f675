// `fieldprint perplexity`: how well a model predicts a text.
#include "fieldprint/perplexity.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/error.h"
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

nlohmann::ordered_json divergence_json(const Divergence& d) {
  return {{"mean", d.mean},
          {"mean_error", d.mean_error},
          {"median", d.median},
          {"p90", d.p90},
          {"p95", d.p95},
          {"p99", d.p99},
          {"p999", d.p999},
          {"max", d.max},
          {"same_top", d.same_top},
          {"same_top_error", d.same_top_error},
          {"delta_p_rms", d.delta_p_rms},
          {"delta_p_rms_error", d.delta_p_rms_error},
          {"delta_p", d.delta_p},
          {"delta_p_error", d.delta_p_error},
          {"base_perplexity", d.base_perplexity},
          {"ratio", d.ratio},
          {"ratio_error", d.ratio_error}};
}

void print_divergence(const Divergence& d) {
  write_out(
      fmt::format("base       {:.4f}, ratio {:.5f} +- {:.5f}\n"
                  "divergence {:.6f} +- {:.6f} nats per token\n"
                  "           median {:.6f}, 90% {:.6f}, 95% {:.6f}, 99% {:.6f}, 99.9% {:.6f}, max {:.6f}\n"
                  "same top   {:.3f} +- {:.3f} %\n"
                  "delta p    {:.3f} +- {:.3f} % (root mean square), mean {:.3f} +- {:.3f} %\n",
                  d.base_perplexity, d.ratio, d.ratio_error, d.mean, d.mean_error, d.median, d.p90, d.p95, d.p99,
                  d.p999, d.max, d.same_top * 100, d.same_top_error * 100, d.delta_p_rms * 100,
                  d.delta_p_rms_error * 100, d.delta_p * 100, d.delta_p_error * 100));
}

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
      perplexity(load_model(path, model.load), text, options, [&](const PerplexityResult& so_far, int total) {
        std::string running = fmt::format("perplexity {:.4f} +- {:.4f}", so_far.perplexity, so_far.error);
        if (so_far.divergence) running += fmt::format(", divergence {:.5f}", so_far.divergence->mean);
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
    nlohmann::ordered_json object = {
        {"perplexity", result.perplexity}, {"error", result.error},   {"nll", result.nll},
        {"tokens", result.tokens},         {"chunks", result.chunks}, {"context", result.context},
        {"stride", result.stride}};
    if (result.divergence) object["divergence"] = divergence_json(*result.divergence);
    write_json(object);
    return kDone;
  }
  write_out(fmt::format("perplexity {:.4f} +- {:.4f} ({} tokens in {} of {}{})\n", result.perplexity, result.error,
                        result.tokens, counted(static_cast<uint64_t>(result.chunks), "chunk"), result.context,
                        result.stride > 0 ? fmt::format(", stride {}", result.stride) : ""));
  if (result.divergence) print_divergence(*result.divergence);
  return kDone;
}

}  // namespace

Action add_perplexity(CLI::App& app) {
  auto options = std::make_shared<Perplexity>();
  add_text(app, "FILE", options->file, "FILE", "The text; - for standard input");
  add_model(app, options->model.model);
  add_experts(app, options->model.load);
  add_adapters(app, options->model.load);
  // Not --context: a $FIELDPRINT_CONTEXT that is meant for answers should not change what is measured here.
  add_integer(app, "-c,--window", options->evaluation.context, 0,
              "Tokens per chunk; 0 = 512, or as in the file of --kl")
      ->group("Measure");
  add_integer(app, "--chunks", options->evaluation.chunks, 0, "Most chunks; 0 = all")->group("Measure");
  add_integer(app, "--stride", options->evaluation.stride, 0,
              "Slide the window by N tokens and score each token once; 0 = score the second half of each chunk")
      ->group("Measure");
  add_text(app, "--kl-base", options->evaluation.kl_save, "FILE", "Write all probabilities, for --kl")
      ->group("Measure");
  add_text(app, "--kl", options->evaluation.kl_base, "FILE", "Compare with the probabilities that --kl-base wrote")
      ->group("Measure");
  add_flag(app, "--json", options->json, "One JSON object")->group("Output");
  add_quiet(app, options->quiet);
  add_threads(app, options->model.load);
  add_executor(app, options->model.session);
  app.footer(
      "  fieldprint perplexity --chunks 39 wikitext2-test.txt\n"
      "  fieldprint perplexity -m model-f16.gguf --kl-base base.kl text.txt\n"
      "  fieldprint perplexity -m model-q4.gguf --kl base.kl text.txt");
  return [options] { return (*options)(); };
}

}  // namespace fieldprint::cli
