#include "ledger/tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>

#include "fieldprint/error.h"

namespace fieldprint::ledger {
namespace {

namespace fs = std::filesystem;

std::string folder_of_partials(int level, int64_t index) { return tile_path(level, index, kTileWidth) + ".p"; }

ByteView bytes_of(std::span<const Digest> hashes) { return std::as_bytes(hashes); }

void append_entry(Bytes& bundle, ByteView leaf) {
  bundle.push_back(static_cast<std::byte>(leaf.size() >> 8));
  bundle.push_back(static_cast<std::byte>(leaf.size()));
  bundle.insert(bundle.end(), leaf.begin(), leaf.end());
}

}  // namespace

std::string tile_path(int level, int64_t index, int width) {
  assert(index >= 0 && width >= 1 && width <= kTileWidth);
  std::string digits = fmt::format("{:03}", index % 1000);
  for (int64_t rest = index / 1000; rest > 0; rest /= 1000) digits = fmt::format("x{:03}/{}", rest % 1000, digits);
  const std::string name = level == kEntries ? "entries" : std::to_string(level);
  return fmt::format("tile/{}/{}{}", name, digits, width < kTileWidth ? fmt::format(".p/{}", width) : "");
}

Bytes encode_bundle(const std::vector<Bytes>& leaves) {
  Bytes bundle;
  for (const Bytes& leaf : leaves) {
    assert(leaf.size() <= kLeafMax);
    append_entry(bundle, leaf);
  }
  return bundle;
}

std::vector<Bytes> decode_bundle(ByteView bundle, int width) {
  std::vector<Bytes> leaves;
  for (int i = 0; i < width; ++i) {
    if (bundle.size() < 2) throw Error(ErrorKind::kBadInput, "a bundle of entries ends too early");
    const size_t size = static_cast<size_t>(bundle[0]) << 8 | static_cast<size_t>(bundle[1]);
    if (bundle.size() - 2 < size) throw Error(ErrorKind::kBadInput, "a bundle of entries ends too early");
    leaves.emplace_back(bundle.begin() + 2, bundle.begin() + 2 + static_cast<ptrdiff_t>(size));
    bundle = bundle.subspan(2 + size);
  }
  if (!bundle.empty()) throw Error(ErrorKind::kBadInput, "a bundle of entries with more than its entries");
  return leaves;
}

int TileReader::width(int level, int64_t index) const {
  const int64_t hashes = size_ >> (kTileHeight * std::max(level, 0));
  return static_cast<int>(std::clamp<int64_t>(hashes - index * kTileWidth, 0, kTileWidth));
}

// The file of exactly this width, else a wider one, whose beginning is the same: the narrower may have been removed
// since, or belongs to a size that was never signed. `bytes_each` 0: items differ in length.
Bytes TileReader::read(int level, int64_t index, size_t bytes_each) const {
  const int least = width(level, index);
  assert(least > 0);
  std::vector<int> widths{least, kTileWidth};
  if (!fs::exists(directory_ / tile_path(level, index, least))) {
    std::error_code error;
    for (fs::directory_iterator it(directory_ / folder_of_partials(level, index), error), end; !error && it != end;
         it.increment(error)) {
      const std::string name = it->path().filename().string();
      int found = 0;
      const auto [at, code] = std::from_chars(name.data(), name.data() + name.size(), found);
      if (code == std::errc() && at == name.data() + name.size() && found > least && found < kTileWidth) {
        widths.push_back(found);
      }
    }
  }
  for (const int there : widths) {
    const std::string name = tile_path(level, index, there);
    auto bytes = read_file(directory_ / name);
    if (!bytes) continue;
    if (bytes_each > 0) {
      if (bytes->size() != bytes_each * static_cast<size_t>(there)) {
        throw Error(ErrorKind::kBadFile, "has another length than its hashes take", (directory_ / name).string());
      }
      bytes->resize(bytes_each * static_cast<size_t>(least));
      return std::move(*bytes);
    }
    try {
      std::vector<Bytes> leaves = decode_bundle(*bytes, there);
      leaves.resize(static_cast<size_t>(least));
      return encode_bundle(leaves);
    } catch (const Error& error) {
      throw Error(ErrorKind::kBadFile, error.what(), (directory_ / name).string());
    }
  }
  throw Error(ErrorKind::kBadFile, "a part of the tree is missing",
              (directory_ / tile_path(level, index, least)).string());
}

const std::vector<Digest>& TileReader::tile(int level, int64_t index) {
  std::vector<Digest>& hashes = tiles_[{level, index}];
  if (hashes.empty()) {
    const Bytes bytes = read(level, index, sizeof(Digest));
    std::vector<Digest> got(bytes.size() / sizeof(Digest));
    for (size_t i = 0; i < got.size(); ++i)
      got[i] = digest_of(ByteView(bytes).subspan(i * sizeof(Digest), sizeof(Digest)));
    hashes = std::move(got);
  }
  return hashes;
}

std::vector<Bytes> TileReader::bundle(int64_t index) const {
  return decode_bundle(read(kEntries, index, 0), width(kEntries, index));
}

Digest TileReader::operator()(int level, int64_t index) {
  const int inside = level % kTileHeight;
  const int64_t first = index << inside;  // of the hashes on the tile's level
  const std::vector<Digest>& hashes = tile(level / kTileHeight, first >> kTileHeight);
  const auto at = static_cast<size_t>(first % kTileWidth), count = size_t{1} << inside;
  assert(at + count <= hashes.size());
  return subtree_root(std::span(hashes).subspan(at, count));
}

TileWriter::TileWriter(const fs::path& directory, int64_t size) : files_(directory), size_(size) {
  TileReader reader(directory, size);
  for (int level = 0; size >> (kTileHeight * level) > 0; ++level) {
    const int64_t index = size >> (kTileHeight * (level + 1));
    edge_.push_back(reader.width(level, index) > 0 ? reader.tile(level, index) : std::vector<Digest>());
    // What a tile above says of the full one before this is looked at too.
    if (index > 0) {
      const Digest root = subtree_root(reader.tile(level, index - 1));
      if (root != reader(kTileHeight * (level + 1), index - 1)) {
        throw Error(ErrorKind::kBadFile, "does not hash to what the tile above it says",
                    (directory / tile_path(level, index - 1, kTileWidth)).string());
      }
    }
  }
  if (edge_.empty() || edge_[0].empty()) return;
  const std::vector<Bytes> leaves = reader.bundle(size >> kTileHeight);
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (leaf_hash(leaves[i]) != edge_[0][i]) {
      throw Error(ErrorKind::kBadFile, "its entries do not hash to the tile beside it",
                  (directory / tile_path(kEntries, size >> kTileHeight, static_cast<int>(leaves.size()))).string());
    }
  }
  bundle_ = encode_bundle(leaves);
}

