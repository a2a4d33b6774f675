#include "quant/bf16.h"

#include "base/float16.h"

namespace fieldprint {

void decode_bf16(const void* blocks, float* values, int64_t n) {
  const auto* block = static_cast<const BlockBF16*>(blocks);
  for (int64_t i = 0; i < n; ++i) values[i] = bfloat16_to_float(block[i].bits);
}

void encode_bf16(const float* values, const float*, void* blocks, int64_t n) {
  auto* block = static_cast<BlockBF16*>(blocks);
  for (int64_t i = 0; i < n; ++i) block[i].bits = float_to_bfloat16(values[i]);
}

}  // namespace fieldprint
