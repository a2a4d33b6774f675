// Quantised weights times quantised activations. Eight weight rows lie across the lanes of a register, so that a block's
// eight integer sums, and the one fma that follows, are one operation each; this is the order the contract asks for.
//
// One token: rows are read as they lie in the file, each block's products reduced across rows.
// Several tokens: eight rows are unpacked into a panel (four bytes, or two 16-bit words, of each row side by side) which
// stays in L1 while all tokens pass.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q8_0.h"

namespace fieldprint::avx2 {
namespace {

constexpr int kRows = 8;          // a panel's rows
constexpr int kPanelBlocks = 32;  // blocks of 32 along k that a panel holds
constexpr int kTokenGroup = 64;   // tokens whose widened activations stay in L2

inline uint16_t load_u16(const void* p) {
  uint16_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline int32_t load_i32(const void* p) {
  int32_t v;
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
  const __m256i spread = _mm256_shuffle_epi8(
      _mm256_set1_epi32(load_i32(qh)), _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), _mm256_set1_epi8(16));
}

// A format: its block, its 32 integers as bytes, what to subtract from them, whether it has a minimum.
struct Q4_0 {
  using Block = BlockQ4_0;
  static constexpr int kOffset = 8, kBits = 4;
  static constexpr bool kMin = false;
  static __m256i unpack(const Block* b) { return nibbles(b->nibbles); }
};
struct Q4_1 {
  using Block = BlockQ4_1;
  static constexpr int kOffset = 0, kBits = 4;
  static constexpr bool kMin = true;
  static __m256i unpack(const Block* b) { return nibbles(b->nibbles); }
};
struct Q5_0 {
  using Block = BlockQ5_0;
  static constexpr int kOffset = 16, kBits = 5;
  static constexpr bool kMin = false;
  static __m256i unpack(const Block* b) { return _mm256_or_si256(nibbles(b->nibbles), fifth_bits(b->high)); }
};
struct Q5_1 {
  using Block = BlockQ5_1;
  static constexpr int kOffset = 0, kBits = 5;
  static constexpr bool kMin = true;
  static __m256i unpack(const Block* b) { return _mm256_or_si256(nibbles(b->nibbles), fifth_bits(b->high)); }
};
struct Q8_0 {  // signed bytes would saturate in 8-bit products: 16-bit ones are exact
  using Block = BlockQ8_0;
  static constexpr int kOffset = 0, kBits = 8;
  static constexpr bool kMin = false;
  static __m256i unpack(const Block* b) { return load(b->quants); }
};

template <class F>
struct RowPointers {
  const typename F::Block* row[kRows];
  __m256i mask;  // lanes that are rows; the others repeat the last row

  RowPointers(const Matmul& args, int first) {
    const int count = args.row_end - first < kRows ? args.row_end - first : kRows;
    for (int r = 0; r < kRows; ++r) {
      const int64_t index = first + (r < count ? r : count - 1);
      row[r] = reinterpret_cast<const typename F::Block*>(args.weights + index * args.row_bytes);
    }
    mask = lane_mask(count);
  }
};

// The eight rows' scales (and minima) of block b.
template <class F>
inline void scales(const RowPointers<F>& rows, int b, __m256* d, __m256* m) {
  const auto* const* row = rows.row;
  if constexpr (F::kMin) {
    const __m256i both = _mm256_setr_epi32(load_i32(row[0] + b), load_i32(row[1] + b), load_i32(row[2] + b), load_i32(row[3] + b),
                                           load_i32(row[4] + b), load_i32(row[5] + b), load_i32(row[6] + b), load_i32(row[7] + b));
    const __m256i split = _mm256_permute4x64_epi64(
        _mm256_packus_epi32(_mm256_and_si256(both, _mm256_set1_epi32(0xffff)), _mm256_srli_epi32(both, 16)), 0xd8);
    *d = _mm256_cvtph_ps(_mm256_castsi256_si128(split));
    *m = _mm256_cvtph_ps(_mm256_extracti128_si256(split, 1));
  } else {
    const auto half = [&](int r) { return static_cast<short>(load_u16(row[r] + b)); };
    *d = _mm256_cvtph_ps(_mm_setr_epi16(half(0), half(1), half(2), half(3), half(4), half(5), half(6), half(7)));
    *m = _mm256_setzero_ps();
  }
}

// acc + the block's contribution, as the contract writes it.
template <class F>
inline __m256 absorb(__m256 acc, __m256i isum, __m256 d, __m256 m, float dx, int32_t sum) {
  if constexpr (F::kOffset != 0) isum = _mm256_sub_epi32(isum, _mm256_set1_epi32(F::kOffset * sum));
  const __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(dx));
  acc = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(isum), acc);
  if constexpr (F::kMin) acc = _mm256_fmadd_ps(m, _mm256_set1_ps(dx * static_cast<float>(sum)), acc);
  return acc;
}

