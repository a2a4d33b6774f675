// Quantised weights times quantised activations, for any format of whole blocks. Eight weight rows lie across the lanes
// of a register, so that a block's eight integer sums, and the one fma that follows, are one operation each; this is
// the order the contract asks for.
//
// One token: rows are read as they lie in the file, each block's products reduced across rows.
// Several tokens: eight rows are unpacked into a panel (four bytes, or two 16-bit words, of each row side by side)
// which stays in L1 while all tokens pass.
//
// A format F is a struct of:
//   Block, kSuper       what a row is made of, and how many blocks of 32 it holds (1 or 8)
//   kBits               4, 5 or 6: unsigned bytes below 2^kBits, unpack<S>(); 8: 16-bit words, words<S>(block, half)
//   kOffset             what is to be subtracted from unpack's bytes
//   kMin                values have a minimum
//   kGroups             2: every 16 values have an integer scale (and minimum) of their own
//   scales(rows, i, s)  what block i of the eight rows is to be multiplied with
#pragma once

#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"

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

// The same through a table of 16 bytes; the lower or upper 16 values as words.
inline __m256i table_words(const int8_t* table, const uint8_t* qs, int half) {
  const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(qs));
  const __m128i index = _mm_and_si128(half == 0 ? packed : _mm_srli_epi16(packed, 4), _mm_set1_epi8(15));
  return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)), index));
}

// 32 bits -> 32 bytes of 0 or 16.
inline __m256i fifth_bits(const uint8_t* qh) {
  const __m256i spread =
      _mm256_shuffle_epi8(_mm256_set1_epi32(load_i32(qh)),
                          _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  return _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), _mm256_set1_epi8(16));
}

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

// What the integers of one Block of the eight rows are multiplied with; lane r is row r.
template <class F>
struct Scales {
  __m256 d[F::kSuper];  // by block of 32
  __m256 m[F::kSuper];  // kMin: what sum x is multiplied with
  __m256i pair[F::kSuper],
      min_pair[F::kSuper];               // kGroups == 2: the scales (minima) of both groups, as two 16-bit words
  alignas(32) int16_t words[kRows][16];  // kGroups == 2, of row r: the scales of all groups
};

// In F16, of eight rows: at(r) is the address.
template <class At>
inline __m256 halves(At&& at) {
  const auto half = [&](int r) { return static_cast<short>(load_u16(at(r))); };
  return _mm256_cvtph_ps(_mm_setr_epi16(half(0), half(1), half(2), half(3), half(4), half(5), half(6), half(7)));
}

// One token's activations of one block.
struct BlockActivations {
  float d;
  int32_t sum;
  int32_t parts, parts_low;  // the sums of 16 each, as two 16-bit words
  bool fine;
};

inline __m256i combine(__m256i high, __m256i low) {
  return _mm256_add_epi32(_mm256_mullo_epi32(high, _mm256_set1_epi32(kFineSteps)), low);
}

// pair . (sum x of group 0, sum x of group 1)
inline __m256i times_sums(__m256i pair, const BlockActivations& x) {
  const __m256i high = _mm256_madd_epi16(pair, _mm256_set1_epi32(x.parts));
  return x.fine ? combine(high, _mm256_madd_epi16(pair, _mm256_set1_epi32(x.parts_low))) : high;
}

