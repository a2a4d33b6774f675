// The Merkle tree of RFC 6962 section 2.1 with SHA-256.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "hash.h"

namespace fieldprint::verify {

Hash leaf_hash(std::string_view leaf);
Hash node_hash(const Hash& left, const Hash& right);
Hash empty_root();

// A tree to which leaves are appended, of which only the right edge is kept: at most 64 hashes.
class Frontier {
 public:
  void append(const Hash& leaf);
  uint64_t size() const { return size_; }
  Hash root() const;

 private:
  uint64_t size_ = 0;
  std::vector<Hash> edge_;  // roots of the perfect subtrees, from the largest on: one for each bit of size_
};

// Whether `proof`, from the leaf's sibling up, leads from leaf `index` to `root` of a tree of `size` leaves (RFC 9162
// section 2.1.3.2).
bool includes(const Hash& leaf, uint64_t index, uint64_t size, std::span<const Hash> proof, const Hash& root);

}  // namespace fieldprint::verify
