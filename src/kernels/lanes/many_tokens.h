// Many tokens: the bytes of two row groups are kept in a panel, which stays in the nearest caches while all tokens are
// multiplied with it in tiles, and after them the residuals of their outlier blocks.
#pragma once

#include "kernels/lanes/block.h"

namespace fieldprint {
namespace {

constexpr int kPanelBlocks = kOutlierWord;
constexpr int kNarrowPanel = kPanelBlocks / 2;  // leaves room in L1 for the rows that are prefetched
constexpr int kNarrowTokens = 8;                // up to here memory matters more
constexpr int kPanelGroups = 2;                 // row groups of a panel: they share each load of an activation
constexpr int kResidualTile = 4;                // tokens whose residuals of one block are multiplied together, at most

// Tokens of a tile: a scale that comes last takes sums of its own.
template <class F, class V>
constexpr int kTileTokens = kScaleLast<F> ? 4 : V::kTileTokens;

// kPanelBlocks blocks of one row group, unpacked.
template <class V>
struct alignas(64) Panel {
  typename V::Int values[kPanelBlocks][kVectors];
  OwnScales<V, kPanelBlocks> scales;
};

// Prefetches a row group's blocks [first, first + count), kCount of them a step and then the next row, and those of the
// group after it into L2.
template <class F, class V>
struct RowPrefetcher {
  const uint8_t* row;
  int64_t stride;
  int at = 0, count;

