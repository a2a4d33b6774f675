#include "train/lora.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "kernels/table.h"
#include "models/architecture.h"

namespace fieldprint {
namespace {

// What a word stands for, as globs over short names.
struct Word {
  std::string_view name;
  std::vector<std::string> globs;
};
const std::vector<Word>& words() {
  static const std::vector<Word> all = {
      {"attention", {"attn_*", "ssm_*"}},  // linear attention too
      {"conv", {"shortconv.*"}},
      {"ffn", {"ffn_gate", "ffn_up", "ffn_down", "ffn_*_shexp"}},
      {"experts", {"ffn_*_exps"}},
      {"router", {"ffn_gate_inp*"}},
      {"all", {"*"}},
  };
  return all;
}

// "attn_q" of "blk.3.attn_q.weight".
std::string short_name(const PlannedTensor& tensor) {
  std::string name(tensor.row->here);
  constexpr std::string_view kEnd = ".weight";
  if (name.ends_with(kEnd)) name.resize(name.size() - kEnd.size());
  return name;
}

bool matches(const std::string& glob, const PlannedTensor& tensor) {
  return fnmatch(glob.c_str(), tensor.here.c_str(), 0) == 0 ||
         fnmatch(glob.c_str(), short_name(tensor).c_str(), 0) == 0;
}

bool is_target(const std::string& target, const PlannedTensor& tensor) {
  for (const Word& word : words()) {
    if (word.name == target)
      return std::any_of(word.globs.begin(), word.globs.end(), [&](const auto& glob) { return matches(glob, tensor); });
  }
  return matches(target, tensor);
}

// In the plan's order.
std::vector<PlannedTensor> chosen(const GgufFile& model, const LoraOptions& options) {
  const Hyperparameters hp = read_hyperparameters(model);
  std::vector<PlannedTensor> all = tensors_of(architecture_of(model).tensors, hp);
  std::erase_if(all, [](const PlannedTensor& tensor) { return !tensor.wanted || !can_have_additions(tensor); });
  for (const std::string& target : options.targets) {
    if (std::any_of(all.begin(), all.end(), [&](const auto& tensor) { return is_target(target, tensor); })) continue;
    std::set<std::string> names, known;
    for (const PlannedTensor& tensor : all) names.insert(short_name(tensor));
    for (const Word& word : words()) {
      const std::string name(word.name);
      if (std::any_of(all.begin(), all.end(), [&](const auto& tensor) { return is_target(name, tensor); }))
        known.insert(name);
    }
    throw Error(ErrorKind::kUsage, fmt::format("the model has no matrix '{}' that an adapter could change", target),
                model.path(),
                fmt::format("it has {}; words for several: {}", fmt::join(names, ", "), fmt::join(known, ", ")));
  }
  const std::vector<std::string> usual = {"attention", "conv", "ffn"};
  const std::vector<std::string>& targets = options.targets.empty() ? usual : options.targets;
  std::erase_if(all, [&](const PlannedTensor& tensor) {
    return std::none_of(targets.begin(), targets.end(),
                        [&](const std::string& target) { return is_target(target, tensor); });
  });
  return all;
}

}  // namespace

int64_t lora_values(const GgufFile& model, const LoraOptions& options) {
  if (options.rank < 1 || options.rank > kMaxRow)
    throw Error(ErrorKind::kUsage, fmt::format("a rank of {} is out of range: 1 to {}", options.rank, kMaxRow));
  if (!std::isfinite(options.alpha) || options.alpha <= 0)
    throw Error(ErrorKind::kUsage, fmt::format("an alpha of {} is no number above 0", options.alpha));
  int64_t values = 0;
  for (const PlannedTensor& tensor : chosen(model, options)) {
    const int64_t count = tensor.shape.size() > 2 ? tensor.shape[0] : 1;
    const int64_t outputs = tensor.shape[tensor.shape.size() - 2], inputs = tensor.shape.back();
    if (options.rank > std::min(outputs, inputs)) {
      throw Error(ErrorKind::kUsage,
                  fmt::format("a rank of {} is above the smaller side of {}, which is {}", options.rank, tensor.here,
                              std::min(outputs, inputs)),
                  model.path(), "a lower rank, or other targets");
    }
    values += count * options.rank * (inputs + outputs);
  }
  return values;
}

LoraAdapter::LoraAdapter(const GgufFile& model, const LoraOptions& options) : options_(options) {
  lora_values(model, options);
  const auto rank = static_cast<float>(options.rank);
  const float scale = options.alpha / (options.rank_stabilised ? std::sqrt(rank) : rank);
  const QuantType* f32 = find_quant_type("F32");
  Rng rng(options.seed);
  for (const PlannedTensor& tensor : chosen(model, options)) {
    const int64_t count = tensor.shape.size() > 2 ? tensor.shape[0] : 1;
    const int64_t outputs = tensor.shape[tensor.shape.size() - 2], inputs = tensor.shape.back();
    const auto matrix = [&](int64_t rows, int64_t columns, const char* end) {
      std::vector<float>& values = values_.emplace_back(static_cast<size_t>(rows * columns));
      parameters_.push_back({tensor.here + end, values.data(), rows * columns});
      return Weight{tensor.row->here, f32, reinterpret_cast<const std::byte*>(values.data()), rows, columns};
    };
    const Weight a = matrix(count * options.rank, inputs, ".lora_a");
    // As nn.Linear begins: uniform in +- 1 / sqrt(inputs).
    const double bound = 1 / std::sqrt(static_cast<double>(inputs));
    for (float& value : values_.back()) value = static_cast<float>((2 * rng.uniform() - 1) * bound);
    const Weight b = matrix(count * outputs, options.rank, ".lora_b");
    additions_.push_back({tensor.here, {a, b, options.rank, scale}});
  }
}

}  // namespace fieldprint
