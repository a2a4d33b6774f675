// K and V of one tile as the products want them: float32, or F16 where they lie.
#pragma once

#include "attention/kind.h"
#include "kernels/table.h"
#include "kv/sequence.h"

namespace fieldprint {

struct Tile {
  const float* keys = nullptr;           // [d][keys_stride], or
  const uint16_t* keys_f16 = nullptr;    // the same in F16
  const float* values = nullptr;         // [kTile][d], or
  const uint16_t* values_f16 = nullptr;  // the same in F16
  int64_t keys_stride = kTile;
};

// What of a tile must become float32 whatever its type.
struct Widen {
  bool keys = false, values = false;
};

// Positions [begin, end) of one head, begin a multiple of kTile, end at most kTile later. What is not F16 in one page
// is decoded to `keys` [d, kTile] and `values` [kTile, d].
Tile load_tile(const KernelTable& kernels, const KvSequence& kv, int layer, int kv_head, int begin, int end,
               Widen widen, float* keys, float* values);

// Asks for the tile's memory ahead of its use.
void prefetch_keys(const KvSequence& kv, int layer, int kv_head, int begin);
void prefetch_values(const KvSequence& kv, int layer, int kv_head, int begin);

}  // namespace fieldprint
