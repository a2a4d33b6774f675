// `fieldprint quantize`: a model with fewer bits a weight.
#include "fieldprint/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "command.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/catalog.h"
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
  bool force = false, dry_run = false, list = false, json = false, quiet = false;
  int operator()() const;
};

// Of the bytes that are encoded anew, what type of few bits they are in already; "" where it is none or hardly any.
std::string already_quantized(const QuantizePlan& plan) {
  std::map<std::string, uint64_t> bytes;
  for (const auto& tensor : plan.tensors) {
    const bool exact = tensor.from == "F32" || tensor.from == "F16" || tensor.from == "BF16" || tensor.from == "F64";
    if (!exact && tensor.from != tensor.to) bytes[tensor.from] += tensor.bytes_from;
  }
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() || most->second * 10 < plan.bytes_from ? "" : most->first;
}

void warn_of_loss(const QuantizePlan& plan) {
  const std::string from = already_quantized(plan);
  if (from.empty()) return;
  note(
      fmt::format("the model is in {} already: what that lost does not come back, and this loses more; start from its "
                  "F16 or BF16 file for a better result",
                  from));
  if (plan.bytes_to > plan.bytes_from)
    note(fmt::format("the file grows from {} to {} and gets no more precise", bytes_text(plan.bytes_from),
                     bytes_text(plan.bytes_to)));
}

std::string shape_text(const std::vector<uint64_t>& shape) { return fmt::format("{}", fmt::join(shape, " x ")); }

std::string total_text(const QuantizePlan& plan) {
  return fmt::format("{}, {} -> {}, {:.3f} bits a weight", counted(plan.tensors.size(), "tensor"),
                     bytes_text(plan.bytes_from), bytes_text(plan.bytes_to), plan.bits_per_weight());
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
  write_json(object);
}

void print_plan(const QuantizePlan& plan) {
  for (const auto& tensor : plan.tensors) {
    write_out(fmt::format("{:<40} {:>20}  {:>8} -> {:<8} {:>11}{}{}\n", printable_line(tensor.name),
                          shape_text(tensor.shape), tensor.from, tensor.to, bytes_text(tensor.bytes_to),
                          tensor.weighted ? "  weighted" : "", tensor.note.empty() ? "" : "  (" + tensor.note + ")"));
  }
  write_out(total_text(plan) + "\n");
}

// "2G", "500M": powers of 1000, as disks and other engines count.
uint64_t parse_size(const std::string& text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string unit = text.substr(digits);
  const uint64_t scale = unit == "M" ? 1'000'000 : unit == "G" ? 1'000'000'000 : 0;
  uint64_t count = 0;
  const bool number = std::from_chars(text.data(), text.data() + digits, count).ec == std::errc();
  if (!number || scale == 0 || count < 1 || count > 1'000'000)
    throw Error(ErrorKind::kUsage, fmt::format("'{}' is not a size from 1M to 1000000G", text), "--split",
                "a whole number and M or G, for example 2G or 500M");
  return count * scale;
}

// Whether writing `out` would replace one of the files of the model at `path`. How many files a split `out` will have
// is not known yet, so those of any number count.
bool replaces_source(const std::string& path, const std::string& out, bool split) {
  namespace fs = std::filesystem;
  const std::vector<std::string> sources = model_files(path);
  const auto is_source = [&](const fs::path& file) {
    return std::any_of(sources.begin(), sources.end(), [&](const std::string& source) {
      std::error_code error;
      return fs::equivalent(source, file, error);
    });
  };
  if (!split) return is_source(out);
  std::error_code error;
  fs::path first = fs::absolute(out, error);
  if (first.extension() == ".gguf") first.replace_extension();
  for (fs::directory_iterator it(first.parent_path(), error), end; !error && it != end; it.increment(error)) {
    const bool written = model_files(it->path().string()).front().starts_with(first.string() + "-00001-of-");
    if (written && is_source(it->path())) return true;
  }
  return false;
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
    if (!quiet) warn_of_loss(plan);
    if (json) print_json(plan);
    else print_plan(plan);
    return kDone;
  }
  if (!force && replaces_source(path, out, options.split_bytes > 0))
    throw Error(ErrorKind::kUsage, "is the model itself, and would be replaced", out, "--force replaces it");
  require_writable(out);
  if (!quiet) warn_of_loss(plan_quantize(path, wanted));
  const SignalGuard guard;
  const auto start = std::chrono::steady_clock::now();
  ProgressBar bar(ProgressBar::Unit::kBytes, quiet);
  const auto plan = quantize(path, out, wanted, bar.callback());
  bar.wipe();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (json) print_json(plan);
  if (quiet) return kDone;
  std::map<std::string, uint64_t> replaced;
  for (const auto& tensor : plan.tensors) {
    if (!tensor.note.empty()) ++replaced[fmt::format("{} instead: {}", tensor.to, tensor.note)];
  }
  for (const auto& [why, count] : replaced)
    note(fmt::format("{} {} {}", counted(count, "tensor"), count == 1 ? "is" : "are", why));
  note(fmt::format("{}, {:.1f} s", total_text(plan), seconds.count()));
  if (options.split_bytes > 0) note(fmt::format("{} is the first file of {}", plan.files.front(), plan.files.size()));
  return kDone;
}

}  // namespace

Action add_quantize(CLI::App& app) {
  auto quantize = std::make_shared<Quantize>();
  add_text(app, "IN", quantize->in, "MODEL",
           "The model: a name, a GGUF file of any types, or a folder of safetensors as on Hugging Face");
  add_text(app, "OUT", quantize->out, "FILE", "The file to write; an old one is replaced when the new one is complete");
  add_text(app, "TYPE", quantize->options.mix, "TYPE", "One of those that --list shows, such as Q4_K_M");
  add_list(
      app, "--tensor", "PATTERN=TYPE", "Another type for the tensors that a glob matches (repeatable)",
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
           "Use types below 3 bits without an importance matrix too");
  add_value(app, "--split", "SIZE",
            "Write several files of at most SIZE each (2G, 500M; a tensor larger than that has a file of its own): OUT "
            "model.gguf becomes model-00001-of-00003.gguf and so on, and the first is named to load the model",
            [quantize](const std::string& size) { quantize->options.split_bytes = parse_size(size); });
  add_flag(app, "--force", quantize->force, "Allow OUT to be IN");
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
