// The formats of one block of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, and the tables IQ4_NL and MXFP4.
#include "kernels/avx2/quant_matmul.h"
#include "quant/iq4_nl.h"
#include "quant/mxfp4.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"

namespace fieldprint::avx2 {
namespace {

template <class F>
inline void only_scale(const RowPointers<F>& rows, int at, Scales<F>* s) {
  s->d[0] = halves([&](int r) { return &rows.row[r][at].scale; });
}

// Scale and minimum lie side by side at the block's start.
template <class F>
inline void scale_and_minimum(const RowPointers<F>& rows, int at, Scales<F>* s) {
  const auto* const* row = rows.row;
  const __m256i both =
      _mm256_setr_epi32(load_i32(row[0] + at), load_i32(row[1] + at), load_i32(row[2] + at), load_i32(row[3] + at),
                        load_i32(row[4] + at), load_i32(row[5] + at), load_i32(row[6] + at), load_i32(row[7] + at));
  const __m256i split = _mm256_permute4x64_epi64(
      _mm256_packus_epi32(_mm256_and_si256(both, _mm256_set1_epi32(0xffff)), _mm256_srli_epi32(both, 16)), 0xd8);
  s->d[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(split));
  s->m[0] = _mm256_cvtph_ps(_mm256_extracti128_si256(split, 1));
}

struct Q4_0 {
  using Block = BlockQ4_0;
  static constexpr int kOffset = 8, kBits = 4;
  static constexpr int kSuper = 1, kGroups = 1;
  static constexpr bool kMin = false;
  template <int>
  static __m256i unpack(const Block* b) {
    return nibbles(b->nibbles);
  }
  static void scales(const RowPointers<Q4_0>& rows, int at, Scales<Q4_0>* s) { only_scale(rows, at, s); }
};
struct Q4_1 {
  using Block = BlockQ4_1;
  static constexpr int kOffset = 0, kBits = 4;
  static constexpr int kSuper = 1, kGroups = 1;
  static constexpr bool kMin = true;
  template <int>
  static __m256i unpack(const Block* b) {
    return nibbles(b->nibbles);
  }
  static void scales(const RowPointers<Q4_1>& rows, int at, Scales<Q4_1>* s) { scale_and_minimum(rows, at, s); }
};
struct Q5_0 {
  using Block = BlockQ5_0;
  static constexpr int kOffset = 16, kBits = 5;
  static constexpr int kSuper = 1, kGroups = 1;
  static constexpr bool kMin = false;
  template <int>
  static __m256i unpack(const Block* b) {
    return _mm256_or_si256(nibbles(b->nibbles), fifth_bits(b->high));
  }
  static void scales(const RowPointers<Q5_0>& rows, int at, Scales<Q5_0>* s) { only_scale(rows, at, s); }
};
struct Q5_1 {
  using Block = BlockQ5_1;
  static constexpr int kOffset = 0, kBits = 5;
  static constexpr int kSuper = 1, kGroups = 1;
  static constexpr bool kMin = true;
  template <int>
  static __m256i unpack(const Block* b) {
    return _mm256_or_si256(nibbles(b->nibbles), fifth_bits(b->high));
  }
  static void scales(const RowPointers<Q5_1>& rows, int at, Scales<Q5_1>* s) { scale_and_minimum(rows, at, s); }
};
struct Q8_0 {  // signed bytes would saturate in 8-bit products: 16-bit ones are exact
  using Block = BlockQ8_0;
  static constexpr int kOffset = 0, kBits = 8;
  static constexpr int kSuper = 1, kGroups = 1;
  static constexpr bool kMin = false;
  template <int>
  static __m256i words(const Block* b, int half) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b->quants) + half));
  }
  static void scales(const RowPointers<Q8_0>& rows, int at, Scales<Q8_0>* s) { only_scale(rows, at, s); }
};

// A table of 16 numbers of at most 8 bits, in words.
struct IQ4_NL {
  using Block = BlockIQ4_NL;
  static constexpr int kOffset = 0, kBits = 8;
  static constexpr int kSuper = 1, kGroups = 1;
  static constexpr bool kMin = false;
  template <int>
  static __m256i words(const Block* b, int half) {
    return table_words(kIq4Levels, b->nibbles, half);
  }
  static void scales(const RowPointers<IQ4_NL>& rows, int at, Scales<IQ4_NL>* s) { only_scale(rows, at, s); }
};
struct MXFP4 {  // 12 more than the doubled values
  using Block = BlockMXFP4;
  static constexpr int kOffset = 12, kBits = 5;
  static constexpr int kSuper = 1, kGroups = 1;
  static constexpr bool kMin = false;
  template <int>
  static __m256i unpack(const Block* b) {
    const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kE2m1Doubled)));
    return _mm256_shuffle_epi8(_mm256_add_epi8(table, _mm256_set1_epi8(12)), nibbles(b->nibbles));
  }
  static void scales(const RowPointers<MXFP4>& rows, int at, Scales<MXFP4>* s) {
    // 2^(exponent - 128): below 2 the half of it is subnormal.
    const auto code = [&](int r) { return int{rows.row[r][at].exponent}; };
    const __m256i e = _mm256_setr_epi32(code(0), code(1), code(2), code(3), code(4), code(5), code(6), code(7));
    const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    const __m256i subnormal = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
    s->d[0] = _mm256_castsi256_ps(_mm256_blendv_epi8(normal, subnormal, _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e)));
  }
};

}  // namespace

void matmul_q8_0(const Matmul& args) { matmul<Q8_0>(args); }
void matmul_q4_0(const Matmul& args) { matmul<Q4_0>(args); }
void matmul_q4_1(const Matmul& args) { matmul<Q4_1>(args); }
void matmul_q5_0(const Matmul& args) { matmul<Q5_0>(args); }
void matmul_q5_1(const Matmul& args) { matmul<Q5_1>(args); }
void matmul_iq4_nl(const Matmul& args) { matmul<IQ4_NL>(args); }
void matmul_mxfp4(const Matmul& args) { matmul<MXFP4>(args); }

}  // namespace fieldprint::avx2