// Eight vectors of eight partial sums -> the eight totals, row r in lane r.
inline __m256i totals(const __m256i* p) {
  const __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(p[0], p[1]), _mm256_hadd_epi32(p[2], p[3]));
  const __m256i high = _mm256_hadd_epi32(_mm256_hadd_epi32(p[4], p[5]), _mm256_hadd_epi32(p[6], p[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
}

// The same from 16-bit partial sums whose totals over eight lanes fit 16 bits.
inline __m256i totals_16(const __m256i* p) {
  const __m256i low = _mm256_hadd_epi16(_mm256_hadd_epi16(p[0], p[1]), _mm256_hadd_epi16(p[2], p[3]));
  const __m256i high = _mm256_hadd_epi16(_mm256_hadd_epi16(p[4], p[5]), _mm256_hadd_epi16(p[6], p[7]));
  const __m256i t = _mm256_hadd_epi16(low, high);
  return _mm256_add_epi32(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(t)), _mm256_cvtepi16_epi32(_mm256_extracti128_si256(t, 1)));
}

// A block's sums with 32 activations: bytes, or words where the format is multiplied in 16 bits.
template <class F, class Activation>
inline __m256i block_sums(const RowPointers<F>& rows, int b, const Activation* x) {
  __m256i p[kRows];
  if constexpr (F::kBits == 8) {
    const __m256i low = load(x), high = load(x + 16);
    for (int r = 0; r < kRows; ++r) {
      const auto* qs = reinterpret_cast<const __m128i*>(rows.row[r][b].quants);
      p[r] = _mm256_add_epi32(_mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(qs)), low),
                              _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(qs + 1)), high));
    }
    return totals(p);
  } else {
    const __m256i bytes = load(x);
    for (int r = 0; r < kRows; ++r) p[r] = _mm256_maddubs_epi16(F::unpack(rows.row[r] + b), bytes);
    if constexpr (F::kBits == 4) return totals_16(p);  // 16 products of at most 15 * 127 in a lane
    for (int r = 0; r < kRows; ++r) p[r] = _mm256_madd_epi16(p[r], _mm256_set1_epi16(1));
    return totals(p);
  }
}

inline __m256i combine(__m256i high, __m256i low) {
  return _mm256_add_epi32(_mm256_mullo_epi32(high, _mm256_set1_epi32(kFineSteps)), low);
}

// The activations of `blocks` blocks as 16-bit integers, the low parts of fine blocks included.
inline void widen(const int8_t* q, const int8_t* q_low, const uint8_t* fine, int blocks, int16_t* out) {
  for (int i = 0; i < blocks * 32; i += 16) {
    __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q + i)));
    if (fine[i / 32]) {
      const __m256i low = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q_low + i)));
      x = _mm256_add_epi16(_mm256_mullo_epi16(x, _mm256_set1_epi16(kFineSteps)), low);
    }
    _mm256_store_si256(reinterpret_cast<__m256i*>(out + i), x);
  }
}

