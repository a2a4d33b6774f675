// Quantised weights times quantised activations with VNNI: vpdpbusd adds four products of an unsigned and a signed byte
// to a 32-bit lane, exactly. Signed weights are offset to unsigned ones, and the offset times the activations' sum is
// taken off again, in integers. The layout of panels is that of avx2/, with 16 rows across the lanes.
#include "kernels/avx512/avx512.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"

namespace fieldprint::avx512 {
namespace {

constexpr int kRows = 16;         // a panel's rows; one token alone takes 8 at a time
constexpr int kPanelBlocks = 32;  // blocks of 32 along k that a panel holds

inline int32_t load_i32(const void* p) {
  int32_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline short load_i16(const void* p) {
  short v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

// 16 bytes of nibbles -> 32 values 0..15 in element order (the low nibbles first).
inline __m256i nibbles(const uint8_t* qs) {
  const __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(qs)));
  return _mm256_and_si256(_mm256_srlv_epi64(twice, _mm256_setr_epi64x(0, 0, 4, 4)), _mm256_set1_epi8(15));
}

// 32 bits -> 32 bytes of 0 or 16.
inline __m256i fifth_bits(const uint8_t* qh) {
  const __m256i spread =
      _mm256_shuffle_epi8(_mm256_set1_epi32(load_i32(qh)),
                          _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), _mm256_set1_epi8(16));
}

// A format: its block, its 32 integers as unsigned bytes, what to subtract from them, whether it has a minimum.
struct Q4_0 {
  using Block = BlockQ4_0;
  static constexpr int kOffset = 8;
  static constexpr bool kMin = false;
  static __m256i unpack(const Block* b) { return nibbles(b->nibbles); }
};
struct Q4_1 {
  using Block = BlockQ4_1;
  static constexpr int kOffset = 0;
  static constexpr bool kMin = true;
  static __m256i unpack(const Block* b) { return nibbles(b->nibbles); }
};
struct Q5_0 {
  using Block = BlockQ5_0;
  static constexpr int kOffset = 16;
  static constexpr bool kMin = false;
  static __m256i unpack(const Block* b) { return _mm256_or_si256(nibbles(b->nibbles), fifth_bits(b->high)); }
};
struct Q5_1 {
  using Block = BlockQ5_1;
  static constexpr int kOffset = 0;
  static constexpr bool kMin = true;
  static __m256i unpack(const Block* b) { return _mm256_or_si256(nibbles(b->nibbles), fifth_bits(b->high)); }
};
struct Q8_0 {
  using Block = BlockQ8_0;
  static constexpr int kOffset = 128;
  static constexpr bool kMin = false;
  static __m256i unpack(const Block* b) { return _mm256_xor_si256(load(b->quants), _mm256_set1_epi8(-128)); }
};

// Eight rows' scales (and minima) of block b.
template <class Block>
inline void scales(const Block* const* row, int b, bool with_min, __m256* d, __m256* m) {
  if (with_min) {
    const __m256i both =
        _mm256_setr_epi32(load_i32(row[0] + b), load_i32(row[1] + b), load_i32(row[2] + b), load_i32(row[3] + b),
                          load_i32(row[4] + b), load_i32(row[5] + b), load_i32(row[6] + b), load_i32(row[7] + b));
    const __m256i split = _mm256_permute4x64_epi64(
        _mm256_packus_epi32(_mm256_and_si256(both, _mm256_set1_epi32(0xffff)), _mm256_srli_epi32(both, 16)), 0xd8);
    *d = _mm256_cvtph_ps(_mm256_castsi256_si128(split));
    *m = _mm256_cvtph_ps(_mm256_extracti128_si256(split, 1));
  } else {
    *d = _mm256_cvtph_ps(_mm_setr_epi16(load_i16(row[0] + b), load_i16(row[1] + b), load_i16(row[2] + b),
                                        load_i16(row[3] + b), load_i16(row[4] + b), load_i16(row[5] + b),
                                        load_i16(row[6] + b), load_i16(row[7] + b)));
    *m = _mm256_setzero_ps();
  }
}

// Eight vectors of eight partial sums -> the eight totals, row r in lane r.
inline __m256i totals(const __m256i* p) {
  const __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(p[0], p[1]), _mm256_hadd_epi32(p[2], p[3]));
  const __m256i high = _mm256_hadd_epi32(_mm256_hadd_epi32(p[4], p[5]), _mm256_hadd_epi32(p[6], p[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

template <class F>
void one_token(const Matmul& args) {
  const int blocks = args.k / 32;
  for (int first = args.row_begin; first < args.row_end; first += 8) {
    const int count = args.row_end - first < 8 ? args.row_end - first : 8;
    const typename F::Block* row[8];
    for (int r = 0; r < 8; ++r) {
      row[r] = reinterpret_cast<const typename F::Block*>(args.weights + int64_t{first + (r < count ? r : count - 1)} *
                                                                             args.row_bytes);
    }
    __m256 acc = _mm256_setzero_ps(), d, m;
    for (int b = 0; b < blocks; ++b) {
      const auto sums = [&](const int8_t* q) {
        const __m256i x = load(q + b * 32);
        __m256i p[8];
        for (int r = 0; r < 8; ++r) p[r] = _mm256_dpbusd_epi32(_mm256_setzero_si256(), F::unpack(row[r] + b), x);
        return totals(p);
      };
      __m256i isum = sums(args.x.q);
      if (args.x.fine[b])
        isum = _mm256_add_epi32(_mm256_mullo_epi32(isum, _mm256_set1_epi32(kFineSteps)), sums(args.x.q_low));
      if constexpr (F::kOffset != 0) isum = _mm256_sub_epi32(isum, _mm256_set1_epi32(F::kOffset * args.x.sum[b]));
      scales(row, b, F::kMin, &d, &m);
      const float dx = args.x.d[b];
      acc = _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(dx)), _mm256_cvtepi32_ps(isum), acc);
      if constexpr (F::kMin) acc = _mm256_fmadd_ps(m, _mm256_set1_ps(dx * static_cast<float>(args.x.sum[b])), acc);
    }
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, acc);
    for (int r = 0; r < count; ++r) args.y[first + r] = lanes[r];
  }
}

// A panel: kPanelBlocks blocks of 16 rows, unpacked; values[b][i] holds bytes 4i .. 4i+3 of every row's block b.
struct alignas(64) Panel {
  __m512i values[kPanelBlocks][8];
  __m512 d[kPanelBlocks];
  __m512 m[kPanelBlocks];
};
static_assert(sizeof(Panel) <= kScratchBytes);

inline void transpose(__m256i* v) {  // 8 x 8 words of 32 bits
  __m256i t[8], u[8];
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
  for (int h = 0; h < 2; ++h) {
    u[4 * h + 0] = _mm256_unpacklo_epi64(t[4 * h], t[4 * h + 2]);
    u[4 * h + 1] = _mm256_unpackhi_epi64(t[4 * h], t[4 * h + 2]);
    u[4 * h + 2] = _mm256_unpacklo_epi64(t[4 * h + 1], t[4 * h + 3]);
    u[4 * h + 3] = _mm256_unpackhi_epi64(t[4 * h + 1], t[4 * h + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_permute2x128_si256(u[i], u[4 + i], 0x20);
    v[4 + i] = _mm256_permute2x128_si256(u[i], u[4 + i], 0x31);
  }
}

inline __m512i join(__m256i low, __m256i high) { return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1); }
inline __m512 join(__m256 low, __m256 high) {
  return _mm512_castsi512_ps(join(_mm256_castps_si256(low), _mm256_castps_si256(high)));
}

template <class F>
void unpack_panel(const Matmul& args, int first, int first_block, int blocks, Panel* panel) {
  const int count = args.row_end - first < kRows ? args.row_end - first : kRows;
  const typename F::Block* row[kRows];
  for (int r = 0; r < kRows; ++r) {
    row[r] = reinterpret_cast<const typename F::Block*>(args.weights +
                                                        int64_t{first + (r < count ? r : count - 1)} * args.row_bytes) +
             first_block;
  }
  for (int b = 0; b < blocks; ++b) {
    __m256i half[2][8];
    __m256 d[2], m[2];
    for (int h = 0; h < 2; ++h) {
      for (int r = 0; r < 8; ++r) half[h][r] = F::unpack(row[8 * h + r] + b);
      transpose(half[h]);
      scales(row + 8 * h, b, F::kMin, &d[h], &m[h]);
    }
    for (int i = 0; i < 8; ++i) panel->values[b][i] = join(half[0][i], half[1][i]);
    panel->d[b] = join(d[0], d[1]);
    panel->m[b] = join(m[0], m[1]);
  }
}

// Adds the products of one block with T tokens' bytes at `q` to isum.
template <int T>
inline void panel_block(const __m512i* values, const int8_t* q, int64_t stride, __m512i* isum) {
  for (int i = 0; i < 8; ++i) {
    for (int t = 0; t < T; ++t) {
      isum[t] = _mm512_dpbusd_epi32(isum[t], values[i], _mm512_set1_epi32(load_i32(q + t * stride + 4 * i)));
    }
  }
}

// T tokens, from token `token` on, times a panel that begins at block b0.
template <class F, int T>
inline void panel_tile(const Panel& panel, int b0, int count, const Matmul& args, int row, int token, __mmask16 mask) {
  const int blocks = args.k / 32;
  const int64_t q0 = int64_t{token} * args.k + b0 * 32, block0 = int64_t{token} * blocks + b0;
  float* y = args.y + token * args.y_stride + row;
  __m512 acc[T];
  for (int t = 0; t < T; ++t)
    acc[t] = b0 == 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, y + t * args.y_stride);
  for (int b = 0; b < count; ++b) {
    __m512i isum[T];
    for (int t = 0; t < T; ++t) isum[t] = _mm512_setzero_si512();
    panel_block<T>(panel.values[b], args.x.q + q0 + b * 32, args.k, isum);
    for (int t = 0; t < T; ++t) {
      const int64_t at = block0 + int64_t{t} * blocks + b;
      if (args.x.fine[at]) {
        __m512i low[1] = {_mm512_setzero_si512()};
        panel_block<1>(panel.values[b], args.x.q_low + q0 + int64_t{t} * args.k + b * 32, args.k, low);
        isum[t] = _mm512_add_epi32(_mm512_mullo_epi32(isum[t], _mm512_set1_epi32(kFineSteps)), low[0]);
      }
      const float scale = args.x.d[at];
      const int32_t sum = args.x.sum[at];
      if constexpr (F::kOffset != 0) isum[t] = _mm512_sub_epi32(isum[t], _mm512_set1_epi32(F::kOffset * sum));
      acc[t] = _mm512_fmadd_ps(_mm512_mul_ps(panel.d[b], _mm512_set1_ps(scale)), _mm512_cvtepi32_ps(isum[t]), acc[t]);
      if constexpr (F::kMin) {
        acc[t] = _mm512_fmadd_ps(panel.m[b], _mm512_set1_ps(scale * static_cast<float>(sum)), acc[t]);
      }
    }
  }
  for (int t = 0; t < T; ++t) _mm512_mask_storeu_ps(y + t * args.y_stride, mask, acc[t]);
}

template <class F>
void many_tokens(const Matmul& args) {
  const int blocks = args.k / 32;
  auto* panel = reinterpret_cast<Panel*>(args.scratch);
  for (int b0 = 0; b0 < blocks; b0 += kPanelBlocks) {
    const int count = blocks - b0 < kPanelBlocks ? blocks - b0 : kPanelBlocks;
    for (int row = args.row_begin; row < args.row_end; row += kRows) {
      unpack_panel<F>(args, row, b0, count, panel);
      const int rows = args.row_end - row < kRows ? args.row_end - row : kRows;
      const auto mask = static_cast<__mmask16>((1u << rows) - 1);
      int t = 0;
      for (; t + 8 <= args.tokens; t += 8) panel_tile<F, 8>(*panel, b0, count, args, row, t, mask);
      if (t + 4 <= args.tokens) panel_tile<F, 4>(*panel, b0, count, args, row, t, mask), t += 4;
      for (; t < args.tokens; ++t) panel_tile<F, 1>(*panel, b0, count, args, row, t, mask);
    }
  }
}

template <class F>
void matmul(const Matmul& args) {
  if (args.tokens == 1) one_token<F>(args);
  else many_tokens<F>(args);
}

}  // namespace

void matmul_q8_0(const Matmul& args) { matmul<Q8_0>(args); }
void matmul_q4_0(const Matmul& args) { matmul<Q4_0>(args); }
void matmul_q4_1(const Matmul& args) { matmul<Q4_1>(args); }
void matmul_q5_0(const Matmul& args) { matmul<Q5_0>(args); }
void matmul_q5_1(const Matmul& args) { matmul<Q5_1>(args); }

}  // namespace fieldprint::avx512