  template <int kCount>
  void step() {
    constexpr int64_t kBytes = sizeof(typename F::Block);
#pragma GCC unroll 8
    for (int64_t i = 0; i < kCount * kBytes / F::kBlocks; i += 64) {
      const uint8_t* line = row + at * kBytes / F::kBlocks + i;
      __builtin_prefetch(line);
      __builtin_prefetch(line + V::kLanes * stride, 0, 2);
    }
    at += kCount;
    if (at >= count) at -= count, row += stride;
  }
};

// Blocks [first, first + count) of a row group.
template <class F, class V>
void fill_panel(const Rows<V>& rows, int first, int count, RowPrefetcher<F, V>* prefetcher, Panel<V>* panel) {
  constexpr int64_t kBytes = sizeof(typename F::Block);
  for (int b = 0; b < count; b += F::kBlocks) {
    const int64_t offset = (first + b) / F::kBlocks * kBytes;
    typename V::Int head[F::kHeadWords + 1], raw[F::kRawWords];
    F::head(rows, offset, head);
    F::scales(rows, offset, panel->scales.at(b));
    for (int part = 0; part < F::kBlocks / F::kPartBlocks; ++part) {
      const int block = b + part * F::kPartBlocks;
      repeat<F::kChunks>([&]<int C>() {
        F::template read<C>(rows, offset, part, raw);
        repeat<F::kChunkHalves>([&]<int Y>() {
          if ((2 * block + C * F::kChunkHalves + Y) % 4 == 0) prefetcher->template step<V::kLanes>();
          constexpr int kHalf = F::half(C, Y);
          typename V::Int* const to = panel->values[block + kHalf / 2] + kHalf % 2 * 4;
          repeat<4>([&]<int I>() { to[I] = F::template word<C, Y, I>(raw, head); });
        });
      });
      F::next_part(head);
    }
  }
}

// acc[g][t] + block b of a panel's row groups times that at x of T tokens side by side; where not `kScaled`, without
// the scale that comes last.
template <class F, class V, int T, bool kScaled>
inline __attribute__((always_inline)) void panel_block(const Panel<V>* panel, int b, const Quantized& x,
                                                       typename V::Float (*acc)[T]) {
  constexpr int G = kPanelGroups;
  const typename V::Int* const values[G] = {panel[0].values[b], panel[1].values[b]};
  const typename V::Int pair[G] = {panel[0].scales.pair[b], panel[1].scales.pair[b]};
  typename V::Int isum[G][T];
  products<F, V, G, T>(values, pair, x, isum);
  for (int t = 0; t < T; ++t) {
    for (int g = 0; g < G; ++g) {
      const auto& s = panel[g].scales;
      const Quantized at = x.skip(t);
      acc[g][t] = kScaled ? add_block<F, V>(acc[g][t], isum[g][t], s.d[b], s.m[b], s.min_pair[b], at)
                          : add_block_unscaled<F, V>(acc[g][t], isum[g][t], s.d[b], s.m[b], s.min_pair[b], at);
    }
  }
}

// A tile of T tokens, its blocks at x and its sums in y, times a panel of `count` blocks. `fresh`: the sums begin at 0.
template <class F, class V, int T>
inline void panel_tile(const Panel<V>* panel, int count, const Quantized& x, const Rows<V>* rows, bool fresh, float* y,
                       int64_t y_stride, RowPrefetcher<F, V>* prefetcher) {
  constexpr int G = kPanelGroups;
  typename V::Float acc[G][T];
  for (int g = 0; g < G; ++g) {
    for (int t = 0; t < T; ++t)
      acc[g][t] = fresh ? V::zero_float() : V::load(y + rows[g].first + t * y_stride, rows[g].skip);
  }
  constexpr int kRows = V::kLanes * kTileTokens<F, V> / V::kTileTokens;  // V::kTileTokens tokens prefetch kLanes rows
  const auto blocks = [&](int first, int end, typename V::Float(*sum)[T]) __attribute__((always_inline)) {
#pragma GCC unroll 1
    for (int b = first; b < end; ++b) {
      if (prefetcher != nullptr) prefetcher->template step<kRows>();
      panel_block<F, V, T, false>(panel, b, x.skip(b * T), sum);
    }
  };
  if constexpr (kScaleLast<F>) {
    for (int b = 0; b < count; b += F::kBlocks) {
      typename V::Float sum[G][T];
      for (int g = 0; g < G; ++g) {
        for (int t = 0; t < T; ++t) sum[g][t] = V::zero_float();
      }
      blocks(b, b + F::kBlocks, sum);
      for (int g = 0; g < G; ++g) {
        for (int t = 0; t < T; ++t) acc[g][t] = V::fma(panel[g].scales.d[b], sum[g][t], acc[g][t]);
      }
    }
  } else {
    blocks(0, count, acc);
  }
  for (int g = 0; g < G; ++g) {
    for (int t = 0; t < T; ++t) V::store(y + rows[g].first + t * y_stride, acc[g][t], rows[g].skip);
  }
}

constexpr int64_t kCopyBytes = 32 + sizeof(float) * 2 + sizeof(int16_t) * 6;  // a block of a Quantized

// Takes room for `blocks` blocks from *memory.
inline Quantized take_blocks(std::byte** memory, int64_t blocks) {
  Quantized to;
  to.q = reinterpret_cast<int8_t*>(*memory);
  to.d = reinterpret_cast<float*>(to.q + 32 * blocks);
  to.sum = to.d + blocks;
  to.pair_sums = reinterpret_cast<int16_t*>(to.sum + blocks);
  to.half_sums = to.pair_sums + 4 * blocks;
  *memory += kCopyBytes * blocks;
  return to;
}

// Copies the members that F reads.
template <class F, class V>
inline void copy_block(const Quantized& from, const Quantized& to) {
  __builtin_memcpy(to.q, from.q, 32);
  *to.d = *from.d;
  if constexpr (kByteOffset<F, V> != 0) __builtin_memcpy(to.pair_sums, from.pair_sums, sizeof(int16_t) * 4);
  if constexpr (F::kHasMin && F::kGroups == 2) __builtin_memcpy(to.half_sums, from.half_sums, sizeof(int16_t) * 2);
  if constexpr (F::kHasMin && F::kGroups == 1) *to.sum = *from.sum;
}

// f<T>(t) for each tile of a token group: T tokens from t on.
template <class F, class V, class Function>
inline __attribute__((always_inline)) void for_tiles(int tokens, Function&& f) {
  constexpr int kWide = kTileTokens<F, V>;
  int t = 0;
  for (; t + kWide <= tokens; t += kWide) f.template operator()<kWide>(t);
  if (kWide > 4 && t + 4 <= tokens) f.template operator()<4>(t), t += 4;
  if (t + 3 == tokens) f.template operator()<3>(t);
  else if (t + 2 == tokens) f.template operator()<2>(t);
  else if (t + 1 == tokens) f.template operator()<1>(t);
}

// A token group's blocks in the order in which tiles read them, so that all is one stream whatever the length of a row:
// tile after tile, block after block, its tokens side by side.
template <class F, class V>
Quantized pack_tiles(const Quantized& x, int k, int tokens, std::byte** memory) {
  const int64_t blocks = k / 32;
  const Quantized tiles = take_blocks(memory, blocks * tokens);
  for_tiles<F, V>(tokens, [&]<int T>(int first) {
    Quantized to = tiles.skip(first * blocks);
    for (int64_t b = 0; b < blocks; ++b, to = to.skip(T)) {
      for (int t = 0; t < T; ++t) copy_block<F, V>(x.from(first + t, k).skip(b), to.skip(t));
    }
  });
  if constexpr (kByteOffset<F, V> != 0)
    correct_offsets<F, V, kWholeRuns<F, V>>(tiles.pair_sums, blocks * tokens, tiles.pair_sums);
  return tiles;
}

// The residuals of a token group, block after block, copied so that they are one stream beside every panel; up to
// kResidualTile tokens of a block are a tile.
template <class F, class V>
struct ResidualTiles {
  struct Tile {
    int32_t block, first, count;  // [first, first + count) of x and token
  };
  static constexpr int64_t kBytes = sizeof(Tile) + kCopyBytes + sizeof(uint8_t);
  Tile* tiles;     // [tiles + 1]; the last is of no block
  Quantized x;     // blocks
  uint8_t* token;  // of each block

