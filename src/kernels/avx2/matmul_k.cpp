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

// out[g] = scale * group scale g: products of 11 and 6 bits, exact.
inline void float_scales(__m256 scale, const uint8_t (*groups)[8], __m256* out) {
  __m256i g[8];
  across(groups, g);
  for (int i = 0; i < 8; ++i) out[i] = _mm256_mul_ps(scale, _mm256_cvtepi32_ps(g[i]));
}

// Byte i of every lane as a float, times `factor`.
inline __m256 byte_times(__m256i bytes, int i, __m256 factor) {
  const __m256i pick = _mm256_set1_epi32(static_cast<int>(0x80808000u | static_cast<unsigned>(i)));
  const __m256i lanes = _mm256_setr_epi32(0, 0x04, 0x08, 0x0c, 0, 0x04, 0x08, 0x0c);
  return _mm256_mul_ps(factor, _mm256_cvtepi32_ps(_mm256_shuffle_epi8(bytes, _mm256_add_epi32(pick, lanes))));
}

// Q4_K and Q5_K begin with 16 bytes: scale, minimum, and twelve bytes that hold 8 scales and 8 minima of 6 bits.
template <class F>
inline void six_bit_scales(const RowPointers<F>& rows, int at, Scales<F>* s) {
  // Rows r and r + 4 side by side, then words across the lanes: word i of row r in lane r of v[i].
  __m256i two[4], v[4];
  for (int r = 0; r < 4; ++r) {
    const auto* low = reinterpret_cast<const __m128i*>(rows.row[r] + at);
    const auto* high = reinterpret_cast<const __m128i*>(rows.row[r + 4] + at);
    two[r] = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
  }
  const __m256i a = _mm256_unpacklo_epi32(two[0], two[1]), b = _mm256_unpacklo_epi32(two[2], two[3]);
  const __m256i c = _mm256_unpackhi_epi32(two[0], two[1]), d = _mm256_unpackhi_epi32(two[2], two[3]);
  v[0] = _mm256_unpacklo_epi64(a, b), v[1] = _mm256_unpackhi_epi64(a, b);
  v[2] = _mm256_unpacklo_epi64(c, d), v[3] = _mm256_unpackhi_epi64(c, d);
  const __m256i packed = _mm256_permute4x64_epi64(
      _mm256_packus_epi32(_mm256_and_si256(v[0], _mm256_set1_epi32(0xffff)), _mm256_srli_epi32(v[0], 16)), 0xd8);
  const __m256 scale = _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
  const __m256 minimum = _mm256_xor_ps(_mm256_cvtph_ps(_mm256_extracti128_si256(packed, 1)), _mm256_set1_ps(-0.0f));
  const __m256i six = _mm256_set1_epi8(0x3f), four = _mm256_set1_epi8(0x0f), top = _mm256_set1_epi8(0x30);
  const __m256i scales[2] = {
      _mm256_and_si256(v[1], six),
      _mm256_or_si256(_mm256_and_si256(v[3], four), _mm256_and_si256(_mm256_srli_epi32(v[1], 2), top))};
  const __m256i minima[2] = {_mm256_and_si256(v[2], six),
                             _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi32(v[3], 4), four),
                                             _mm256_and_si256(_mm256_srli_epi32(v[2], 2), top))};
  for (int i = 0; i < 8; ++i) {
    s->d[i] = byte_times(scales[i / 4], i % 4, scale);
    s->m[i] = byte_times(minima[i / 4], i % 4, minimum);
  }
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
    float_scales(halves([&](int r) { return &rows.row[r][at].scale; }), groups, s->d);
  }
};

// Sixteen integer scales a row: to words, kept for the products and as pairs across the rows.
template <class F>
inline void integer_scales(const __m256i* words, Scales<F>* s) {
  for (int r = 0; r < kRows; ++r) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(s->words[r]), words[r]);
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
