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

// Memory that will be wanted soon. A request for more lines than the CPU keeps open stands in the way of what is being
// computed, so it is made in parts.
struct Ahead {
  const std::byte* from = nullptr;
  int64_t bytes = 0;

  // The part that goes with steps [begin, end) of `count`.
  void prefetch(int begin, int end, int count) const {
    for (int64_t i = bytes * begin / count / 64 * 64; i < bytes * end / count; i += 64)
      __builtin_prefetch(from + i, 0, 3);
  }
};

// The keys and the values of the tile at position `begin`; nothing where they do not lie in one piece.
Ahead keys_ahead(const KvSequence& kv, int layer, int kv_head, int begin);
Ahead values_ahead(const KvSequence& kv, int layer, int kv_head, int begin);

}  // namespace fieldprint