template <class F>
void one_token(const Matmul& args) {
  const int blocks = args.k / 32;
  auto* x16 = reinterpret_cast<int16_t*>(args.scratch);
  if constexpr (F::kBits == 8) widen(args.x.q, args.x.q_low, args.x.fine, blocks, x16);
  for (int first = args.row_begin; first < args.row_end; first += kRows) {
    const RowPointers<F> rows(args, first);
    __m256 acc = _mm256_setzero_ps(), d, m;
    for (int b = 0; b < blocks; ++b) {
      scales(rows, b, &d, &m);
      __m256i isum;
      if constexpr (F::kBits == 8) {
        isum = block_sums(rows, b, x16 + b * 32);
      } else {
        isum = block_sums(rows, b, args.x.q + b * 32);
        if (args.x.fine[b]) isum = combine(isum, block_sums(rows, b, args.x.q_low + b * 32));
      }
      acc = absorb<F>(acc, isum, d, m, args.x.d[b], args.x.sum[b]);
    }
    _mm256_maskstore_ps(args.y + first, rows.mask, acc);
  }
}

// A panel: kPanelBlocks blocks of eight rows, unpacked.
template <class F>
struct alignas(64) Panel {
  static constexpr int kVectors = F::kBits == 8 ? 16 : 8;  // a block's
  __m256i values[kPanelBlocks][kVectors];
  __m256 d[kPanelBlocks];
  __m256 m[kPanelBlocks];
};

inline void transpose(__m256i* v) {  // 8 x 8 words of 32 bits
  __m256i t[8];
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
  __m256i u[8];
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

template <class F>
void unpack_panel(const RowPointers<F>& rows, int first_block, int blocks, Panel<F>* panel) {
  for (int b = 0; b < blocks; ++b) {
    scales(rows, first_block + b, &panel->d[b], &panel->m[b]);
    __m256i v[kRows];
    if constexpr (F::kBits == 8) {
      for (int half = 0; half < 2; ++half) {
        for (int r = 0; r < kRows; ++r) {
          v[r] = _mm256_cvtepi8_epi16(
              _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.row[r][first_block + b].quants) + half));
        }
        transpose(v);
        for (int i = 0; i < 8; ++i) panel->values[b][8 * half + i] = v[i];
      }
    } else {
      for (int r = 0; r < kRows; ++r) v[r] = F::unpack(rows.row[r] + first_block + b);
      transpose(v);
      for (int i = 0; i < 8; ++i) panel->values[b][i] = v[i];
    }
  }
}

// What a tile of tokens multiplies a panel with: 32-bit words of activations (four bytes, or two 16-bit words).
struct TileTokens {
  const std::byte* q;
  const std::byte* q_low;
  int64_t q_stride;  // bytes from token to token
  const float* d;
  const int32_t* sum;
  const uint8_t* fine;
  int64_t block_stride;
};

// Adds the products of one block with T tokens' words at `words` to isum.
template <class F, int T>
inline void panel_block(const __m256i* values, const std::byte* words, int64_t stride, __m256i* isum) {
  constexpr int kWords = Panel<F>::kVectors;
  if constexpr (F::kBits == 8) {
    for (int i = 0; i < kWords; ++i) {
      for (int t = 0; t < T; ++t) {
        const __m256i x = _mm256_set1_epi32(load_i32(words + t * stride + 4 * i));
        isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(values[i], x));
      }
    }
  } else {
    constexpr int kRun = F::kBits == 4 ? 8 : 4;  // byte products that 16 bits hold
    for (int i0 = 0; i0 < kWords; i0 += kRun) {
      __m256i p[T] = {};
      for (int i = i0; i < i0 + kRun; ++i) {
        for (int t = 0; t < T; ++t) {
          const __m256i x = _mm256_set1_epi32(load_i32(words + t * stride + 4 * i));
          p[t] = _mm256_add_epi16(p[t], _mm256_maddubs_epi16(values[i], x));
        }
      }
      for (int t = 0; t < T; ++t) isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(p[t], _mm256_set1_epi16(1)));
    }
  }
}

