// The Merkle tree of RFC 6962, section 2 (and RFC 9162, which words the verifiers): hashes of leaves and nodes, the
// root of a growing tree, proofs that a leaf is in a tree and that a tree has only grown. SHA-256.
//
// Proofs are lists of hashes, from the leaf's side up. Functions may be called by any thread; a MerkleTree is one
// thread's at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ledger/hash.h"

namespace fieldprint::ledger {

Digest leaf_hash(ByteView leaf);                            // SHA-256(0x00 leaf)
Digest node_hash(const Digest& left, const Digest& right);  // SHA-256(0x01 left right)
Digest empty_root();                                        // SHA-256("")
Digest subtree_root(std::span<const Digest> hashes);        // of 2^h neighbours on one level, h >= 0

// A tree that only grows, of which its right edge is kept: at most 63 hashes, whatever its size.
class MerkleTree {
 public:
  void append(const Digest& leaf_hash);
  int64_t size() const { return size_; }
  Digest root() const;

 private:
  int64_t size_ = 0;
  std::vector<Digest> edge_;  // roots of the full subtrees that the leaves make up, the largest first
};

// The root of the full subtree `index` of `level`: of the leaves [index << level, (index + 1) << level). Level 0: the
// leaf's hash. May throw, which passes through.
using HashReader = std::function<Digest(int level, int64_t index)>;

Digest tree_root(int64_t size, const HashReader& read);
// 0 <= index < size; about log2(size) hashes are read.
std::vector<Digest> inclusion_proof(int64_t index, int64_t size, const HashReader& read);
// 0 <= old_size <= size. Empty for an old tree that is empty or the same.
std::vector<Digest> consistency_proof(int64_t old_size, int64_t size, const HashReader& read);

// Whether the proof shows that the leaf is number `index` of the tree. False for numbers that make no sense.
bool verify_inclusion(const Digest& leaf_hash, int64_t index, int64_t size, std::span<const Digest> proof,
                      const Digest& root);
// Whether the proof shows that the old tree is the beginning of the new one. False for an old tree that is empty: of
// that there is nothing to show.
bool verify_consistency(int64_t old_size, const Digest& old_root, int64_t size, const Digest& root,
                        std::span<const Digest> proof);

}  // namespace fieldprint::ledger
