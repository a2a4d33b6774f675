// `fieldprint merge`: a model with adapters in its weights.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "command.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "fieldprint/quantize.h"
#include "options.h"
#include "output.h"
#include "signals.h"

namespace fieldprint::cli {

namespace {

struct Merge {
  std::string model, out;
  QuantizeOptions options;
  LoadOptions load;
  bool quiet = false;
  int operator()() const;
};

int Merge::operator()() const {
  constexpr const char* kExample = "`fieldprint merge MODEL --lora FILE -o OUT.gguf`";
  if (load.adapters.empty()) throw Error(ErrorKind::kUsage, "no adapter is named", "--lora", kExample);
  if (out.empty()) throw Error(ErrorKind::kUsage, "to which file?", "--out", kExample);
  QuantizeOptions wanted = options;
  wanted.adapters = load.adapters;
  wanted.threads = load.threads;
  const std::string in = model_path(model);
  std::error_code error;
  if (std::filesystem::equivalent(in, out, error))
    throw Error(ErrorKind::kUsage, "is the model itself, and would be replaced", out, "name another file");
  for (const AdapterFile& adapter : load.adapters) {
    if (std::filesystem::equivalent(adapter.path, out, error))
      throw Error(ErrorKind::kUsage, "is the adapter itself, and would be replaced", out, "name another file");
  }
  require_writable(out);
  const SignalGuard guard;
  const auto start = std::chrono::steady_clock::now();
  ProgressBar bar(ProgressBar::Unit::kBytes, quiet);
  const QuantizePlan plan = quantize(in, out, wanted, bar.callback());
  bar.wipe();
  if (quiet) return kDone;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const auto merged =
      std::count_if(plan.tensors.begin(), plan.tensors.end(), [](const QuantizedTensor& t) { return t.merged; });
  note(fmt::format("{} of {} changed, {}, {:.1f} s", merged, counted(plan.tensors.size(), "tensor"),
                   bytes_text(plan.bytes_to), seconds.count()));
  return kDone;
}

}  // namespace

Action add_merge(CLI::App& app) {
  auto merge = std::make_shared<Merge>();
  add_text(app, "MODEL", merge->model, "MODEL", "The model: a name, owner/repo:file, or a GGUF file");
  add_adapters(app, merge->load);
  add_text(app, "-o,--out", merge->out, "FILE",
           "The file to write; an old one is replaced when the new one is complete");
  add_text(app, "--type", merge->options.mix, "TYPE",
           "One of the types of `fieldprint quantize --list`, if tensors shall not keep theirs");
  add_text(app, "--imatrix", merge->options.importance, "FILE", "An importance matrix (GGUF)");
  add_flag(app, "--allow-unweighted", merge->options.allow_unweighted,
           "Use types below 3 bits without an importance matrix too");
  add_quiet(app, merge->quiet);
  add_threads(app, merge->load);
  app.footer(
      "  fieldprint merge smollm2-135m --lora mine.gguf -o merged.gguf\n"
      "  fieldprint merge f16.gguf --lora a.gguf=0.5 --lora b/ -o q.gguf --type Q4_K_M");
  return [merge] { return (*merge)(); };
}

}  // namespace fieldprint::cli