// acc + the block's contribution, as the contract writes it.
template <class F>
inline __m256 absorb(__m256 acc, __m256i isum, __m256 d, __m256 m, __m256i pair, __m256i min_pair,
                     const BlockActivations& x) {
  if constexpr (F::kOffset != 0 && F::kGroups == 1)
    isum = _mm256_sub_epi32(isum, _mm256_set1_epi32(F::kOffset * x.sum));
  if constexpr (F::kOffset != 0 && F::kGroups == 2) {
    isum = _mm256_sub_epi32(isum, _mm256_mullo_epi32(times_sums(pair, x), _mm256_set1_epi32(F::kOffset)));
  }
  acc = _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(x.d)), _mm256_cvtepi32_ps(isum), acc);
  if constexpr (F::kMin && F::kGroups == 1)
    acc = _mm256_fmadd_ps(m, _mm256_set1_ps(x.d * static_cast<float>(x.sum)), acc);
  if constexpr (F::kMin && F::kGroups == 2) {
    acc = _mm256_fmadd_ps(m, _mm256_mul_ps(_mm256_set1_ps(x.d), _mm256_cvtepi32_ps(times_sums(min_pair, x))), acc);
  }
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
  return _mm256_add_epi32(_mm256_cvtepi16_epi32(_mm256_castsi256_si128(t)),
                          _mm256_cvtepi16_epi32(_mm256_extracti128_si256(t, 1)));
}

