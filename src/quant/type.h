// Every GGML tensor type, as rows of one table (types.def). A type is a file of its own: block struct, decode, encode.
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

  // Writes the blocks for one row, or any run of whole blocks, of `n` values (a multiple of block_elements), seeking
  // the least sum of importance * (value - decoded value)^2. `importance` holds n weights >= 0, or is nullptr: all
  // alike. Always the same bytes for the same input. A value that is not finite counts as 0 (F32, F16 and BF16 keep
  // it), a value beyond the format's range becomes its largest: callers that care use encode_rows.
  void (*encode)(const float* values, const float* importance, void* blocks, int64_t n);

  // Bytes of `n` values, n a multiple of block_elements.
  constexpr uint64_t bytes(uint64_t n) const {
    return n / static_cast<uint64_t>(block_elements) * static_cast<uint64_t>(block_bytes);
  }
};

std::span<const QuantType> quant_types();
const QuantType* find_quant_type(uint32_t ggml_id);       // nullptr where unknown
const QuantType* find_quant_type(std::string_view name);  // upper or lower case; nullptr where unknown

// Encodes `rows` rows of `row_elements` values each, all under the same `importance` [row_elements] or nullptr. Throws
// Error kBadInput where a value or a weight is not finite, a weight is negative, or the type cannot reach a value (half
// scales end near 65504 times the largest quant); `where` stands in the message.
void encode_rows(const QuantType& type, const float* values, const float* importance, void* blocks, int64_t rows,
                 int64_t row_elements, std::string_view where);

}  // namespace fieldprint
