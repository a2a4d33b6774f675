// Models of random weights in the shape of models that exist, for measuring and testing.
// From any thread; one call at a time may write to the same file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/progress.h"

namespace fieldprint {

// The shape of a model that exists. The strings live as long as the program.
struct SynthPreset {
  std::string_view name, about;
};
std::span<const SynthPreset> synth_presets();

struct SynthOptions {
  std::string preset;          // a name from synth_presets()
  std::string mix = "Q4_K_M";  // a name from quantize_mixes(), upper or lower case
  std::string attention_kind;  // of every layer with attention (docs/formats/attention.md); "" = as the preset says
  std::string vocabulary;      // a GGUF file whose tokenizer and chat template are taken; "" = a vocabulary of bytes
  uint64_t seed = 1;
  int threads = 0;  // 0 = one per core
};

struct SynthTensor {
  std::string name;
  std::vector<uint64_t> shape;  // fastest first
  std::string type;
  uint64_t bytes = 0;
};

struct SynthPlan {
  std::vector<SynthTensor> tensors;  // in file order
  uint64_t bytes = 0;                // of all tensors
  uint64_t elements = 0;
  double bits_per_weight() const {
    return elements == 0 ? 0.0 : 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
  }
};

// What synth() would write. Throws Error kUsage for an unknown preset or mix; kBadInput where the vocabulary's file has
// none or one that is larger than the preset's; kNotFound, kIo and kBadFile for that file.
SynthPlan plan_synth(const SynthOptions& options);

// Writes a model of the preset's shape with seeded random weights: `out` appears whole or not at all. The weights are
// of sane scale: activations keep their size over the depth, logits have a standard deviation of about 2, experts are
// asked about equally often. Throws as plan_synth, kIo (before anything is written, where the disk has not the room),
// and kLimit where `progress` (in bytes of output) returned false.
SynthPlan synth(const std::string& out, const SynthOptions& options, const Progress& progress = {});

}  // namespace fieldprint