void TileWriter::write(int level, int64_t index, int width, ByteView bytes) {
  files_.write(tile_path(level, index, width), bytes);
  if (width == kTileWidth) narrower_.push_back(files_.root() / folder_of_partials(level, index));
}

void TileWriter::append(ByteView leaf, const Digest& hash) {
  assert(leaf.size() <= kLeafMax);
  append_entry(bundle_, leaf);
  const int64_t index = size_++ >> kTileHeight;
  if (size_ % kTileWidth == 0) {
    write(kEntries, index, kTileWidth, bundle_);
    bundle_.clear();
  }
  add(0, hash);
}

void TileWriter::add(size_t level, const Digest& hash) {
  if (level == edge_.size()) edge_.emplace_back();
  edge_[level].push_back(hash);
  if (edge_[level].size() < kTileWidth) return;
  const std::vector<Digest> full = std::move(edge_[level]);
  edge_[level].clear();
  write(static_cast<int>(level), (size_ >> (kTileHeight * (level + 1))) - 1, kTileWidth, bytes_of(full));
  add(level + 1, subtree_root(full));
}

void TileWriter::flush() {
  for (size_t level = 0; level < edge_.size(); ++level) {
    if (edge_[level].empty()) continue;
    write(static_cast<int>(level), size_ >> (kTileHeight * (level + 1)), static_cast<int>(edge_[level].size()),
          bytes_of(edge_[level]));
  }
  if (!bundle_.empty()) write(kEntries, size_ >> kTileHeight, static_cast<int>(size_ % kTileWidth), bundle_);
  files_.sync();
  // Now that whole tiles are on the disk, those of their widths before are of no use.
  std::error_code ignored;
  for (const fs::path& folder : narrower_) fs::remove_all(folder, ignored);
  narrower_.clear();
}

// All full subtrees that the tree is split into lie in its tiles that are not full.
Digest TileWriter::root() const {
  return tree_root(size_, [&](int level, int64_t index) {
    const int inside = level % kTileHeight;
    const std::vector<Digest>& hashes = edge_[static_cast<size_t>(level / kTileHeight)];
    return subtree_root(
        std::span(hashes).subspan(static_cast<size_t>((index << inside) % kTileWidth), size_t{1} << inside));
  });
}

}  // namespace fieldprint::ledger
