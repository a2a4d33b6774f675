#include "quant/f16.h"

#include "base/float16.h"

namespace fieldprint {

void decode_f16(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockF16*>(blocks);
  for (int64_t i = 0; i < n; ++i) values[i] = half_to_float(block[i].bits);
}

void encode_f16(const float* values, const float*, void* blocks, int64_t n) {
  auto* block = static_cast<BlockF16*>(blocks);
  for (int64_t i = 0; i < n; ++i) block[i].bits = float_to_half(values[i]);
}

}  // namespace fieldprint
