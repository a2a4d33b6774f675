// Quantised weights times quantised activations: exact integers within 32 values, the integer scales of groups of 16
// among them, then one fma. Integer sums are of 32 bits and wrap: no sum that a trained model makes comes near.
#include <cmath>

#include "base/float16.h"
#include "kernels/scalar/scalar.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/mxfp4.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_0.h"

namespace fieldprint::scalar {
namespace {

// 32 values: d * s[i / 16] * w[i] + m * ms[i / 16].
struct Values {
  int w[32];
  float d = 0;
  int s[2] = {1, 1};
  float m = 0;
  int ms[2] = {1, 1};
};

void values(const BlockQ8_0& b, int, Values* v) {
  v->d = half_to_float(b.scale);
  for (int i = 0; i < 32; ++i) v->w[i] = b.quants[i];
}
void values(const BlockQ4_0& b, int, Values* v) {
  v->d = half_to_float(b.scale);
  for (int i = 0; i < 16; ++i) v->w[i] = (b.nibbles[i] & 15) - 8, v->w[i + 16] = (b.nibbles[i] >> 4) - 8;
}
void values(const BlockQ4_1& b, int, Values* v) {
  v->d = half_to_float(b.scale), v->m = half_to_float(b.minimum);
  for (int i = 0; i < 16; ++i) v->w[i] = b.nibbles[i] & 15, v->w[i + 16] = b.nibbles[i] >> 4;
}
template <class Block>
void five_bits(const Block& b, int offset, Values* v) {
  v->d = half_to_float(b.scale);
  for (int i = 0; i < 16; ++i) {
    const int low = b.high[i / 8] >> (i % 8) & 1, high = b.high[2 + i / 8] >> (i % 8) & 1;
    v->w[i] = ((b.nibbles[i] & 15) | low << 4) - offset;
    v->w[i + 16] = ((b.nibbles[i] >> 4) | high << 4) - offset;
  }
}
void values(const BlockQ5_0& b, int, Values* v) { five_bits(b, 16, v); }
void values(const BlockQ5_1& b, int, Values* v) {
  five_bits(b, 0, v);
  v->m = half_to_float(b.minimum);
}
void values(const BlockIQ4_NL& b, int, Values* v) {
  v->d = half_to_float(b.scale);
  for (int i = 0; i < 16; ++i) v->w[i] = kIq4Levels[b.nibbles[i] & 15], v->w[i + 16] = kIq4Levels[b.nibbles[i] >> 4];
}
void values(const BlockMXFP4& b, int, Values* v) {
  v->d = std::ldexp(1.0f, b.exponent - 128);
  for (int i = 0; i < 16; ++i)
    v->w[i] = kE2m1Doubled[b.nibbles[i] & 15], v->w[i + 16] = kE2m1Doubled[b.nibbles[i] >> 4];
}
void values(const BlockIQ4_XS& b, int part, Values* v) {
  const int low = b.groups_low[part / 2] >> (part % 2 * 4) & 15, high = b.groups_high >> (part * 2) & 3;
  v->d = half_to_float(b.scale) * static_cast<float>((low | high << 4) - 32);
  for (int i = 0; i < 16; ++i) {
    const uint8_t pair = b.nibbles[part * 16 + i];
    v->w[i] = kIq4Levels[pair & 15], v->w[i + 16] = kIq4Levels[pair >> 4];
  }
}
template <class Block>
void six_bit_scales(const Block& b, int part, Values* v) {
  v->d = half_to_float(b.scale) * static_cast<float>(group_scale(b.groups, part));
  v->m = -half_to_float(b.minimum) * static_cast<float>(group_minimum(b.groups, part));
}
void values(const BlockQ4_K& b, int part, Values* v) {
  six_bit_scales(b, part, v);
  for (int i = 0; i < 32; ++i) v->w[i] = b.nibbles[part / 2 * 32 + i] >> (part % 2 * 4) & 15;
}
void values(const BlockQ5_K& b, int part, Values* v) {
  six_bit_scales(b, part, v);
  for (int i = 0; i < 32; ++i)
    v->w[i] = (b.nibbles[part / 2 * 32 + i] >> (part % 2 * 4) & 15) | (b.high[i] >> part & 1) << 4;
}
void values(const BlockQ6_K& b, int part, Values* v) {
  v->d = half_to_float(b.scale);
  for (int g = 0; g < 2; ++g) v->s[g] = b.groups[part * 2 + g];
  for (int i = 0; i < 32; ++i) {
    const int low = b.nibbles[part / 4 * 64 + part % 2 * 32 + i] >> (part / 2 % 2 * 4) & 15,
              high = b.high[part / 4 * 32 + i] >> (part % 4 * 2) & 3;
    v->w[i] = (low | high << 4) - 32;
  }
}
void values(const BlockQ3_K& b, int part, Values* v) {
  v->d = half_to_float(b.scale);
  for (int g = part * 2; g < part * 2 + 2; ++g) {
    v->s[g % 2] = ((b.groups[g % 8] >> (g / 8 * 4) & 15) | (b.groups[8 + g % 4] >> (g / 4 * 2) & 3) << 4) - 32;
  }
  for (int i = 0; i < 32; ++i)
    v->w[i] = (b.quants[part / 4 * 32 + i] >> (part % 4 * 2) & 3) - ((b.high[i] >> part & 1) ^ 1) * 4;
}
void values(const BlockQ2_K& b, int part, Values* v) {
  v->d = half_to_float(b.scale);
  v->m = -half_to_float(b.minimum);
  for (int g = 0; g < 2; ++g) v->s[g] = b.groups[part * 2 + g] & 15, v->ms[g] = b.groups[part * 2 + g] >> 4;
  for (int i = 0; i < 32; ++i) v->w[i] = b.quants[part / 4 * 32 + i] >> (part % 4 * 2) & 3;
}

// acc + one block's contribution.
template <bool kMin>
float absorb(float acc, const Values& v, const Quantized& x, int b) {
  const int8_t* q = x.q + b * 32;
  uint32_t isum = 0;
  for (int i = 0; i < 32; ++i) isum += static_cast<uint32_t>(v.s[i / 16] * v.w[i]) * static_cast<uint32_t>(q[i]);
  acc = std::fma(v.d * x.d[b], static_cast<float>(static_cast<int32_t>(isum)), acc);
  if constexpr (!kMin) return acc;
  return std::fma(v.m, x.d[b] * static_cast<float>(v.ms[0] * x.parts[2 * b] + v.ms[1] * x.parts[2 * b + 1]), acc);
}

template <class Block>
void matmul(const Matmul& args) {
  constexpr int kParts = sizeof(Block) > 40 ? 8 : 1;  // of 32 values
  constexpr bool kMin = requires(Block b) { b.minimum; };
  constexpr int kTokens = 64;  // that share the reading of a row
  for (int first = 0; first < args.tokens; first += kTokens) {
    const int count = args.tokens - first < kTokens ? args.tokens - first : kTokens;
    for (int r = args.row_begin; r < args.row_end; ++r) {
      const auto* row = reinterpret_cast<const Block*>(args.weights + r * args.row_bytes);
      float high[kTokens] = {}, low[kTokens] = {};
      for (int b = 0; b < args.k / 32; ++b) {
        Values v;
        values(row[b / kParts], b % kParts, &v);
        for (int t = 0; t < count; ++t) {
          const Activations x = args.x.from(first + t, args.k);
          high[t] = absorb<kMin>(high[t], v, x.high, b);
          if (x.fine[b / kFineWord] >> (b % kFineWord) & 1) low[t] = absorb<kMin>(low[t], v, x.low, b);
        }
      }
      for (int t = 0; t < count; ++t) args.y[(first + t) * args.y_stride + r] = high[t] + low[t];
    }
  }
}

}  // namespace

void matmul_q8_0(const Matmul& args) { matmul<BlockQ8_0>(args); }
void matmul_q4_0(const Matmul& args) { matmul<BlockQ4_0>(args); }
void matmul_q4_1(const Matmul& args) { matmul<BlockQ4_1>(args); }
void matmul_q5_0(const Matmul& args) { matmul<BlockQ5_0>(args); }
void matmul_q5_1(const Matmul& args) { matmul<BlockQ5_1>(args); }
void matmul_q2_k(const Matmul& args) { matmul<BlockQ2_K>(args); }
void matmul_q3_k(const Matmul& args) { matmul<BlockQ3_K>(args); }
void matmul_q4_k(const Matmul& args) { matmul<BlockQ4_K>(args); }
void matmul_q5_k(const Matmul& args) { matmul<BlockQ5_K>(args); }
void matmul_q6_k(const Matmul& args) { matmul<BlockQ6_K>(args); }
void matmul_iq4_xs(const Matmul& args) { matmul<BlockIQ4_XS>(args); }
void matmul_iq4_nl(const Matmul& args) { matmul<BlockIQ4_NL>(args); }
void matmul_mxfp4(const Matmul& args) { matmul<BlockMXFP4>(args); }

}  // namespace fieldprint::scalar