template <class F, int T>
inline void panel_tile(const Panel<F>& panel, int blocks, const TileTokens& x, float* y, int64_t y_stride, __m256i mask, bool first) {
  constexpr int kBlockBytes = Panel<F>::kVectors * 4;
  __m256 acc[T];
  for (int t = 0; t < T; ++t) acc[t] = first ? _mm256_setzero_ps() : _mm256_maskload_ps(y + t * y_stride, mask);
  for (int b = 0; b < blocks; ++b) {
    __m256i isum[T] = {};
    panel_block<F, T>(panel.values[b], x.q + b * kBlockBytes, x.q_stride, isum);
    if constexpr (F::kBits != 8) {  // 16-bit words hold fine activations as they are
      for (int t = 0; t < T; ++t) {
        if (!x.fine[t * x.block_stride + b]) continue;
        __m256i low[1] = {};
        panel_block<F, 1>(panel.values[b], x.q_low + t * x.q_stride + b * kBlockBytes, x.q_stride, low);
        isum[t] = combine(isum[t], low[0]);
      }
    }
    for (int t = 0; t < T; ++t) {
      acc[t] = absorb<F>(acc[t], isum[t], panel.d[b], panel.m[b], x.d[t * x.block_stride + b], x.sum[t * x.block_stride + b]);
    }
  }
  for (int t = 0; t < T; ++t) _mm256_maskstore_ps(y + t * y_stride, mask, acc[t]);
}

template <class F>
void many_tokens(const Matmul& args) {
  const int blocks = args.k / 32;
  auto* panel = reinterpret_cast<Panel<F>*>(args.scratch);
  auto* x16 = reinterpret_cast<int16_t*>(args.scratch + sizeof(Panel<F>));
  static_assert(sizeof(Panel<F>) + kTokenGroup * kPanelBlocks * 32 * sizeof(int16_t) <= kScratchBytes);
  const int group_size = F::kBits == 8 ? kTokenGroup : args.tokens;

  for (int group = 0; group < args.tokens; group += group_size) {
    const int tokens = args.tokens - group < group_size ? args.tokens - group : group_size;
    for (int b0 = 0; b0 < blocks; b0 += kPanelBlocks) {
      const int count = blocks - b0 < kPanelBlocks ? blocks - b0 : kPanelBlocks;
      const int64_t q0 = int64_t{group} * args.k + b0 * 32, block0 = int64_t{group} * blocks + b0;
      TileTokens x = {reinterpret_cast<const std::byte*>(args.x.q + q0), reinterpret_cast<const std::byte*>(args.x.q_low + q0),
                      args.k, args.x.d + block0, args.x.sum + block0, args.x.fine + block0, blocks};
      if constexpr (F::kBits == 8) {
        for (int t = 0; t < tokens; ++t) {
          const int64_t at = q0 + int64_t{t} * args.k;
          widen(args.x.q + at, args.x.q_low + at, x.fine + int64_t{t} * blocks, count, x16 + t * kPanelBlocks * 32);
        }
        x.q = reinterpret_cast<const std::byte*>(x16);
        x.q_stride = kPanelBlocks * 32 * 2;
      }
      for (int row = args.row_begin; row < args.row_end; row += kRows) {
        const RowPointers<F> rows(args, row);
        unpack_panel(rows, b0, count, panel);
        float* y = args.y + int64_t{group} * args.y_stride + row;
        int t = 0;
        const auto tile = [&]<int T>() {
          const TileTokens at = {x.q + t * x.q_stride, x.q_low + t * x.q_stride, x.q_stride, x.d + int64_t{t} * blocks,
                                 x.sum + int64_t{t} * blocks, x.fine + int64_t{t} * blocks, blocks};
          panel_tile<F, T>(*panel, count, at, y + t * args.y_stride, args.y_stride, rows.mask, b0 == 0);
          t += T;
        };
        while (t + 4 <= tokens) tile.template operator()<4>();
        if (t + 2 <= tokens) tile.template operator()<2>();
        if (t < tokens) tile.template operator()<1>();
      }
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

}  // namespace fieldprint::avx2
