#include "train/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <string>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// Values that the tape keeps of a token from a layer's forward to its backward: inputs of norms and products, and what
// attention recomputes its weights from.
int64_t kept_of(const Hyperparameters& hp, const LayerPlan& layer) {
  const int64_t width = hp.width;
  // Inputs of both norms, their outputs; inputs of frozen matrices without an adapter would not be kept.
  int64_t kept = 4 * width;
  switch (layer.mixer) {
    case Mixer::kAttention: {
      const int64_t queries = int64_t{hp.heads} * hp.head_dim, keys = int64_t{layer.kv_heads} * hp.head_dim;
      kept += 2 * queries + 2 * keys + 2 * hp.heads;  // q, k, v, the output, softmax states
      kept += 2 * keys;                               // pages of keys and values
      break;
    }
    case Mixer::kShortConv:
      kept += 5 * width;  // b, c, x, their product, the output
      break;
    case Mixer::kDeltaNet:
    case Mixer::kMamba2:
      kept += 3 * conv_channels(hp) + 2 * int64_t{hp.linear_heads} * hp.linear_columns;
      break;
  }
  if (layer.experts) {
    kept += int64_t{hp.experts_used} * (3 * hp.expert_ffn + 2 * width) + 2 * hp.experts + 3 * hp.shared_ffn;
  } else {
    kept += 3 * int64_t{layer.ffn};  // gate, up, what comes of them
  }
  return kept;
}

// And of the gradients that are there at once within a layer's backward.
int64_t passing_of(const Hyperparameters& hp, const LayerPlan& layer) {
  const int64_t inner =
      layer.experts ? int64_t{hp.experts_used} * (3 * hp.expert_ffn + 2 * hp.width) : 3 * int64_t{layer.ffn};
  return 3 * hp.width + std::max(inner, int64_t{4} * hp.heads * hp.head_dim);
}

}  // namespace

TrainMemory memory_of(const Hyperparameters& hp, const MemoryNeeds& needs) {
  constexpr uint64_t kFloat = sizeof(float);
  const auto values = static_cast<uint64_t>(needs.trained);
  TrainMemory memory;
  memory.weights = needs.file_bytes;
  memory.parameters = values * kFloat;
  // The tree of a step's sum: one for each level that is open (GradientSum), beside the micro-batch's own.
  const uint64_t levels =
      needs.micro_batches > 1 ? static_cast<uint64_t>(std::bit_width(static_cast<uint64_t>(needs.micro_batches))) : 0;
  memory.gradients = values * kFloat * (1 + levels);
  memory.moments = values * kFloat * static_cast<uint64_t>(needs.moments);
  int64_t kept = 0, passing = 0;
  for (const LayerPlan& layer : hp.plan) {
    kept += kept_of(hp, layer);
    passing = std::max(passing, passing_of(hp, layer));
  }
  const int64_t floats = needs.tokens * (kept + passing + 2 * hp.width)                  //
                         + needs.learned * (2 * int64_t{hp.vocabulary} + 2 * hp.width);  // logits, their gradient
  int64_t keys = 0;
  for (const LayerPlan& layer : hp.plan) keys += 2 * int64_t{layer.kv_heads} * hp.head_dim;
  const int64_t eval_floats = needs.eval_tokens * (keys + passing + 4 * hp.width) +
                              needs.eval_learned * (int64_t{hp.vocabulary} + 2 * hp.width);
  memory.activations = static_cast<uint64_t>(std::max(floats, eval_floats)) * kFloat;
  return memory;
}

void require_memory(const TrainMemory& memory, const TrainOptions& options, const std::string& where) {
  if (memory.available == 0 || memory.total() <= memory.available) return;
  const auto gib = [](uint64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(1 << 30); };
  const std::string hint = memory.activations > memory.total() / 3
                               ? fmt::format("lower --batch-tokens (now {}): activations take {:.1f} GiB of it",
                                             options.micro_tokens, gib(memory.activations))
                           : options.full
                               ? fmt::format(
                                     "train adapters (--lora-rank) in place of all weights, whose values, "
                                     "gradients and moments take {:.1f} GiB",
                                     gib(memory.parameters + memory.gradients + memory.moments))
                               : "take a model of fewer bits a weight (`fieldprint quantize`), or a lower --lora-rank";
  throw Error(ErrorKind::kLimit,
              fmt::format("this takes about {:.1f} GiB of memory, and {:.1f} GiB are left", gib(memory.total()),
                          gib(memory.available)),
              where, hint);
}

uint64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  uint64_t kib = 0;
  for (std::string unit; file >> name >> kib; std::getline(file, unit)) {
    if (name == "MemAvailable:") return kib << 10;
  }
  return 0;
}

}  // namespace fieldprint
