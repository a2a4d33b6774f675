// Adapters that are trained (LoRA, Hu et al. 2021): for each matrix W that is chosen, A [rank, inputs] of small random
// numbers and B [outputs, rank] of zeros, so that the model begins as it is. models/adapter.h reads what has been made.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"
#include "models/weights.h"
#include "train/optimizer.h"

namespace fieldprint {

struct LoraOptions {
  int rank = 8;
  float alpha = 16;              // what is added is B A times alpha / rank
  bool rank_stabilised = false;  // alpha / sqrt(rank) instead (rsLoRA, Kalajdzievski 2023)
  // Which matrices: words (attention, conv, ffn, experts, router, all) and globs over names of tensors or over what
  // stands between "blk.N." and ".weight" in them ("attn_q", "blk.0.*", "output.weight"). Empty: attention, conv and
  // ffn as far as the model has them.
  std::vector<std::string> targets = {};
  uint64_t seed = 1;  // of A
};

// How many values an adapter has; nothing is allocated. Throws Error kUsage for a target that is no matrix of the
// model, listing what there is, for a rank below 1 or above what kernels can hold or the smaller side of a matrix, and
// for an alpha that is not a number above 0; as load_architecture() for the file.
int64_t lora_values(const GgufFile& model, const LoraOptions& options);

class LoraAdapter {
 public:
  // Throws as lora_values().
  LoraAdapter(const GgufFile& model, const LoraOptions& options);
  LoraAdapter(LoraAdapter&&) = default;  // no copy: additions and parameters point into one's own values

  // For Weights and the optimiser. What they point to lives as long as the adapter, in one place.
  std::span<const Addition> additions() const { return additions_; }
  std::span<const Parameter> parameters() const { return parameters_; }
  const LoraOptions& options() const { return options_; }

 private:
  LoraOptions options_;
  std::deque<std::vector<float>> values_;
  std::vector<Addition> additions_;
  std::vector<Parameter> parameters_;  // of each addition A, then B
};

}  // namespace fieldprint
