// Quantised weights times quantised activations: exact integers within a block of 32, then one fma a block.
#include <cmath>

#include "base/float16.h"
#include "kernels/scalar/scalar.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"

namespace fieldprint::scalar {
namespace {

// A block's 32 integers, in element order.
void integers(const BlockQ8_0& b, int* w) {
  for (int i = 0; i < 32; ++i) w[i] = b.quants[i];
}
void integers(const BlockQ4_0& b, int* w) {
  for (int i = 0; i < 16; ++i) w[i] = (b.nibbles[i] & 15) - 8, w[i + 16] = (b.nibbles[i] >> 4) - 8;
}
void integers(const BlockQ4_1& b, int* w) {
  for (int i = 0; i < 16; ++i) w[i] = b.nibbles[i] & 15, w[i + 16] = b.nibbles[i] >> 4;
}
template <class Block>
void integers_5bit(const Block& b, int offset, int* w) {
  for (int i = 0; i < 16; ++i) {
    const int low = b.high[i / 8] >> (i % 8) & 1, high = b.high[2 + i / 8] >> (i % 8) & 1;
    w[i] = ((b.nibbles[i] & 15) | low << 4) - offset;
    w[i + 16] = ((b.nibbles[i] >> 4) | high << 4) - offset;
  }
}
void integers(const BlockQ5_0& b, int* w) { integers_5bit(b, 16, w); }
void integers(const BlockQ5_1& b, int* w) { integers_5bit(b, 0, w); }

template <class Block>
void matmul(const Matmul& args) {
  const int blocks = args.k / 32;
  for (int r = args.row_begin; r < args.row_end; ++r) {
    const auto* row = reinterpret_cast<const Block*>(args.weights + r * args.row_bytes);
    for (int t = 0; t < args.tokens; ++t) {
      const int8_t *q = args.x.q + int64_t{t} * args.k, *q_low = args.x.q_low + int64_t{t} * args.k;
      const uint8_t* fine = args.x.fine + int64_t{t} * blocks;
      const float* d = args.x.d + int64_t{t} * blocks;
      const int32_t* sum = args.x.sum + int64_t{t} * blocks;
      float acc = 0;
      for (int b = 0; b < blocks; ++b) {
        int w[32], isum = 0;
        integers(row[b], w);
        for (int i = b * 32; i < b * 32 + 32; ++i) isum += w[i % 32] * (fine[b] ? kFineSteps * q[i] + q_low[i] : q[i]);
        acc = std::fma(half_to_float(row[b].scale) * d[b], static_cast<float>(isum), acc);
        if constexpr (requires { row[b].minimum; }) {
          acc = std::fma(half_to_float(row[b].minimum), d[b] * static_cast<float>(sum[b]), acc);
        }
      }
      args.y[t * args.y_stride + r] = acc;
    }
  }
}

}  // namespace

void matmul_q8_0(const Matmul& args) { matmul<BlockQ8_0>(args); }
void matmul_q4_0(const Matmul& args) { matmul<BlockQ4_0>(args); }
void matmul_q4_1(const Matmul& args) { matmul<BlockQ4_1>(args); }
void matmul_q5_0(const Matmul& args) { matmul<BlockQ5_0>(args); }
void matmul_q5_1(const Matmul& args) { matmul<BlockQ5_1>(args); }

}  // namespace fieldprint::scalar
