#include "quant/type.h"

#include <algorithm>
#include <bit>

namespace fieldprint {

static_assert(std::endian::native == std::endian::little, "blocks are read as they lie in the file, little endian");

#define QUANT_TYPE(name, ggml_id, stem, elements, bytes) \
  void decode_##stem(const void* blocks, float* values, int64_t n);
#include "quant/types.def"
#undef QUANT_TYPE

namespace {

constexpr QuantType kTypes[] = {
#define QUANT_TYPE(name, ggml_id, stem, elements, bytes) {#name, ggml_id, elements, bytes, decode_##stem},
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

}  // namespace fieldprint
