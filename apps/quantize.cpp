// `fieldprint quantize`: a model with fewer bits a weight.
#include "fieldprint/quantize.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/error.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Quantize {
  std::string in, out;
  QuantizeOptions options;
  LoadOptions load;
  bool dry_run = false, list = false, json = false, quiet = false;
  int operator()() const;
};

std::string shape_text(const std::vector<uint64_t>& shape) { return fmt::format("{}", fmt::join(shape, " x ")); }

std::string total_text(const QuantizePlan& plan) {
  return fmt::format("{} tensors, {} -> {}, {:.3f} bits a weight", plan.tensors.size(), bytes_text(plan.bytes_from),
                     bytes_text(plan.bytes_to), plan.bits_per_weight());
}

void print_json(const QuantizePlan& plan) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
  for (const auto& tensor : plan.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"shape", tensor.shape},
                       {"from", tensor.from},
                       {"to", tensor.to},
                       {"bytes_from", tensor.bytes_from},
                       {"bytes_to", tensor.bytes_to},
                       {"weighted", tensor.weighted},
                       {"note", tensor.note}});
  }
  const nlohmann::ordered_json object = {{"tensors", tensors},
                                         {"bytes_from", plan.bytes_from},
                                         {"bytes_to", plan.bytes_to},
                                         {"bits_per_weight", plan.bits_per_weight()}};
  write_out(object.dump(-1, ' ', true) + "\n");
}

void print_plan(const QuantizePlan& plan) {
  for (const auto& tensor : plan.tensors) {
    write_out(fmt::format("{:<40} {:>20}  {:>8} -> {:<8} {:>11}{}{}\n", terminal_safe(tensor.name),
                          shape_text(tensor.shape), tensor.from, tensor.to, bytes_text(tensor.bytes_to),
                          tensor.weighted ? "  weighted" : "", tensor.note.empty() ? "" : "  (" + tensor.note + ")"));
  }
  write_out(total_text(plan) + "\n");
}

int Quantize::operator()() const {
  if (list) {
    for (const auto& mix : quantize_mixes()) write_out(fmt::format("{:<8}  {}\n", mix.name, mix.about));
    return kDone;
  }
  if (in.empty() || options.mix.empty() || out.empty()) {
    throw Error(ErrorKind::kUsage,
                in.empty()    ? "which model?"
                : out.empty() ? "to which file?"
                              : "to which type?",
                {}, "`fieldprint quantize IN OUT TYPE`; --list shows the types");
  }
  auto wanted = options;
  wanted.threads = load.threads;
  std::error_code error;
  const std::string path = std::filesystem::is_directory(in, error) ? in : model_path(in);
  if (dry_run) {
    const auto plan = plan_quantize(path, wanted);
    if (json) print_json(plan);
    else print_plan(plan);
    return kDone;
  }
  const SignalGuard guard;
  const auto start = std::chrono::steady_clock::now();
  ProgressBar bar(ProgressBar::Unit::kBytes, quiet);
  const auto plan = quantize(path, out, wanted, bar.callback());
  bar.wipe();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (json) print_json(plan);
  if (quiet) return kDone;
  std::map<std::string, int> replaced;
  for (const auto& tensor : plan.tensors) {
    if (!tensor.note.empty()) ++replaced[fmt::format("{} instead: {}", tensor.to, tensor.note)];
  }
  for (const auto& [why, count] : replaced) note(fmt::format("{} tensors are {}", count, why));
  note(fmt::format("{}, {:.1f} s", total_text(plan), seconds.count()));
  return kDone;
}

}  // namespace

Action add_quantize(CLI::App& app) {
  auto quantize = std::make_shared<Quantize>();
  add_text(app, "IN", quantize->in, "MODEL",
           "The model: a name, a GGUF file of any types, or a folder of safetensors as on Hugging Face");
  add_text(app, "OUT", quantize->out, "FILE", "Where to write; replaced only when all is done");
  add_text(app, "TYPE", quantize->options.mix, "TYPE", "What --list shows, such as Q4_K_M");
  add_list(
      app, "--tensor", "PATTERN=TYPE", "Another type for the tensors that a glob matches; repeatable",
      [quantize] { quantize->options.tensors.clear(); },
      [quantize](const std::string& rule) {
        const size_t equals = rule.rfind('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == rule.size())
          throw Error(ErrorKind::kUsage, fmt::format("'{}' is not PATTERN=TYPE", rule), "--tensor",
                      "for example --tensor 'blk.*.ffn_down.weight=Q6_K'");
        quantize->options.tensors.push_back({rule.substr(0, equals), rule.substr(equals + 1)});
      });
  add_text(app, "--imatrix", quantize->options.importance, "FILE", "An importance matrix (GGUF)");
  add_flag(app, "--allow-unweighted", quantize->options.allow_unweighted,
           "Types below 3 bits even without an importance matrix");
  add_flag(app, "--dry-run", quantize->dry_run, "Only show each tensor's type and size");
  add_flag(app, "--list", quantize->list, "Show the types");
  add_flag(app, "--json", quantize->json, "One JSON object")->group("Output");
  add_quiet(app, quantize->quiet);
  add_threads(app, quantize->load);
  app.footer(
      "  fieldprint quantize model-f16.gguf model-q4.gguf Q4_K_M\n"
      "  fieldprint quantize LFM2-350M/ lfm2-350m-bf16.gguf BF16\n"
      "  fieldprint quantize model.gguf small.gguf IQ2_XS --imatrix model.imatrix.gguf\n"
      "  fieldprint quantize model.gguf - Q4_K_M --dry-run");
  return [quantize] { return (*quantize)(); };
}

}  // namespace fieldprint::cli
