// Quantised weights times quantised activations: exact integers within 32 values, the integer scales of groups of 16
// among them, then one fma. Integer sums are of 32 bits and wrap: no sum that a trained model makes comes near.
#include <cmath>
#include <type_traits>

#include "base/float16.h"
#include "kernels/scalar/scalar.h"
#include "quant/codebook.h"
#include "quant/iq1_m.h"
#include "quant/iq1_s.h"
#include "quant/iq2_s.h"
#include "quant/iq2_xs.h"
#include "quant/iq2_xxs.h"
#include "quant/iq3_s.h"
#include "quant/iq3_xxs.h"
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
#include "quant/tq1_0.h"
#include "quant/tq2_0.h"

namespace fieldprint::scalar {
namespace {

// 32 values: d * s[i / 16] * w[i] + m * ms[i / 16]; ms is looked at where every 16 values have a minimum.
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

// Codebook types: scales are odd numbers of eighths, quarters or ones, so a product with a half is exact.
template <size_t kWidth>
void signed_row(const CodebookRow<kWidth>& row, unsigned signs, int* w) {
  for (size_t i = 0; i < kWidth; ++i) w[i] = (signs >> i & 1) != 0 ? -row[i] : row[i];
}
// d, and the integer scales of two groups of 16 from one byte.
void odd_scales(uint16_t scale, uint8_t groups, Values* v) {
  v->d = half_to_float(scale) * 0.125f;
  v->s[0] = 2 * (groups & 15) + 1, v->s[1] = 2 * (groups >> 4) + 1;
}
void values(const BlockIQ2_XXS& b, int part, Values* v) {
  const auto& group = b.groups[part];
  const uint32_t bits = group.signs[0] | static_cast<uint32_t>(group.signs[1]) << 16;
  v->d = half_to_float(b.scale) * 0.125f * static_cast<float>(2 * (bits >> 28) + 1);
  for (int k = 0; k < 4; ++k) signed_row(kIq2XxsBook[group.rows[k]], even_signs(bits >> (7 * k)), v->w + 8 * k);
}
void values(const BlockIQ2_XS& b, int part, Values* v) {
  odd_scales(b.scale, b.groups[part], v);
  for (int k = 0; k < 4; ++k) {
    const uint16_t row = b.rows[4 * part + k];
    signed_row(kIq2XsBook[row & 511], even_signs(row >> 9), v->w + 8 * k);
  }
}
void values(const BlockIQ2_S& b, int part, Values* v) {
  odd_scales(b.scale, b.groups[part], v);
  for (int k = 0; k < 4; ++k) {
    const int high = b.rows_high[part] >> (2 * k) & 3;
    signed_row(kIq2SBook[b.rows[4 * part + k] | high << 8], b.signs[4 * part + k], v->w + 8 * k);
  }
}
void values(const BlockIQ3_XXS& b, int part, Values* v) {
  const uint32_t bits = b.signs[2 * part] | static_cast<uint32_t>(b.signs[2 * part + 1]) << 16;
  v->d = half_to_float(b.scale) * 0.25f * static_cast<float>(2 * (bits >> 28) + 1);
  for (int k = 0; k < 8; ++k)
    signed_row(kIq3XxsBook[b.rows[8 * part + k]], even_signs(bits >> (k / 2 * 7)) >> (k % 2 * 4), v->w + 4 * k);
}
void values(const BlockIQ3_S& b, int part, Values* v) {
  v->d = half_to_float(b.scale) * static_cast<float>(2 * (b.groups[part / 2] >> (part % 2 * 4) & 15) + 1);
  for (int k = 0; k < 8; ++k) {
    const int high = b.rows_high[part] >> k & 1;
    signed_row(kIq3SBook[b.rows[8 * part + k] | high << 8], b.signs[4 * part + k / 2] >> (k % 2 * 4), v->w + 4 * k);
  }
}
// row + delta = (8 * row + 1) / 8, or less by a quarter.
void shifted_row(const CodebookRow<8>& row, bool minus, int* w) {
  for (size_t i = 0; i < 8; ++i) w[i] = 8 * row[i] + (minus ? -1 : 1);
}
void values(const BlockIQ1_S& b, int part, Values* v) {
  const int group = b.groups[part];
  v->d = half_to_float(b.scale) * 0.125f * static_cast<float>(2 * (group >> 12 & 7) + 1);
  for (int k = 0; k < 4; ++k)
    shifted_row(kIq1Book[b.rows[4 * part + k] | (group >> (3 * k) & 7) << 8], (group >> 15) != 0, v->w + 8 * k);
}
void values(const BlockIQ1_M& b, int part, Values* v) {
  int scale = 0;
  for (int i = 0; i < 4; ++i) scale |= b.groups[i] >> 12 << (4 * i);
  v->d = half_to_float(static_cast<uint16_t>(scale)) * 0.125f;
  for (int g = 0; g < 2; ++g) v->s[g] = 2 * (b.groups[part / 2] >> (part % 2 * 6 + g * 3) & 7) + 1;
  for (int k = 0; k < 4; ++k) {
    const int high = b.rows_high[2 * part + k / 2] >> (k % 2 * 4);
    shifted_row(kIq1Book[b.rows[4 * part + k] | (high & 7) << 8], (high & 8) != 0, v->w + 8 * k);
  }
}

void values(const BlockTQ1_0& b, int part, Values* v) {
  static constexpr int kPowers[] = {1, 3, 9, 27, 81};
  const auto digit = [](uint8_t byte, int k) { return ((byte * kPowers[k] & 255) * 3 >> 8) - 1; };
  v->d = half_to_float(b.scale);
  for (int i = 0; i < 32; ++i) {
    const int at = part * 32 + i;
    v->w[i] = at < 160   ? digit(b.fives[i], part)
              : at < 240 ? digit(b.fives[32 + at % 16], (at - 160) / 16)
                         : digit(b.fours[at % 4], (at - 240) / 4);
  }
}
void values(const BlockTQ2_0& b, int part, Values* v) {
  v->d = half_to_float(b.scale);
  for (int i = 0; i < 32; ++i) v->w[i] = (b.quants[part / 4 * 32 + i] >> (part % 4 * 2) & 3) - 1;
}

// How a type's sums are formed.
template <class Block>
struct Kind {
  static constexpr int kParts = sizeof(Block) > 40 ? 8 : 1;  // of 32 values
  static constexpr bool kMin = requires(Block b) { b.minimum; };
  static constexpr bool kMinOf16 = std::is_same_v<Block, BlockQ2_K>;
  template <class... Blocks>
  static constexpr bool kOneOf = (std::is_same_v<Block, Blocks> || ...);
  static constexpr bool kScaleLast = kOneOf<BlockQ6_K, BlockQ3_K, BlockIQ2_XS, BlockIQ2_S, BlockIQ1_M>;
};

int32_t integer_sum(const Values& v, const int8_t* q) {
  uint32_t isum = 0;
  for (int i = 0; i < 32; ++i) isum += static_cast<uint32_t>(v.s[i / 16] * v.w[i]) * static_cast<uint32_t>(q[i]);
  return static_cast<int32_t>(isum);
}

// acc + one block's contribution.
template <class Block>
float add_block(float acc, const Values& v, const Quantized& x, int b) {
  const auto sum = static_cast<float>(integer_sum(v, x.q + b * 32));
  if constexpr (Kind<Block>::kMinOf16) {
    const auto least = static_cast<float>(v.ms[0] * x.half_sums[2 * b] + v.ms[1] * x.half_sums[2 * b + 1]);
    return std::fma(x.d[b], std::fma(v.m, least, v.d * sum), acc);
  }
  acc = std::fma(v.d * x.d[b], sum, acc);
  return Kind<Block>::kMin ? std::fma(v.m, x.sum[b], acc) : acc;
}

template <class Block>
void matmul(const Matmul& args) {
  constexpr int kParts = Kind<Block>::kParts;
  constexpr int kTokens = 64;  // that share the reading of a row
  for (int first = 0; first < args.tokens; first += kTokens) {
    const int count = args.tokens - first < kTokens ? args.tokens - first : kTokens;
    for (int r = args.row_begin; r < args.row_end; ++r) {
      const auto* row = reinterpret_cast<const Block*>(args.weights + r * args.row_bytes);
      float high[kTokens] = {}, residual[kTokens] = {}, unscaled[kTokens] = {};
      for (int b = 0; b < args.k / 32; ++b) {
        Values v;
        values(row[b / kParts], b % kParts, &v);
        for (int t = 0; t < count; ++t) {
          const Activations x = args.x.from(first + t, args.k);
          if constexpr (Kind<Block>::kScaleLast) {
            const auto sum = static_cast<float>(integer_sum(v, x.high.q + b * 32));
            unscaled[t] = std::fma(x.high.d[b], sum, unscaled[t]);
            if (b % kParts == kParts - 1) high[t] = std::fma(v.d, unscaled[t], high[t]), unscaled[t] = 0;
          } else {
            high[t] = add_block<Block>(high[t], v, x.high, b);
          }
          if (x.outliers[b / kOutlierWord] >> (b % kOutlierWord) & 1)
            residual[t] = add_block<Block>(residual[t], v, x.residual, b);
        }
      }
      for (int t = 0; t < count; ++t) args.y[(first + t) * args.y_stride + r] = high[t] + residual[t];
    }
  }
}

}  // namespace

#define MATMUL_FLOAT(name, stem)
#define MATMUL_TYPE(name, stem) \
  void matmul_##stem(const Matmul& args) { matmul<Block##name>(args); }
#include "kernels/matmul_types.def"

}  // namespace fieldprint::scalar
