// The formats of blocks of 256: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS. The integer scales of a block's groups become
// floats (Q4_K, Q5_K, IQ4_XS: one for 32 values, exact products) or stay integers, within the integer sum (one for 16
// values).
#include "kernels/avx2/quant_matmul.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_k.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"

namespace fieldprint::avx2 {
namespace {

inline __m256i bits(const uint8_t* bytes, int shift, int mask) {  // the bits from `shift` on, of 32 bytes
  return _mm256_and_si256(_mm256_srli_epi16(load(bytes), shift), _mm256_set1_epi8(static_cast<char>(mask)));
}

// Eight bytes of each row -> for each of the eight, the rows' as 32-bit words across the lanes.
inline void across(const uint8_t (*bytes)[8], __m256i* out) {
  for (int r = 0; r < kRows; ++r) {
    out[r] = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes[r])));
  }
  transpose(out);
}

// d[g] = scale * group scale g, and for a minimum m[g] = -minimum * group minimum g: products of 11 and 6 bits, exact.
template <class F>
inline void float_scales(__m256 scale, const uint8_t (*groups)[8], __m256* out) {
  __m256i g[8];
  across(groups, g);
  for (int i = 0; i < 8; ++i) out[i] = _mm256_mul_ps(scale, _mm256_cvtepi32_ps(g[i]));
}

template <class F>
inline void six_bit_scales(const RowPointers<F>& rows, int at, Scales<F>* s) {
  uint8_t scales[kRows][8], minima[kRows][8];
  for (int r = 0; r < kRows; ++r) {
    const uint8_t* g = rows.row[r][at].groups;
    uint32_t a, b, c;
    __builtin_memcpy(&a, g, 4);
    __builtin_memcpy(&b, g + 4, 4);
    __builtin_memcpy(&c, g + 8, 4);
    const uint32_t packed[4] = {a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | ((a >> 2) & 0x30303030), b & 0x3f3f3f3f,
                                ((c >> 4) & 0x0f0f0f0f) | ((b >> 2) & 0x30303030)};
    __builtin_memcpy(scales[r], packed, 8);
    __builtin_memcpy(minima[r], packed + 2, 8);
  }
  float_scales<F>(halves([&](int r) { return &rows.row[r][at].scale; }), scales, s->d);
  const __m256 minimum = halves([&](int r) { return &rows.row[r][at].minimum; });
  float_scales<F>(_mm256_xor_ps(minimum, _mm256_set1_ps(-0.0f)), minima, s->m);
}

struct Q4_K {
  using Block = BlockQ4_K;
  static constexpr int kOffset = 0, kBits = 4, kSuper = 8, kGroups = 1;
  static constexpr bool kMin = true;
  template <int S>
  static __m256i unpack(const Block* b) {
    return bits(b->nibbles + S / 2 * 32, S % 2 * 4, 15);
  }
  static void scales(const RowPointers<Q4_K>& rows, int at, Scales<Q4_K>* s) { six_bit_scales(rows, at, s); }
};

struct Q5_K {
  using Block = BlockQ5_K;
  static constexpr int kOffset = 0, kBits = 5, kSuper = 8, kGroups = 1;
  static constexpr bool kMin = true;
  template <int S>
  static __m256i unpack(const Block* b) {
    const __m256i fifth = S < 4 ? _mm256_slli_epi16(load(b->high), S < 4 ? 4 - S : 0)
                                : _mm256_srli_epi16(load(b->high), S < 4 ? 0 : S - 4);
    return _mm256_or_si256(bits(b->nibbles + S / 2 * 32, S % 2 * 4, 15), _mm256_and_si256(fifth, _mm256_set1_epi8(16)));
  }
  static void scales(const RowPointers<Q5_K>& rows, int at, Scales<Q5_K>* s) { six_bit_scales(rows, at, s); }
};

struct IQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr int kOffset = 0, kBits = 8, kSuper = 8, kGroups = 1;
  static constexpr bool kMin = false;
  template <int S>
  static __m256i words(const Block* b, int half) {
    return table_words(kIq4Levels, b->nibbles + S * 16, half);
  }
  static void scales(const RowPointers<IQ4_XS>& rows, int at, Scales<IQ4_XS>* s) {
    uint8_t groups[kRows][8];
    for (int r = 0; r < kRows; ++r) {
      const Block& b = rows.row[r][at];
      for (int g = 0; g < 8; ++g) {
        const int low = b.groups_low[g / 2] >> (g % 2 * 4) & 15, high = b.groups_high >> (g * 2) & 3;
        groups[r][g] = static_cast<uint8_t>((low | high << 4) - 32);
      }
    }
    float_scales<IQ4_XS>(halves([&](int r) { return &rows.row[r][at].scale; }), groups, s->d);
  }
};

// Sixteen integer scales a row: to words, kept for the products and as pairs across the rows.
template <class F>
inline void integer_scales(const __m256i* words, Scales<F>* s) {
  for (int r = 0; r < kRows; ++r) {
    s->low[r] = _mm256_permute2x128_si256(words[r], words[r], 0x00);
    s->high[r] = _mm256_permute2x128_si256(words[r], words[r], 0x11);
    s->pair[r] = words[r];
  }
  transpose(s->pair);
}

