// Safetensors, the weight files of Hugging Face models: 8 bytes of length, a JSON header, the data. A file is hostile
// until checked: every length and offset lies inside it, no tensors overlap, none is named twice.
// docs/formats/safetensors.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/type.h"

namespace fieldprint {

struct SafeTensor {
  std::string name;
  std::string dtype;                // as the file spells it: "BF16"
  const QuantType* type = nullptr;  // F32, F16 or BF16; nullptr for the other dtypes, which nobody here decodes
  std::vector<uint64_t> shape;      // slowest first, as the file has it
  const std::byte* data = nullptr;  // of any alignment
  uint64_t bytes = 0;
};

class SafetensorsFile {
 public:
  // Maps `path`. Throws Error kNotFound, kIo, kBadFile (one sentence: what is wrong and where).
  static std::shared_ptr<const SafetensorsFile> open(const std::string& path);
  // The same checks on bytes in memory, which must outlive the file. `name` stands in messages.
  static std::shared_ptr<const SafetensorsFile> parse(std::span<const std::byte> bytes, std::string name);
  ~SafetensorsFile();

  const std::string& path() const;
  const std::vector<SafeTensor>& tensors() const;  // by offset

 private:
  SafetensorsFile();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