// Block S of `at`'s sums with 32 activations: bytes, or words where the format is multiplied in 16 bits.
template <class F, int S, class Activation>
inline __m256i block_sums(const RowPointers<F>& rows, int at, const Scales<F>& scales, const Activation* x) {
  __m256i p[kRows];
  if constexpr (F::kBits == 8) {
    const __m256i low = load(x), high = load(x + 16);
    for (int r = 0; r < kRows; ++r) {
      p[r] = _mm256_add_epi32(_mm256_madd_epi16(F::template words<S>(rows.row[r] + at, 0), low),
                              _mm256_madd_epi16(F::template words<S>(rows.row[r] + at, 1), high));
    }
  } else {
    const __m256i bytes = load(x);
    for (int r = 0; r < kRows; ++r) p[r] = _mm256_maddubs_epi16(F::template unpack<S>(rows.row[r] + at), bytes);
    if constexpr (F::kGroups == 2) {
      // Group 2 * S of the block for the lower 16 bytes, 2 * S + 1 for the upper.
      const __m256i pick = _mm256_set_m128i(_mm_set1_epi16(0x0302), _mm_set1_epi16(0x0100));
      for (int r = 0; r < kRows; ++r) {
        const __m256i both = _mm256_set1_epi32(load_i32(scales.words[r] + 2 * S));
        p[r] = _mm256_madd_epi16(p[r], _mm256_shuffle_epi8(both, pick));
      }
    } else if constexpr (F::kBits == 4) {
      return totals_16(p);  // 16 products of at most 15 * 127 in a lane
    } else {
      for (int r = 0; r < kRows; ++r) p[r] = _mm256_madd_epi16(p[r], _mm256_set1_epi16(1));
    }
  }
  return totals(p);
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

inline BlockActivations activations_of(const Activations& x, int64_t block) {
  return {x.d[block], x.sum[block], load_i32(x.parts + 2 * block), load_i32(x.parts_low + 2 * block),
          x.fine[block] != 0};
}

// Blocks S .. kSuper - 1 of Block `at`.
template <class F, int S>
inline __m256 one_block(const Matmul& args, const RowPointers<F>& rows, int at, const Scales<F>& scales,
                        const int16_t* x16, __m256 acc) {
  const int b = at * F::kSuper + S;
  const BlockActivations x = activations_of(args.x, b);
  __m256i isum;
  if constexpr (F::kBits == 8) {
    isum = block_sums<F, S>(rows, at, scales, x16 + b * 32);
  } else {
    isum = block_sums<F, S>(rows, at, scales, args.x.q + b * 32);
    if (x.fine) isum = combine(isum, block_sums<F, S>(rows, at, scales, args.x.q_low + b * 32));
  }
  acc = absorb<F>(acc, isum, scales.d[S], scales.m[S], scales.pair[S], scales.min_pair[S], x);
  if constexpr (S + 1 < F::kSuper) acc = one_block<F, S + 1>(args, rows, at, scales, x16, acc);
  return acc;
}

// Eight rows side by side are too many short streams for the hardware to foresee: the next eight rows are fetched while
// these are multiplied, a part with every block.
template <class F>
inline void prefetch(const Matmul& args, int64_t first, int at) {
  constexpr int kPart = kRows * sizeof(typename F::Block);
  const auto* part = reinterpret_cast<const char*>(args.weights + first * args.row_bytes + int64_t{at} * kPart);
  for (int i = 0; i < kPart; i += 64) _mm_prefetch(part + i, _MM_HINT_T0);
}

template <class F>
void one_token(const Matmul& args) {
  auto* x16 = reinterpret_cast<int16_t*>(args.scratch);
  if constexpr (F::kBits == 8) widen(args.x.q, args.x.q_low, args.x.fine, args.k / 32, x16);
  for (int first = args.row_begin; first < args.row_end; first += kRows) {
    const RowPointers<F> rows(args, first);
    __m256 acc = _mm256_setzero_ps();
    for (int at = 0; at < args.k / 32 / F::kSuper; ++at) {
      prefetch<F>(args, first + kRows, at);
      Scales<F> scales;
      F::scales(rows, at, &scales);
      acc = one_block<F, 0>(args, rows, at, scales, x16, acc);
    }
    _mm256_maskstore_ps(args.y + first, rows.mask, acc);
  }
}

// A panel: kPanelBlocks blocks of eight rows, unpacked.
template <class F>
struct alignas(64) Panel {
  static constexpr int kVectors = F::kBits == 8 ? 16 : 8;  // a block's
  __m256i values[kPanelBlocks][kVectors];
  __m256 d[kPanelBlocks], m[kPanelBlocks];
  __m256i pair[kPanelBlocks], min_pair[kPanelBlocks];
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

// Block S and the following ones of Block `at`, to the panel's blocks from `b` on.
template <class F, int S>
inline void unpack_block(const RowPointers<F>& rows, int at, const Scales<F>& scales, int b, Panel<F>* panel) {
  panel->d[b] = scales.d[S];
  if constexpr (F::kMin) panel->m[b] = scales.m[S];
  if constexpr (F::kGroups == 2) panel->pair[b] = scales.pair[S];
  if constexpr (F::kGroups == 2 && F::kMin) panel->min_pair[b] = scales.min_pair[S];
  __m256i v[kRows];
  if constexpr (F::kBits == 8) {
    for (int half = 0; half < 2; ++half) {
      for (int r = 0; r < kRows; ++r) v[r] = F::template words<S>(rows.row[r] + at, half);
      transpose(v);
      for (int i = 0; i < 8; ++i) panel->values[b][8 * half + i] = v[i];
    }
  } else {
    for (int r = 0; r < kRows; ++r) v[r] = F::template unpack<S>(rows.row[r] + at);
    transpose(v);
    for (int i = 0; i < 8; ++i) panel->values[b][i] = v[i];
  }
  if constexpr (S + 1 < F::kSuper) unpack_block<F, S + 1>(rows, at, scales, b + 1, panel);
}

template <class F>
void unpack_panel(const RowPointers<F>& rows, int first_block, int blocks, Panel<F>* panel) {
  for (int b = 0; b < blocks; b += F::kSuper) {
    Scales<F> scales;
    F::scales(rows, (first_block + b) / F::kSuper, &scales);
    unpack_block<F, 0>(rows, (first_block + b) / F::kSuper, scales, b, panel);
  }
}

// What a tile of tokens multiplies a panel with: 32-bit words of activations (four bytes, or two 16-bit words).
struct TileTokens {
  const std::byte* q;
  const std::byte* q_low;
  int64_t q_stride;  // bytes from token to token
  Activations x;     // of the first token and block, for all but q and q_low
  int64_t block_stride;
};

// Adds the products of one block with T tokens' words at `words` to isum.
template <class F, int T>
inline void panel_block(const Panel<F>& panel, int b, const std::byte* words, int64_t stride, __m256i* isum) {
  const __m256i* values = panel.values[b];
  constexpr int kWords = Panel<F>::kVectors;
  if constexpr (F::kBits == 8) {
    for (int i = 0; i < kWords; ++i) {
      for (int t = 0; t < T; ++t) {
        const __m256i x = _mm256_set1_epi32(load_i32(words + t * stride + 4 * i));
        isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(values[i], x));
      }
    }
  } else {
    // Byte products that 16 bits hold, at most those of a group.
    constexpr int kRun = F::kBits == 6 ? 2 : F::kBits == 5 || F::kGroups == 2 ? 4 : 8;
    const __m256i both = panel.pair[b];
    __m256i factor[2] = {_mm256_set1_epi16(1), _mm256_set1_epi16(1)};
    if constexpr (F::kGroups == 2) {
      factor[0] = _mm256_blend_epi16(both, _mm256_slli_epi32(both, 16), 0xaa);
      factor[1] = _mm256_blend_epi16(both, _mm256_srli_epi32(both, 16), 0x55);
    }
    for (int i0 = 0; i0 < kWords; i0 += kRun) {
      __m256i p[T] = {};
      for (int i = i0; i < i0 + kRun; ++i) {
        for (int t = 0; t < T; ++t) {
          const __m256i x = _mm256_set1_epi32(load_i32(words + t * stride + 4 * i));
          p[t] = _mm256_add_epi16(p[t], _mm256_maddubs_epi16(values[i], x));
        }
      }
      for (int t = 0; t < T; ++t) isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(p[t], factor[i0 / 4]));
    }
  }
}