template <class F>
inline void same_scale(const RowPointers<F>& rows, int at, Scales<F>* s) {
  const __m256 d = halves([&](int r) { return &rows.row[r][at].scale; });
  for (int i = 0; i < F::kSuper; ++i) s->d[i] = d;
}

struct Q6_K {
  using Block = BlockQ6_K;
  static constexpr int kOffset = 32, kBits = 6, kSuper = 8, kGroups = 2;
  static constexpr bool kMin = false;
  template <int S>
  static __m256i unpack(const Block* b) {
    const __m256i high = load(b->high + S / 4 * 32);
    constexpr int kShift = S % 4 * 2;  // to bits 4 and 5
    const __m256i top = kShift <= 4 ? _mm256_slli_epi16(high, kShift <= 4 ? 4 - kShift : 0)
                                    : _mm256_srli_epi16(high, kShift <= 4 ? 0 : kShift - 4);
    return _mm256_or_si256(bits(b->nibbles + S / 4 * 64 + S % 2 * 32, S / 2 % 2 * 4, 15),
                           _mm256_and_si256(top, _mm256_set1_epi8(0x30)));
  }
  static void scales(const RowPointers<Q6_K>& rows, int at, Scales<Q6_K>* s) {
    __m256i words[kRows];
    for (int r = 0; r < kRows; ++r) {
      words[r] = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.row[r][at].groups)));
    }
    integer_scales(words, s);
    same_scale(rows, at, s);
  }
};

struct Q3_K {
  using Block = BlockQ3_K;
  static constexpr int kOffset = 4, kBits = 4, kSuper = 8, kGroups = 2;
  static constexpr bool kMin = false;
  template <int S>
  static __m256i unpack(const Block* b) {
    const __m256i high = load(b->high);
    const __m256i third =
        S <= 2 ? _mm256_slli_epi16(high, S <= 2 ? 2 - S : 0) : _mm256_srli_epi16(high, S <= 2 ? 0 : S - 2);
    return _mm256_or_si256(bits(b->quants + S / 4 * 32, S % 4 * 2, 3), _mm256_and_si256(third, _mm256_set1_epi8(4)));
  }
  static void scales(const RowPointers<Q3_K>& rows, int at, Scales<Q3_K>* s) {
    __m256i words[kRows];
    for (int r = 0; r < kRows; ++r) {
      const uint8_t* g = rows.row[r][at].groups;
      uint32_t a, b, c;
      __builtin_memcpy(&a, g, 4);
      __builtin_memcpy(&b, g + 4, 4);
      __builtin_memcpy(&c, g + 8, 4);
      constexpr uint32_t kLow = 0x0f0f0f0f, kHigh = 0x30303030;
      const auto part = [](uint32_t x) { return static_cast<int>(x); };
      const __m128i packed =
          _mm_setr_epi32(part((a & kLow) | (c << 4 & kHigh)), part((b & kLow) | (c << 2 & kHigh)),
                         part((a >> 4 & kLow) | (c & kHigh)), part((b >> 4 & kLow) | (c >> 2 & kHigh)));
      words[r] = _mm256_cvtepi8_epi16(_mm_sub_epi8(packed, _mm_set1_epi8(32)));
    }
    integer_scales(words, s);
    same_scale(rows, at, s);
  }
};

struct Q2_K {
  using Block = BlockQ2_K;
  static constexpr int kOffset = 0, kBits = 4, kSuper = 8, kGroups = 2;
  static constexpr bool kMin = true;
  template <int S>
  static __m256i unpack(const Block* b) {
    return bits(b->quants + S / 4 * 32, S % 4 * 2, 3);
  }
  static void scales(const RowPointers<Q2_K>& rows, int at, Scales<Q2_K>* s) {
    __m256i words[kRows];
    for (int r = 0; r < kRows; ++r) {
      const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.row[r][at].groups));
      words[r] = _mm256_cvtepu8_epi16(_mm_and_si128(both, _mm_set1_epi8(15)));
      s->min_pair[r] = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(both, 4), _mm_set1_epi8(15)));
    }
    integer_scales(words, s);
    transpose(s->min_pair);
    same_scale(rows, at, s);
    const __m256 minimum = halves([&](int r) { return &rows.row[r][at].minimum; });
    for (int i = 0; i < kSuper; ++i) s->m[i] = _mm256_xor_ps(minimum, _mm256_set1_ps(-0.0f));
  }
};

}  // namespace

void matmul_q2_k(const Matmul& args) { matmul<Q2_K>(args); }
void matmul_q3_k(const Matmul& args) { matmul<Q3_K>(args); }
void matmul_q4_k(const Matmul& args) { matmul<Q4_K>(args); }
void matmul_q5_k(const Matmul& args) { matmul<Q5_K>(args); }
void matmul_q6_k(const Matmul& args) { matmul<Q6_K>(args); }
void matmul_iq4_xs(const Matmul& args) { matmul<IQ4_XS>(args); }

}  // namespace fieldprint::avx2
