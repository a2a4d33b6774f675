// Pair merging, the heart of BPE in both its forms: of all adjacent pairs that may merge take the one of the lowest
// rank, the leftmost among equals, replace it by its result, and again until none is left. n log n in the symbols of a
// word.
#pragma once

#include <cstdint>
#include <vector>

#include "text/flat_hash.h"

namespace fieldprint {

class MergeTable {
 public:
  // Keeps the first entry of a pair; true where it was new.
  bool add(uint32_t left, uint32_t right, uint32_t rank, uint32_t result) {
    return pairs_.insert(left, right, static_cast<uint64_t>(rank) << 32 | result);
  }

  size_t size() const { return pairs_.size(); }

  // rank << 32 | result, or kNone.
  static constexpr uint64_t kNone = UINT64_MAX;
  uint64_t find(uint32_t left, uint32_t right) const {
    if (left == kNoSymbol || right == kNoSymbol) return kNone;
    const uint64_t* value = pairs_.find(left, right);
    return value == nullptr ? kNone : *value;
  }

 private:
  PairTable pairs_;
};

// Merges `symbols` in place. kNoSymbol merges with nothing.
void merge_symbols(const MergeTable& merges, std::vector<uint32_t>& symbols);

}  // namespace fieldprint
