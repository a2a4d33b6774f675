#include "quant/type.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "fieldprint/error.h"

namespace fieldprint {

static_assert(std::endian::native == std::endian::little, "blocks are read as they lie in the file, little endian");

#define QUANT_TYPE(name, ggml_id, stem, elements, bytes)            \
  void decode_##stem(const void* blocks, float* values, int64_t n); \
  void encode_##stem(const float* values, const float* importance, void* blocks, int64_t n);
#include "quant/types.def"
#undef QUANT_TYPE

namespace {

constexpr QuantType kTypes[] = {
#define QUANT_TYPE(name, ggml_id, stem, elements, bytes) \
  {#name, ggml_id, elements, bytes, decode_##stem, encode_##stem},
#include "quant/types.def"
#undef QUANT_TYPE
};

constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

}  // namespace

std::span<const QuantType> quant_types() { return kTypes; }

const QuantType* find_quant_type(uint32_t ggml_id) {
  for (const QuantType& type : kTypes) {
    if (type.ggml_id == ggml_id) return &type;
  }
  return nullptr;
}

const QuantType* find_quant_type(std::string_view name) {
  for (const QuantType& type : kTypes) {
    if (std::equal(name.begin(), name.end(), type.name.begin(), type.name.end(),
                   [](char a, char b) { return upper(a) == b; })) {
      return &type;
    }
  }
  return nullptr;
}

void encode_rows(const QuantType& type, const float* values, const float* importance, void* blocks, int64_t rows,
                 int64_t row_elements, std::string_view where) {
  for (int64_t i = 0; importance != nullptr && i < row_elements; ++i) {
    if (std::isfinite(importance[i]) && importance[i] >= 0.0f) continue;
    throw Error(ErrorKind::kBadInput, fmt::format("the importance of column {} is not a number from 0 up", i),
                std::string(where));
  }
  // All others reach at least as far as the largest half, which is a scale's largest value.
  const bool bounded = type.name != "F32" && type.name != "BF16" && type.name != "MXFP4";
  for (int64_t i = 0; i < rows * row_elements; ++i) {
    const bool finite = std::isfinite(values[i]);
    if (finite && (!bounded || std::fabs(values[i]) <= 65504.0f)) continue;
    const std::string place = fmt::format("value {} of row {}", i % row_elements, i / row_elements);
    if (!finite) throw Error(ErrorKind::kBadInput, place + " is not a number", std::string(where));
    throw Error(ErrorKind::kBadInput, fmt::format("{} is beyond 65504, the range of {}", place, type.name),
                std::string(where), "choose BF16 or F32 for this tensor");
  }
  const auto row_bytes = static_cast<int64_t>(type.bytes(static_cast<uint64_t>(row_elements)));
  for (int64_t row = 0; row < rows; ++row) {
    type.encode(values + row * row_elements, importance, static_cast<char*>(blocks) + row * row_bytes, row_elements);
  }
}

}  // namespace fieldprint
