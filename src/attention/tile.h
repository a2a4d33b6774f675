// K and V of one tile, where the products find them.
#pragma once

#include "attention/kind.h"
#include "kernels/table.h"
#include "kv/sequence.h"

namespace fieldprint {

struct Tile {
  KvType type = KvType::kF16;
  const uint16_t* keys_16 = nullptr;                              // [d][stride] in F16 or BF16, or
  const float* keys_32 = nullptr;                                 // the same in F32, or
  const int8_t* keys_8 = nullptr;                                 // [d / 4][stride][4] in Q8_0
  const uint16_t* values_16 = nullptr;                            // [kTile][d] in F16 or BF16, or
  const float* values_32 = nullptr;                               // the same in F32, or
  const int8_t* values_8 = nullptr;                               // [kTile / 4][d][4] in Q8_0
  const uint16_t *key_scales = nullptr, *value_scales = nullptr;  // of Q8_0: [d / 32][stride]
  const float* squares = nullptr;                                 // [kTile]: |k|^2, where the layer has them
  int64_t stride = 0;
};

// Where load_tile() puts what it copies.
struct TileSpace {
  float* squares;     // [kTile]
  std::byte* pieces;  // K and V of kTile positions, as a page of that size has them
};

// Where the page of position `begin` has one head.
struct Place {
  const std::byte *keys = nullptr, *values = nullptr, *squares = nullptr;
  int slot = 0;      // of `begin`
  int page_end = 0;  // the position behind the page's last

  Place() = default;
  Place(const KvSequence& kv, int layer, int kv_head, int begin);
};

// Positions [begin, end) of one head, begin a multiple of kTile, end at most kTile later; `at` is that of begin. What
// lies behind `end` in the tile is not to be looked at. It stays where it lies, or is copied where it is in pieces, and
// for `many` rows where its own lie so far apart that they would share few sets of the first cache.
Tile load_tile(const KvSequence& kv, int layer, int kv_head, const Place& at, int begin, int end, bool many,
               const TileSpace& space);

}  // namespace fieldprint