template <class F, int T>
inline void panel_tile(const Panel<F>& panel, int blocks, const TileTokens& x, float* y, int64_t y_stride, __m256i mask,
                       bool first) {
  constexpr int kBlockBytes = Panel<F>::kVectors * 4;
  __m256 acc[T];
  for (int t = 0; t < T; ++t) acc[t] = first ? _mm256_setzero_ps() : _mm256_maskload_ps(y + t * y_stride, mask);
  for (int b = 0; b < blocks; ++b) {
    __m256i isum[T] = {};
    panel_block<F, T>(panel, b, x.q + b * kBlockBytes, x.q_stride, isum);
    if constexpr (F::kBits != 8) {  // 16-bit words hold fine activations as they are
      for (int t = 0; t < T; ++t) {
        if (!x.x.fine[t * x.block_stride + b]) continue;
        __m256i low[1] = {};
        panel_block<F, 1>(panel, b, x.q_low + t * x.q_stride + b * kBlockBytes, x.q_stride, low);
        isum[t] = combine(isum[t], low[0]);
      }
    }
    for (int t = 0; t < T; ++t) {
      acc[t] = absorb<F>(acc[t], isum[t], panel.d[b], panel.m[b], panel.pair[b], panel.min_pair[b],
                         activations_of(x.x, t * x.block_stride + b));
    }
  }
  for (int t = 0; t < T; ++t) _mm256_maskstore_ps(y + t * y_stride, mask, acc[t]);
}

// What stands beside the integers, from block `b` on.
inline Activations blocks_from(const Activations& x, int64_t b) {
  Activations y;
  y.d = x.d + b;
  y.sum = x.sum + b;
  y.parts = x.parts + 2 * b;
  y.parts_low = x.parts_low + 2 * b;
  y.fine = x.fine + b;
  return y;
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
      TileTokens x = {reinterpret_cast<const std::byte*>(args.x.q + q0),
                      reinterpret_cast<const std::byte*>(args.x.q_low + q0), args.k, blocks_from(args.x, block0),
                      blocks};
      if constexpr (F::kBits == 8) {
        for (int t = 0; t < tokens; ++t) {
          const int64_t at = q0 + int64_t{t} * args.k;
          widen(args.x.q + at, args.x.q_low + at, x.x.fine + int64_t{t} * blocks, count, x16 + t * kPanelBlocks * 32);
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
          const TileTokens at = {x.q + t * x.q_stride, x.q_low + t * x.q_stride, x.q_stride,
                                 blocks_from(x.x, int64_t{t} * blocks), blocks};
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
}  // namespace fieldprint::avx2
