#include "ledger/tiles.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "support/files.h"
#include "support/temp_home.h"

namespace fieldprint::ledger {
namespace {

namespace fs = std::filesystem;

Bytes leaf_of(int64_t index) {
  const std::string text = "leaf " + std::to_string(index);
  return {view_of(text).begin(), view_of(text).end()};
}

TEST(Tiles, PathsAreThoseOfTheSpecification) {
  EXPECT_EQ(tile_path(0, 0, 256), "tile/0/000");
  EXPECT_EQ(tile_path(0, 0, 1), "tile/0/000.p/1");
  EXPECT_EQ(tile_path(2, 1234067, 256), "tile/2/x001/x234/067");
  EXPECT_EQ(tile_path(kEntries, 999, 255), "tile/entries/999.p/255");
  EXPECT_EQ(tile_path(kEntries, 1000, 256), "tile/entries/x001/000");
}

TEST(Tiles, WidthsAreThoseOfTheSpecification) {  // its example: a tree of 70,000
  const TileReader reader("/nowhere", 70'000);
  EXPECT_EQ(reader.width(0, 272), 256);
  EXPECT_EQ(reader.width(0, 273), 112);
  EXPECT_EQ(reader.width(0, 274), 0);
  EXPECT_EQ(reader.width(1, 0), 256);
  EXPECT_EQ(reader.width(1, 1), 17);
  EXPECT_EQ(reader.width(2, 0), 1);
  EXPECT_EQ(reader.width(3, 0), 0);
}

TEST(Tiles, BundlesRoundTrip) {
  const std::vector<Bytes> leaves{{}, leaf_of(1), Bytes(kLeafMax, std::byte{1})};
  const Bytes bundle = encode_bundle(leaves);
  EXPECT_EQ(decode_bundle(bundle, 3), leaves);
  EXPECT_THROW(decode_bundle(bundle, 2), Error);
  EXPECT_THROW(decode_bundle(bundle, 4), Error);
  EXPECT_THROW(decode_bundle(ByteView(bundle).first(bundle.size() - 1), 3), Error);
}

// Grown in steps of any size, with a new writer now and then: every size that was flushed can be read, root and proofs.
TEST(Tiles, EverySizeIsThereOnceItWasFlushed) {
  const TempHome home;
  Rng rng(7);
  MerkleTree tree;
  auto writer = std::make_unique<TileWriter>(home.path(), 0);
  std::vector<std::pair<int64_t, Digest>> heads;
  while (tree.size() < 70'000) {
    const int64_t step = tree.size() < 1500 ? 1 + rng.below(90) : 1 + rng.below(12'000);
    for (int64_t i = 0; i < step; ++i) {
      const Bytes leaf = leaf_of(tree.size());
      writer->append(leaf, leaf_hash(leaf));
      tree.append(leaf_hash(leaf));
    }
    writer->flush();
    ASSERT_EQ(writer->root(), tree.root()) << tree.size();
    TileReader reader(home.path(), tree.size());
    ASSERT_EQ(tree_root(tree.size(), std::ref(reader)), tree.root());
    if (!heads.empty()) {
      const auto& [old_size, old_root] = heads[static_cast<size_t>(rng.below(static_cast<int64_t>(heads.size())))];
      const auto proof = consistency_proof(old_size, tree.size(), std::ref(reader));
      ASSERT_TRUE(verify_consistency(old_size, old_root, tree.size(), tree.root(), proof));
    }
    const int64_t index = rng.below(tree.size());
    const auto proof = inclusion_proof(index, tree.size(), std::ref(reader));
    ASSERT_TRUE(verify_inclusion(leaf_hash(leaf_of(index)), index, tree.size(), proof, tree.root()));
    ASSERT_EQ(reader.bundle(index / 256)[static_cast<size_t>(index % 256)], leaf_of(index));
    heads.emplace_back(tree.size(), tree.root());
    if (rng.below(3) == 0) writer = std::make_unique<TileWriter>(home.path(), tree.size());
    ASSERT_EQ(writer->root(), tree.root());
  }
  for (const auto& [size, root] : heads) {
    TileReader reader(home.path(), size);
    ASSERT_EQ(tree_root(size, std::ref(reader)), root) << size;
  }
}

TEST(Tiles, ADamagedEdgeIsRefused) {
  const TempHome home;
  {
    TileWriter writer(home.path(), 0);
    for (int64_t i = 0; i < 300; ++i) writer.append(leaf_of(i), leaf_hash(leaf_of(i)));
    writer.flush();
  }
  for (const char* name : {"tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"}) {
    const fs::path path = home.path() / name;
    const std::string whole = slurp(path);
    std::string broken = whole;
    broken[broken.size() / 2] = static_cast<char>(broken[broken.size() / 2] ^ 4);
    spill(path, broken);
    EXPECT_THROW(TileWriter(home.path(), 300), Error) << name;
    spill(path, whole.substr(1));
    EXPECT_THROW(TileWriter(home.path(), 300), Error) << name;
    fs::remove(path);
    EXPECT_THROW(TileWriter(home.path(), 300), Error) << name;
    spill(path, whole);
  }
  EXPECT_NO_THROW(TileWriter(home.path(), 300));
}

TEST(Tiles, NothingIsWrittenTwice) {
  const TempHome home;
  WriteOnceFiles files(home.path());
  files.write("a/b/c", view_of("x"));
  files.sync();
  files.write("a/b/c", view_of("x"));
  EXPECT_THROW(files.write("a/b/c", view_of("y")), Error);
  EXPECT_EQ(slurp(home.path() / "a/b/c"), "x");
}

}  // namespace
}  // namespace fieldprint::ledger
