#include "ledger/merkle.h"

#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "support/paths.h"

namespace fieldprint::ledger {
namespace {

// Section 2.1 of RFC 6962 word by word: MTH of a list, by splitting it.
Digest plain_root(std::span<const Digest> leaves) {
  if (leaves.empty()) return sha256({});
  if (leaves.size() == 1) return leaves[0];
  const size_t k = std::bit_floor(leaves.size() - 1);
  return node_hash(plain_root(leaves.first(k)), plain_root(leaves.subspan(k)));
}

std::vector<Digest> some_leaves(size_t count) {
  std::vector<Digest> leaves;
  for (size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash(view_of(std::to_string(i))));
  return leaves;
}

HashReader reader_of(const std::vector<Digest>& leaves) {
  return [&](int level, int64_t index) {
    const size_t n = size_t{1} << level;
    return subtree_root(std::span(leaves).subspan(static_cast<size_t>(index) * n, n));
  };
}

// The published vectors (tests/golden/merkle): also with roots that are no hashes ("don't care 1"), which this type of
// digest cannot hold; their hashes stand for them, equal where they are.
Digest root_of(const nlohmann::json& text) {
  const Bytes bytes = from_base64(text.get<std::string>());
  return bytes.size() == 32 ? digest_of(bytes) : sha256({bytes});
}

bool accepted(const nlohmann::json& row) {
  std::vector<Digest> proof;
  if (!row["proof"].is_null()) {
    for (const auto& hash : row["proof"]) {
      const Bytes bytes = from_base64(hash.get<std::string>());
      if (bytes.size() != 32) return false;
      proof.push_back(digest_of(bytes));
    }
  }
  const auto number = [&](const char* key) { return static_cast<int64_t>(row[key].get<uint64_t>()); };
  if (row["kind"] == "inclusion") {
    if (from_base64(row["leafHash"].get<std::string>()).size() != 32) return false;
    return verify_inclusion(root_of(row["leafHash"]), number("leafIdx"), number("treeSize"), proof,
                            root_of(row["root"]));
  }
  return verify_consistency(number("size1"), root_of(row["root1"]), number("size2"), root_of(row["root2"]), proof);
}

TEST(Merkle, PublishedVectors) {
  std::ifstream file(golden_dir() / "merkle" / "vectors.jsonl");
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const auto row = nlohmann::json::parse(line);
    EXPECT_EQ(accepted(row), !row["wantErr"].get<bool>()) << row["kind"] << " " << row["name"];
  }
  EXPECT_EQ(rows, 196);
}

TEST(Merkle, RootIsTheSpecifications) {
  EXPECT_EQ(to_hex(empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(leaf_hash({})), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  const auto leaves = some_leaves(300);
  MerkleTree tree;
  for (size_t n = 0; n <= leaves.size(); ++n) {
    const Digest root = plain_root(std::span(leaves).first(n));
    ASSERT_EQ(tree.root(), root) << n;
    ASSERT_EQ(tree_root(static_cast<int64_t>(n), reader_of(leaves)), root) << n;
    if (n < leaves.size()) tree.append(leaves[n]);
  }
}

TEST(Merkle, EveryProofOfEveryTreeHolds) {
  const auto leaves = some_leaves(70);
  const auto read = reader_of(leaves);
  for (int64_t size = 1; size <= 70; ++size) {
    const Digest root = tree_root(size, read);
    for (int64_t index = 0; index < size; ++index) {
      const auto proof = inclusion_proof(index, size, read);
      ASSERT_LE(proof.size(), 7u);
      ASSERT_TRUE(verify_inclusion(leaves[index], index, size, proof, root));
      for (int64_t other = 0; other < size; ++other) {
        ASSERT_EQ(verify_inclusion(leaves[index], other, size, proof, root), other == index);
      }
    }
    for (int64_t old = 0; old <= size; ++old) {
      const auto proof = consistency_proof(old, size, read);
      ASSERT_EQ(verify_consistency(old, tree_root(old, read), size, root, proof), old > 0) << old << " " << size;
    }
  }
}

TEST(Merkle, NoBitOfAProofIsFree) {
  const auto leaves = some_leaves(100);
  const auto read = reader_of(leaves);
  Rng rng(3);
  for (int i = 0; i < 2000; ++i) {
    const int64_t size = 2 + rng.below(99), index = rng.below(size), old = 1 + rng.below(size - 1);
    const auto flip = [&](std::span<Digest> hashes) {
      auto& byte = hashes[static_cast<size_t>(rng.below(static_cast<int64_t>(hashes.size())))][rng.next() % 32];
      byte ^= std::byte{1} << rng.below(8);
    };
    auto inclusion = inclusion_proof(index, size, read);
    flip(inclusion);
    EXPECT_FALSE(verify_inclusion(leaves[index], index, size, inclusion, tree_root(size, read)));
    auto consistency = consistency_proof(old, size, read);
    if (consistency.empty()) continue;
    const Digest old_root = tree_root(old, read), root = tree_root(size, read);
    EXPECT_TRUE(verify_consistency(old, old_root, size, root, consistency));
    flip(consistency);
    EXPECT_FALSE(verify_consistency(old, old_root, size, root, consistency));
  }
}

TEST(Merkle, NumbersThatMakeNoSenseAreRefused) {
  const Digest d{};
  EXPECT_FALSE(verify_inclusion(d, -1, 5, {}, d));
  EXPECT_FALSE(verify_inclusion(d, 0, 0, {}, d));
  EXPECT_FALSE(verify_inclusion(d, 0, -5, {}, d));
  EXPECT_FALSE(verify_consistency(-1, d, 5, d, {}));
  EXPECT_FALSE(verify_consistency(5, d, 4, d, {}));
  EXPECT_FALSE(verify_consistency(std::numeric_limits<int64_t>::min(), d, -1, d, {}));
  const std::vector<Digest> long_proof(1000);
  EXPECT_FALSE(verify_inclusion(d, 0, std::numeric_limits<int64_t>::max(), long_proof, d));
}

}  // namespace
}  // namespace fieldprint::ledger
