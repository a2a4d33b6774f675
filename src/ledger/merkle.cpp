#include "ledger/merkle.h"

#include <bit>
#include <cassert>

namespace fieldprint::ledger {
namespace {

// The largest power of two below n, n >= 2: where a tree of n leaves is split.
int64_t split(int64_t n) { return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(n - 1))); }

bool is_power(int64_t n) { return std::has_single_bit(static_cast<uint64_t>(n)); }
int level_of(int64_t n) { return std::countr_zero(static_cast<uint64_t>(n)); }

// MTH(D[begin:end]) of RFC 6962, for ranges that splitting a tree gives: begin is a multiple of a power of two >= end -
// begin.
Digest range_root(int64_t begin, int64_t end, const HashReader& read) {
  const int64_t n = end - begin;
  if (is_power(n)) return read(level_of(n), begin >> level_of(n));
  const int64_t middle = begin + split(n);
  return node_hash(range_root(begin, middle, read), range_root(middle, end, read));
}

// PATH(index, D[begin:end])
void path(int64_t index, int64_t begin, int64_t end, const HashReader& read, std::vector<Digest>& out) {
  if (end - begin == 1) return;
  const int64_t middle = begin + split(end - begin);
  if (index < middle) {
    path(index, begin, middle, read, out);
    out.push_back(range_root(middle, end, read));
  } else {
    path(index, middle, end, read, out);
    out.push_back(range_root(begin, middle, read));
  }
}

// SUBPROOF(old - begin, D[begin:end], known): `known` while the old tree's root is what the verifier has.
void subproof(int64_t old, int64_t begin, int64_t end, bool known, const HashReader& read, std::vector<Digest>& out) {
  if (old == end) {
    if (!known) out.push_back(range_root(begin, end, read));
    return;
  }
  const int64_t middle = begin + split(end - begin);
  if (old <= middle) {
    subproof(old, begin, middle, known, read, out);
    out.push_back(range_root(middle, end, read));
  } else {
    subproof(old, middle, end, false, read, out);
    out.push_back(range_root(begin, middle, read));
  }
}

}  // namespace

Digest leaf_hash(ByteView leaf) {
  constexpr std::byte kPrefix{0};
  return sha256({ByteView(&kPrefix, 1), leaf});
}

Digest node_hash(const Digest& left, const Digest& right) {
  constexpr std::byte kPrefix{1};
  return sha256({ByteView(&kPrefix, 1), left, right});
}

Digest empty_root() { return sha256({}); }

Digest subtree_root(std::span<const Digest> hashes) {
  assert(is_power(static_cast<int64_t>(hashes.size())));
  if (hashes.size() == 1) return hashes[0];
  const size_t half = hashes.size() / 2;
  return node_hash(subtree_root(hashes.first(half)), subtree_root(hashes.subspan(half)));
}

void MerkleTree::append(const Digest& leaf) {
  Digest hash = leaf;
  for (int64_t n = size_; n & 1; n >>= 1) {
    hash = node_hash(edge_.back(), hash);
    edge_.pop_back();
  }
  edge_.push_back(hash);
  ++size_;
}

Digest MerkleTree::root() const {
  if (edge_.empty()) return empty_root();
  Digest hash = edge_.back();
  for (size_t i = edge_.size() - 1; i-- > 0;) hash = node_hash(edge_[i], hash);
  return hash;
}

Digest tree_root(int64_t size, const HashReader& read) {
  assert(size >= 0);
  return size == 0 ? empty_root() : range_root(0, size, read);
}

std::vector<Digest> inclusion_proof(int64_t index, int64_t size, const HashReader& read) {
  assert(index >= 0 && index < size);
  std::vector<Digest> proof;
  path(index, 0, size, read, proof);
  return proof;
}

std::vector<Digest> consistency_proof(int64_t old_size, int64_t size, const HashReader& read) {
  assert(old_size >= 0 && old_size <= size);
  std::vector<Digest> proof;
  if (old_size > 0 && old_size < size) subproof(old_size, 0, size, true, read, proof);
  return proof;
}

// RFC 9162, section 2.1.3.2: fn and sn are the leaf's place and the last leaf's, on the level that `hash` has reached.
bool verify_inclusion(const Digest& leaf, int64_t index, int64_t size, std::span<const Digest> proof,
                      const Digest& root) {
  if (index < 0 || index >= size) return false;
  int64_t fn = index, sn = size - 1;
  Digest hash = leaf;
  for (const Digest& next : proof) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      hash = node_hash(next, hash);
      while ((fn & 1) == 0 && fn != 0) fn >>= 1, sn >>= 1;
    } else {
      hash = node_hash(hash, next);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && hash == root;
}

// RFC 9162, section 2.1.4.2.
bool verify_consistency(int64_t old_size, const Digest& old_root, int64_t size, const Digest& root,
                        std::span<const Digest> proof) {
  if (old_size <= 0 || old_size > size) return false;
  if (old_size == size) return proof.empty() && old_root == root;
  if (proof.empty()) return false;
  size_t at = 0;
  // Where the old tree is one full subtree, its root is the first hash, and the proof leaves it out.
  const Digest first = is_power(old_size) ? old_root : proof[at++];
  int64_t fn = old_size - 1, sn = size - 1;
  while ((fn & 1) != 0) fn >>= 1, sn >>= 1;
  Digest old_hash = first, hash = first;
  for (; at < proof.size(); ++at) {
    if (sn == 0) return false;
    if ((fn & 1) != 0 || fn == sn) {
      old_hash = node_hash(proof[at], old_hash);
      hash = node_hash(proof[at], hash);
      while ((fn & 1) == 0 && fn != 0) fn >>= 1, sn >>= 1;
    } else {
      hash = node_hash(hash, proof[at]);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && old_hash == old_root && hash == root;
}

}  // namespace fieldprint::ledger
