// `fieldprint imatrix`: what a model's matrices are multiplied with, measured on text, for quantize to spend bits by.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/error.h"
#include "fieldprint/importance.h"
#include "files.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

using Weighted = std::pair<std::string, double>;

struct Imatrix {
  ModelOptions model;
  ImportanceOptions options;
  std::vector<std::string> texts;
  std::string out, statistics;
  bool json = false, quiet = false;
  int operator()() const;
  int show() const;
};

// "FILE=0.5". A file whose name has an equals sign counts as it is.
Weighted parse_weighted(const std::string& text) {
  const size_t equals = text.rfind('=');
  std::error_code ignored;
  if (equals == std::string::npos || equals == 0 || std::filesystem::exists(text, ignored)) return {text, 1.0};
  return {text.substr(0, equals),
          static_cast<double>(parse_number(text.substr(equals + 1), 1e-6f, 1e6f,
                                           fmt::format("the weight of {}", text.substr(0, equals))))};
}

int Imatrix::show() const {
  const auto summary = summarize_importance(statistics);
  if (json) {
    nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
    for (const auto& tensor : summary.tensors) {
      nlohmann::ordered_json top = nlohmann::ordered_json::array();
      for (const auto& [column, share] : tensor.top) top.push_back({{"column", column}, {"share", share}});
      tensors.push_back({{"name", tensor.tensor},
                         {"columns", tensor.columns},
                         {"experts", tensor.experts},
                         {"experts_idle", tensor.experts_idle},
                         {"rows", tensor.rows},
                         {"sum", tensor.sum},
                         {"mean", tensor.mean},
                         {"max", tensor.max},
                         {"zeros", tensor.zeros},
                         {"entropy", tensor.entropy},
                         {"top", top}});
    }
    const nlohmann::ordered_json object = {{"datasets", summary.datasets},
                                           {"chunks", summary.chunks},
                                           {"chunk_size", summary.chunk_size},
                                           {"tensors", tensors}};
    write_json(object);
    return kDone;
  }
  for (const auto& dataset : summary.datasets) write_out(fmt::format("text: {}\n", printable_line(dataset)));
  write_out(fmt::format("{} of {} tokens, {}\n\n", counted(static_cast<uint64_t>(summary.chunks), "chunk"),
                        summary.chunk_size, counted(summary.tensors.size(), "tensor")));
  write_out(fmt::format("{:<36} {:>7} {:>7} {:>9} {:>10} {:>10} {:>10} {:>6} {:>7}  {}\n", "tensor", "columns",
                        "experts", "rows", "sum", "mean", "max", "zeros", "entropy", "top columns (share)"));
  for (const auto& tensor : summary.tensors) {
    std::string top;
    for (const auto& [column, share] : tensor.top) top += fmt::format(" {} ({:.1f}%)", column, share * 100);
    const std::string experts = tensor.experts_idle > 0 ? fmt::format("{}-{}", tensor.experts, tensor.experts_idle)
                                                        : fmt::format("{}", tensor.experts);
    write_out(fmt::format("{:<36} {:>7} {:>7} {:>9.0f} {:>10.4g} {:>10.4g} {:>10.4g} {:>5.1f}% {:>7.4f} {}\n",
                          printable_line(tensor.tensor), tensor.columns, experts, tensor.rows, tensor.sum, tensor.mean,
                          tensor.max, tensor.zeros * 100, tensor.entropy, top));
  }
  return kDone;
}

