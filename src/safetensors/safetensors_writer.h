// Safetensors written. docs/formats/safetensors.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "quant/type.h"

namespace fieldprint {

struct SafeTensorToWrite {
  std::string name;
  const QuantType* type;        // F32, F16 or BF16
  std::vector<uint64_t> shape;  // slowest first
  std::span<const std::byte> data;
};

// The file appears whole or not at all, its tensors in this order. `metadata` becomes __metadata__. Throws Error kIo.
void write_safetensors(const std::string& path, std::span<const SafeTensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace fieldprint
