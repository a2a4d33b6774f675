// The lab's model (docs/formats/lab.md): from settings to a GGUF file with drawn weights, and back from a trained model
// to a file that `run` loads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "fieldprint/lab.h"
#include "gguf/gguf.h"
#include "train/trainable.h"

namespace fieldprint {

inline constexpr int kMicroBatchTokens = 4096;  // that are in memory at once, where sequences are not longer

// What a name of lab_kinds() stands for.
struct KindRow {
  std::string_view name, attention;
  bool normed, matched;
  std::string_view about;
};
const KindRow& lab_kind(std::string_view name);  // throws Error kUsage, naming those there are

// The file, in memory. Weights are drawn as PyTorch's modules do: matrices and biases uniform within 1 / sqrt(inputs)
// (nn.Linear), the embedding normal, norms 1; each tensor from the seed and its own name. `vocabulary`: of the task.
// Throws Error kUsage for sizes that make no model, kLimit where training it would not fit into memory.
std::vector<std::byte> new_lab_model(const LabSettings& settings, int vocabulary);

// Anchor rows stay as they were drawn; everything else is trained.
bool trained_in_lab(const std::string& tensor);

// The model's file with the weights that it has now.
void save_lab_model(const Trainable& model, const std::string& path);

}  // namespace fieldprint
