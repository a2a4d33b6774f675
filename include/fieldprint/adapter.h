// LoRA adapters (Hu et al. 2021): files that change some of a model's matrices by products of two small ones,
// W + scale * B A. They are added as the model is used; its file stays as it is. docs/lora.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fieldprint {

// A GGUF file as llama.cpp writes it, or what PEFT saves: its folder, or adapter_model.safetensors in it.
struct AdapterFile {
  std::string path;
  float scale = 1;  // of what is added, beside the scale that the file states; any finite number
};

struct AdapterTensor {
  std::string name;  // of the matrix that is changed, as the file has it
  std::string type;  // of both matrices: "F32"
  uint64_t inputs = 0, outputs = 0, rank = 0;
  uint64_t matrices = 1;  // of a stack of experts
  uint64_t bytes = 0;     // of both, in the file
};

struct AdapterInfo {
  std::string path;
  std::string format;        // "GGUF", "PEFT"
  std::string architecture;  // that it says it is for; PEFT files do not
  std::string base;          // the base model's name, as far as it is said
  uint64_t file_bytes = 0;
  uint64_t parameters = 0;
  float alpha = 0;               // the scale is alpha / rank; 0: it is 1
  bool rank_stabilised = false;  // the scale is alpha / sqrt(rank) (Kalajdzievski 2023)
  std::vector<AdapterTensor> tensors;
};

// Whether a file or folder is an adapter by its looks; nothing of it is checked.
bool is_adapter(const std::string& path);

// What an adapter says of itself, whatever the model. Throws Error kNotFound, kIo, kBadFile, kUnsupported.
AdapterInfo inspect_adapter(const std::string& path);

}  // namespace fieldprint
