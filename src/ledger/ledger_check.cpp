// A ledger read as a whole: to look after every byte of it, and to hand it on.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "fieldprint/error.h"
#include "ledger/ledger.h"

namespace fieldprint::ledger {
namespace {

namespace fs = std::filesystem;

// each(level, index) for every tile of the tree, level by level; bundles too, as level kEntries.
template <typename Each>
void for_each_tile(const TileReader& tiles, Each each) {
  for (int64_t index = 0; tiles.width(kEntries, index) > 0; ++index) each(kEntries, index);
  for (int level = 0; tiles.width(level, 0) > 0; ++level) {
    for (int64_t index = 0; tiles.width(level, index) > 0; ++index) each(level, index);
  }
}

void write_file(const fs::path& path, ByteView bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw Error(ErrorKind::kIo, "cannot write the file", path.string());
}

}  // namespace

std::vector<std::string> Ledger::check(const std::vector<int>& spaces) const {
  constexpr size_t kFaultsMax = 100;
  std::vector<std::string> faults;
  const auto look = [&](auto work) {
    try {
      work();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kIo) throw;
      if (faults.size() < kFaultsMax) faults.emplace_back(error.what());
    }
  };
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) throw Error(ErrorKind::kBadFile, what, directory_.string());
  };
  const Head head = published();
  const int64_t size = head.checkpoint.size, durable = durable_size();

  look([&] {
    // A newer one may have been published since.
    const std::string on_disk(text_of(read_file(directory_ / "checkpoint").value_or(Bytes())));
    require(on_disk == head.note || on_disk == checkpoint(), "the file checkpoint is not the one that was published");
    if (!head.note.empty()) {
      require(open_checkpoint(parse_note(head.note), options_.signer.verifier()) == head.checkpoint,
              "the checkpoint is not the one that was signed");
    }
  });

  TileReader tiles(directory_, size);
  MerkleTree tree;
  std::vector<Bytes> bundle;
  int64_t next = 0;
  // After a leaf that cannot be read those behind it are still looked at.
  while (next < durable) {
    look([&] {
      store_->leaves(next, durable, [&](int64_t index, ByteView leaf) {
        next = index + 1;
        const Digest hash = leaf_hash(leaf);
        tree.append(hash);
        if (index >= size) return;
        look([&] { require(tiles(0, index) == hash, fmt::format("leaf {} is not the one in its tile", index)); });
        look([&] {
          if (index % kTileWidth == 0) bundle.clear();
          if (bundle.empty()) bundle = tiles.bundle(index / kTileWidth);
          require(std::ranges::equal(bundle[static_cast<size_t>(index % kTileWidth)], leaf),
                  fmt::format("leaf {} is not the one in its bundle", index));
        });
        if (index + 1 == size) {
          look([&] { require(tree.root() == head.checkpoint.root, "the leaves are not those that were signed"); });
        }
      });
      next = durable;
    });
    if (next < durable) ++next;
  }
  for_each_tile(tiles, [&](int level, int64_t index) {
    if (level < 1) return;
    look([&] {
      const std::vector<Digest>& hashes = tiles.tile(level, index);
      for (size_t i = 0; i < hashes.size(); ++i) {
        const int64_t below = index * kTileWidth + static_cast<int64_t>(i);
        require(subtree_root(tiles.tile(level - 1, below)) == hashes[i],
                fmt::format("tile {} does not hash to the one above it", tile_path(level - 1, below, kTileWidth)));
      }
    });
  });
  for (const int space : spaces) {
    look([&] { scan(space, {}, [](ByteView, ByteView) {}); });
  }
  return faults;
}

int64_t Ledger::export_to(const fs::path& directory) const {
  const Head head = published();
  TileReader tiles(directory_, head.checkpoint.size);
  for_each_tile(tiles, [&](int level, int64_t index) {
    const fs::path path = directory / tile_path(level, index, tiles.width(level, index));
    if (level == kEntries) return write_file(path, encode_bundle(tiles.bundle(index)));
    write_file(path, std::as_bytes(std::span(tiles.tile(level, index))));
  });
  write_file(directory / "checkpoint", view_of(head.note));
  return head.checkpoint.size;
}

}  // namespace fieldprint::ledger