int Imatrix::operator()() const {
  if (!statistics.empty()) return show();
  if (out.empty())
    throw Error(ErrorKind::kUsage, "to which file?", {}, "`fieldprint imatrix -o OUT FILE...`; --stats FILE shows one");
  if (texts.empty() && options.files.empty())
    throw Error(ErrorKind::kUsage, "which texts?", {},
                "`fieldprint imatrix -o OUT FILE...`, and --in FILE for matrices to add");
  const SignalGuard guard;
  auto wanted = options;
  wanted.session = model.session;
  for (const auto& text : texts) {
    const auto [path, weight] = parse_weighted(text);
    wanted.texts.push_back({path, read_file(path), weight});
  }
  std::shared_ptr<const Model> loaded;
  if (!wanted.texts.empty()) loaded = load_model(model);
  ProgressBar bar(ProgressBar::Unit::kCount, quiet);
  ImportanceProgress last;
  bool begun = false;
  int told = 0;
  try {
    measure_importance(loaded, wanted, out, [&](const ImportanceProgress& now) {
      last = now;
      if (!begun && now.resumed > 0) {
        const bool all = now.resumed == now.chunks_total;
        if (!quiet)
          note(all ? fmt::format("{} is complete already", out)
                   : fmt::format("continuing after chunk {} of {}, from {}.part", now.resumed, now.chunks_total, out));
      }
      begun = true;
      const std::string running =
          now.perplexity > 0 ? fmt::format("chunks, perplexity {:.4f}", now.perplexity) : "chunks";
      if (!quiet && !err_is_terminal() && now.chunks_total > 0 && now.chunks * 10 / now.chunks_total > told) {
        told = now.chunks * 10 / now.chunks_total;  // a log gets ten lines, a terminal its bar
        write_err(fmt::format("[{}/{}] {}\n", now.chunks, now.chunks_total, running));
      }
      return bar.update("chunks", static_cast<uint64_t>(now.chunks), static_cast<uint64_t>(now.chunks_total), running);
    });
  } catch (const Error&) {
    bar.wipe();
    if (interrupted() && !quiet && last.chunks > 0)
      note(fmt::format("{} of {} chunks are kept in {}.part; the same command continues there", last.chunks,
                       last.chunks_total, out));
    throw;
  }
  bar.wipe();
  if (json) {
    const nlohmann::ordered_json object = {
        {"chunks", last.chunks_total}, {"resumed", last.resumed}, {"perplexity", last.perplexity}};
    write_json(object);
  }
  if (!quiet && last.resumed < last.chunks_total)
    note(fmt::format("{} of {}{}", counted(static_cast<uint64_t>(last.chunks_total), "chunk"), options.context,
                     last.perplexity > 0 ? fmt::format(", perplexity {:.4f}", last.perplexity) : ""));
  return kDone;
}

}  // namespace

Action add_imatrix(CLI::App& app) {
  auto imatrix = std::make_shared<Imatrix>();
  add_texts(app, "FILES", imatrix->texts, "FILE", "The texts; with FILE=0.5 its tokens count half")
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  add_model(app, imatrix->model.model);
  add_experts(app, imatrix->model.load);
  add_adapters(app, imatrix->model.load);
  add_text(app, "-o,--out", imatrix->out, "FILE", "The file to write; FILE.part until it is complete");
  add_list(
      app, "--in", "FILE", "An importance matrix to add, or FILE=WEIGHT (repeatable)",
      [imatrix] { imatrix->options.files.clear(); },
      [imatrix](const std::string& text) { imatrix->options.files.push_back(parse_weighted(text)); });
  add_text(app, "--stats", imatrix->statistics, "FILE", "Show what is in an importance matrix");
  add_integer(app, "-c,--window", imatrix->options.context, 2, "Tokens per chunk")->group("Measure");
  add_integer(app, "--chunks", imatrix->options.chunks, 0, "Most chunks of each text; 0 = all")->group("Measure");
  add_integer(app, "--save-every", imatrix->options.save_every, 0, "Save every N chunks; 0 = at the end only")
      ->group("Measure");
  add_flag(app, "--json", imatrix->json, "One JSON object")->group("Output");
  add_quiet(app, imatrix->quiet);
  add_threads(app, imatrix->model.load);
  add_executor(app, imatrix->model.session);
  app.footer(
      "  fieldprint imatrix -m model-f16.gguf -o imatrix.gguf prose.txt code.txt=0.5\n"
      "  fieldprint imatrix -o both.gguf --in a.gguf --in b.gguf=0.5\n"
      "  fieldprint imatrix --stats imatrix.gguf");
  return [imatrix] { return (*imatrix)(); };
}

}  // namespace fieldprint::cli
