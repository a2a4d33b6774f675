// Every GGML tensor type, as rows of one table (types.def). A type is a file of its own: block struct and decode.
// Source of the formats: the GGML block layouts, https://github.com/ggml-org/ggml (facts only).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace fieldprint {

struct QuantType {
  std::string_view name;  // "Q4_1"
  uint32_t ggml_id;       // the number in GGUF files
  int block_elements;     // a row's length is a multiple of this
  int block_bytes;

  // Writes the `n` values (a multiple of block_elements) that `blocks` stand for. Any bytes are valid blocks.
  // `blocks` is aligned to 2 bytes, as every tensor of a GgufFile is.
  void (*decode)(const void* blocks, float* values, int64_t n);

  // Bytes of `n` values, n a multiple of block_elements.
  constexpr uint64_t bytes(uint64_t n) const {
    return n / static_cast<uint64_t>(block_elements) * static_cast<uint64_t>(block_bytes);
  }
};

std::span<const QuantType> quant_types();
const QuantType* find_quant_type(uint32_t ggml_id);       // nullptr where unknown
const QuantType* find_quant_type(std::string_view name);  // upper or lower case; nullptr where unknown

}  // namespace fieldprint
