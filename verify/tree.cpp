#include "tree.h"

namespace fieldprint::verify {

Hash leaf_hash(std::string_view leaf) { return sha256({std::string_view("\0", 1), leaf}); }

Hash node_hash(const Hash& left, const Hash& right) { return sha256({"\1", view(left), view(right)}); }

Hash empty_root() { return sha256({}); }

void Frontier::append(const Hash& leaf) {
  Hash hash = leaf;
  for (uint64_t bits = size_; (bits & 1) != 0; bits >>= 1) {
    hash = node_hash(edge_.back(), hash);
    edge_.pop_back();
  }
  edge_.push_back(hash);
  ++size_;
}

Hash Frontier::root() const {
  if (edge_.empty()) return empty_root();
  Hash hash = edge_.back();
  for (size_t i = edge_.size() - 1; i > 0; --i) hash = node_hash(edge_[i - 1], hash);
  return hash;
}

bool includes(const Hash& leaf, uint64_t index, uint64_t size, std::span<const Hash> proof, const Hash& root) {
  if (index >= size) return false;
  uint64_t node = index, last = size - 1;
  Hash hash = leaf;
  for (const Hash& sibling : proof) {
    if (last == 0) return false;
    if ((node & 1) != 0 || node == last) {
      hash = node_hash(sibling, hash);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  return last == 0 && hash == root;
}

}  // namespace fieldprint::verify
