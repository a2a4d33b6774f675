// The tree as files (c2sp.org/tlog-tiles): tile/L/N holds up to 256 neighbouring hashes of level 8 L of the tree,
// tile/entries/N the leaves below a tile of level 0. A tile that is not full has its width in its name; it stays valid
// for the tree of that size. Files are written once.
//
//   tile/0/x001/234.p/17     17 hashes of leaves, from leaf 1234 * 256 on
//   tile/entries/x001/234    256 leaves, each after its length (16 bits, big endian)
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ledger/files.h"
#include "ledger/merkle.h"

namespace fieldprint::ledger {

inline constexpr int kTileHeight = 8;
inline constexpr int kTileWidth = 1 << kTileHeight;
inline constexpr int kEntries = -1;         // the "level" of entry bundles
inline constexpr size_t kLeafMax = 65'535;  // bytes, for the length before each

std::string tile_path(int level, int64_t index, int width);  // width 1 to 256

Bytes encode_bundle(const std::vector<Bytes>& leaves);
// Error kBadInput unless it is `width` leaves and nothing else.
std::vector<Bytes> decode_bundle(ByteView bundle, int width);

// Hashes of a tree of `size` leaves out of its files, a HashReader. Each tile is read once. Error kBadFile for one that
// is missing or has another length than it has to. Whether the hashes are right is for whoever knows the root. One
// thread's at a time; several may read beside each other and beside a TileWriter.
class TileReader {
 public:
  TileReader(std::filesystem::path directory, int64_t size) : directory_(std::move(directory)), size_(size) {}

  Digest operator()(int level, int64_t index);
  const std::vector<Digest>& tile(int level, int64_t index);  // as wide as the tree makes it
  std::vector<Bytes> bundle(int64_t index) const;
  int width(int level, int64_t index) const;  // 0 where the tree has no such tile

 private:
  Bytes read(int level, int64_t index, size_t bytes_each) const;
  std::filesystem::path directory_;
  int64_t size_;
  std::map<std::pair<int, int64_t>, std::vector<Digest>> tiles_;
};

// The files of a tree that grows. After flush() those of a tree of its size are on the disk. Errors are for stopping
// at: the object is of no use after one.
class TileWriter {
 public:
  // Goes on from the files of a tree of `size`. Error kBadFile where those of its right edge are missing or do not
  // belong together.
  TileWriter(const std::filesystem::path& directory, int64_t size);

  void append(ByteView leaf, const Digest& leaf_hash);  // at most kLeafMax bytes
  void flush();
  int64_t size() const { return size_; }
  Digest root() const;

 private:
  void add(size_t level, const Digest& hash);
  void write(int level, int64_t index, int width, ByteView bytes);

  WriteOnceFiles files_;
  int64_t size_;
  std::vector<std::vector<Digest>> edge_;        // for each level the tile that is not full
  Bytes bundle_;                                 // the leaves of edge_[0]
  std::vector<std::filesystem::path> narrower_;  // folders of partial tiles that are whole since
};

}  // namespace fieldprint::ledger