  // `memory` holds kBytes for each block of each token and 64 more.
  ResidualTiles(const Activations& from, int k, int tokens, std::byte* memory)
      : tiles(reinterpret_cast<Tile*>(memory)) {
    const int blocks = k / 32, words = Activations::outlier_words(k);
    const int64_t most = int64_t{blocks} * tokens;
    memory += (most + 1) * static_cast<int64_t>(sizeof(Tile));
    x = take_blocks(&memory, most);
    token = reinterpret_cast<uint8_t*>(memory);
    const auto for_outliers = [&](auto&& task) {
      for (int t = 0; t < tokens; ++t) {
        for (int w = 0; w < words; ++w) {
          const int count = blocks - w * kOutlierWord < kOutlierWord ? blocks - w * kOutlierWord : kOutlierWord;
          for (uint32_t bits = from.outliers[t * words + w] & (~0u >> (kOutlierWord - count)); bits != 0;
               bits &= bits - 1)
            task(t, w * kOutlierWord + __builtin_ctz(bits));
        }
      }
    };
    int32_t slot[kMaxRow / 32];  // of a block: first its count of tokens, then where its next token goes
    for (int b = 0; b < blocks; ++b) slot[b] = 0;
    for_outliers([&](int, int b) { ++slot[b]; });
    Tile* tile = tiles;
    int32_t at = 0;
    for (int b = 0; b < blocks; ++b) {
      const int32_t end = at + slot[b];
      slot[b] = at;
      for (; at < end; at += tile++->count) *tile = {b, at, end - at < kResidualTile ? end - at : kResidualTile};
    }
    tile->block = blocks;
    for_outliers([&](int t, int b) {
      const int32_t to = slot[b]++;
      token[to] = static_cast<uint8_t>(t);
      copy_block<F, V>(from.residual.from(t, k).skip(b), x.skip(to));
    });
    if constexpr (kByteOffset<F, V> != 0) correct_offsets<F, V, kWholeRuns<F, V>>(x.pair_sums, at, x.pair_sums);
  }
};

// Adds a tile of T tokens to sums[token][row], for a panel that begins with block `first`.
template <class F, class V, int T>
inline __attribute__((always_inline)) void residual_tile(const Panel<V>* panel, int first,
                                                         const ResidualTiles<F, V>& residuals,
                                                         const typename ResidualTiles<F, V>::Tile& tile, float* sums) {
  constexpr int G = kPanelGroups;
  const auto sum = [&](int g, int t) { return sums + (residuals.token[tile.first + t] * G + g) * V::kLanes; };
  typename V::Float acc[G][T];
  for (int t = 0; t < T; ++t) {
    for (int g = 0; g < G; ++g) acc[g][t] = V::load(sum(g, t), 0);
  }
  panel_block<F, V, T, true>(panel, tile.block - first, residuals.x.skip(tile.first), acc);
  for (int t = 0; t < T; ++t) {
    for (int g = 0; g < G; ++g) V::store(sum(g, t), acc[g][t], 0);
  }
}

// Adds the tiles from `tile` on whose blocks lie in a panel of blocks [first, end). Returns the next one.
template <class F, class V>
inline const typename ResidualTiles<F, V>::Tile* add_residuals(const Panel<V>* panel, int first, int end,
                                                               const ResidualTiles<F, V>& residuals,
                                                               const typename ResidualTiles<F, V>::Tile* tile,
                                                               float* sums) {
  static_assert(kResidualTile == 4);
  for (; tile->block < end; ++tile) {
    if (tile->count == 1) residual_tile<F, V, 1>(panel, first, residuals, *tile, sums);
    else if (tile->count == 2) residual_tile<F, V, 2>(panel, first, residuals, *tile, sums);
    else if (tile->count == 3) residual_tile<F, V, 3>(panel, first, residuals, *tile, sums);
    else residual_tile<F, V, 4>(panel, first, residuals, *tile, sums);
  }
  return tile;
}

template <class F, class V>
void many_tokens(const Matmul& args) {
  constexpr int G = kPanelGroups, kRows = G * V::kLanes;
  constexpr int kWide = kTileTokens<F, V>;
  static_assert(G == 2);
  const int blocks = args.k / 32, width = args.tokens <= kNarrowTokens ? kNarrowPanel : kPanelBlocks;
  auto* panel = reinterpret_cast<Panel<V>*>(args.scratch);
  auto* residual_sums = reinterpret_cast<float*>(panel + G);  // [kTokenGroup][kRows]
  auto* memory = reinterpret_cast<std::byte*>(residual_sums + kTokenGroup * kRows);
  const int64_t room =
      (args.scratch + kScratchBytes - memory - 64) / ((kCopyBytes + ResidualTiles<F, V>::kBytes) * blocks);
  const int most = room < kTokenGroup ? static_cast<int>(room / kWide * kWide) : kTokenGroup;

  for (int group = 0; group < args.tokens; group += most) {
    const int tokens = args.tokens - group < most ? args.tokens - group : most;
    const Activations x = args.x.from(group, args.k);
    std::byte* free = memory;
    const Quantized tiles = pack_tiles<F, V>(x.high, args.k, tokens, &free);
    float* const y = args.y + group * args.y_stride;
    const ResidualTiles<F, V> residuals(x, args.k, tokens, free);
    for (int row = args.row_begin; row < args.row_end; row += kRows) {
      const Rows<V> rows[G] = {{args, row}, {args, row + V::kLanes}};
      for (int i = 0; i < tokens * G; ++i) V::store(residual_sums + i * V::kLanes, V::zero_float(), 0);
      const auto* tile_at = residuals.tiles;
      for (int b0 = 0; b0 < blocks; b0 += width) {
        const int count = blocks - b0 < width ? blocks - b0 : width;
        // The next rows' blocks are prefetched: half while the panel is filled, half while it is first used.
        RowPrefetcher<F, V> prefetchers[G];
        for (int g = 0; g < G; ++g) {
          const int64_t offset = b0 / F::kBlocks * static_cast<int64_t>(sizeof(typename F::Block));
          prefetchers[g] = {rows_after<V>(args, rows[g], row + kRows) + offset + g * V::kLanes * args.row_bytes,
                            args.row_bytes, 0, count};
        }
        for (int g = 0; g < G; ++g) fill_panel<F, V>(rows[g], b0, count, &prefetchers[0], panel + g);
        for_tiles<F, V>(tokens, [&]<int T>(int t) {
          panel_tile<F, V, T>(panel, count, tiles.skip(t * blocks + b0 * T), rows, b0 == 0, y + t * args.y_stride,
                              args.y_stride, t < V::kTileTokens ? &prefetchers[1] : nullptr);
        });
        tile_at = add_residuals<F, V>(panel, b0, b0 + count, residuals, tile_at, residual_sums);
      }
      for (int t = 0; t < tokens; ++t) {
        for (int g = 0; g < G; ++g) {
          float* const sum = y + t * args.y_stride + rows[g].first;
          V::store(sum, V::add(V::load(sum, rows[g].skip), V::load(residual_sums + (t * G + g) * V::kLanes, 0)),
                   rows[g].skip);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fieldprint
