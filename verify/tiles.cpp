#include "tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "text.h"
#include "tree.h"

namespace fieldprint::verify {
namespace {

constexpr unsigned kWidth = 256;
constexpr size_t kHashBytes = 32;
constexpr size_t kBundleBytesMax = kWidth * (2 + 65535);
constexpr int kLevels = 8;  // 256^8 is more leaves than a size can say

uint64_t hashes_of_level(uint64_t size, int level) { return level >= kLevels ? 0 : size >> (8 * level); }

// Takes a bundle apart into `width` entries; false where it is not exactly so many.
bool split_bundle(std::string_view bytes, unsigned width, std::vector<std::string_view>& entries) {
  entries.clear();
  while (!bytes.empty()) {
    if (entries.size() == width || bytes.size() < 2) return false;
    const size_t length = static_cast<size_t>(static_cast<uint8_t>(bytes[0])) << 8 | static_cast<uint8_t>(bytes[1]);
    if (bytes.size() - 2 < length) return false;
    entries.push_back(bytes.substr(2, length));
    bytes.remove_prefix(2 + length);
  }
  return entries.size() == width;
}

class Walk {
 public:
  Walk(const Files& files, uint64_t size, const std::vector<uint64_t>& sizes, Report& report)
      : files_(files), size_(size), sizes_(sizes), report_(report), levels_(kLevels) {
    result_.roots.resize(sizes.size());
  }

  TreeWalk run(const std::function<void(uint64_t, std::string_view)>& event, const std::function<void(uint64_t)>& gap) {
    note_root();
    for (uint64_t first = 0; first < size_; first += kWidth) {
      const unsigned width = static_cast<unsigned>(std::min<uint64_t>(kWidth, size_ - first));
      const std::string path = tile_path("entries", first / kWidth, width);
      const std::optional<std::string> bytes = read_file(files_, path, kBundleBytesMax, report_);
      std::vector<std::string_view> entries;
      if (bytes && !split_bundle(*bytes, width, entries))
        report_.fault("bundle.form",
                      fmt::format("The bundle does not hold exactly {} entries, each behind its length.", width),
                      {.file = path});
      if (!bytes || entries.size() != width) {
        if (broken_ == 0) gap(first);
        ++broken_;
        continue;  // later bundles are still held against their tiles of level 0
      }
      levels_[0].tile = first / kWidth;
      for (unsigned i = 0; i < width; ++i) {
        const Hash leaf = leaf_hash(entries[i]);
        levels_[0].hashes.push_back(leaf);
        if (broken_ != 0) continue;
        tree_.append(leaf);
        note_root();
        event(first + i, entries[i]);
      }
      ++result_.bundles;
      finish(0);
    }
    // Partial tiles of the levels above, which no full tile below has completed.
    for (int level = 1; level < kLevels && broken_ == 0; ++level) {
      if (!levels_[level].hashes.empty()) finish(level);
    }
    result_.complete = broken_ == 0;
    result_.root = tree_.root();
    return result_;
  }

 private:
  struct Level {
    uint64_t tile = 0;         // the one that is being filled
    std::vector<Hash> hashes;  // of it, so far
  };

  void note_root() {
    for (size_t i = 0; i < sizes_.size(); ++i) {
      if (sizes_[i] == tree_.size()) result_.roots[i] = tree_.root();
    }
  }

  // Compares the tile that is being filled with its file, and hands its root up where it is full.
  void finish(int level) {
    Level& own = levels_[level];
    compare(level, own);
    if (own.hashes.size() == kWidth && broken_ == 0) {
      Frontier frontier;
      for (const Hash& hash : own.hashes) frontier.append(hash);
      Level& above = levels_[level + 1];  // the levels suffice: a size is below 2^63
      above.hashes.push_back(frontier.root());
      if (above.hashes.size() == kWidth) finish(level + 1);
    }
    own.hashes.clear();
    ++own.tile;
  }

  void compare(int level, const Level& own) {
    const auto width = static_cast<unsigned>(own.hashes.size());
    const std::string path = tile_path(std::to_string(level), own.tile, width);
    const std::optional<std::string> bytes = read_file(files_, path, kWidth * kHashBytes, report_);
    if (!bytes) return;
    ++result_.tiles;
    if (bytes->size() != width * kHashBytes) {
      report_.fault("tile.size", fmt::format("The tile has {} bytes instead of {}.", bytes->size(), width * kHashBytes),
                    {.file = path});
      return;
    }
    for (unsigned i = 0; i < width; ++i) {
      if (std::string_view(*bytes).substr(i * kHashBytes, kHashBytes) == view(own.hashes[i])) continue;
      Place place{.file = path};
      if (level == 0) place.event = own.tile * kWidth + i;
      report_.fault(
          "tile.hash",
          fmt::format("Hash {} of the tile is not what the {} below it come to.", i, level == 0 ? "event" : "hashes"),
          place);
    }
  }

  const Files& files_;
  uint64_t size_;
  const std::vector<uint64_t>& sizes_;
  Report& report_;
  Frontier tree_;
  std::vector<Level> levels_;
  uint64_t broken_ = 0;  // bundles that could not be read
  TreeWalk result_;
};

// A partial tile or bundle of a smaller size, left where there is a larger one now.
void check_left(const Files& files, const std::string& path, const TilePath& left, unsigned width, Report& report) {
  const std::string level = left.level ? std::to_string(*left.level) : "entries";
  const size_t bytes_max = left.level ? kWidth * kHashBytes : kBundleBytesMax;
  const std::optional<std::string> now = read_file(files, tile_path(level, left.tile, width), bytes_max, report);
  const std::optional<std::string> before = read_file(files, path, bytes_max, report);
  if (!now || !before) return;
  std::vector<std::string_view> entries;
  const bool sized =
      left.level ? before->size() == left.width * kHashBytes : split_bundle(*before, left.width, entries);
  if (!sized || !now->starts_with(*before))
    report.fault("tile.hash", "What was left of a smaller size is not the beginning of what is there now.",
                 {.file = path});
}

}  // namespace

std::string tile_path(std::string_view level, uint64_t tile, unsigned width) {
  std::string index = fmt::format("{:03}", tile % 1000);
  for (uint64_t rest = tile / 1000; rest > 0; rest /= 1000) index = fmt::format("x{:03}/{}", rest % 1000, index);
  return fmt::format("tile/{}/{}{}", level, index, width == kWidth ? "" : fmt::format(".p/{}", width));
}

std::optional<TilePath> parse_tile_path(std::string_view path) {
  TilePath result;
  std::string_view rest = path;
  if (!rest.starts_with("tile/")) return std::nullopt;
  rest.remove_prefix(5);
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view level = rest.substr(0, slash);
  if (level != "entries") {
    const std::optional<uint64_t> number = from_decimal(level);
    if (!number || *number >= kLevels) return std::nullopt;
    result.level = static_cast<int>(*number);
  }
  rest.remove_prefix(slash + 1);
  if (const size_t partial = rest.find(".p/"); partial != std::string_view::npos) {
    const std::optional<uint64_t> width = from_decimal(rest.substr(partial + 3));
    if (!width || *width == 0 || *width >= kWidth) return std::nullopt;
    result.width = static_cast<unsigned>(*width);
    rest = rest.substr(0, partial);
  }
  for (char c : rest) {
    if (c == 'x' || c == '/') continue;
    if (c < '0' || c > '9' || result.tile > UINT64_MAX / 16) return std::nullopt;
    result.tile = result.tile * 10 + static_cast<uint64_t>(c - '0');
  }
  // Signs in other places than tile_path() puts them show when it writes the same again.
  if (tile_path(level, result.tile, result.width) != path) return std::nullopt;
  return result;
}

TreeWalk walk_tree(const Files& files, uint64_t size, const std::vector<uint64_t>& sizes,
                   const std::function<void(uint64_t, std::string_view)>& event,
                   const std::function<void(uint64_t)>& gap, Report& report) {
  return Walk(files, size, sizes, report).run(event, gap);
}

void check_strays(const Files& files, uint64_t size, Report& report) {
  const bool listed = files.each([&](const std::string& path, bool plain) {
    if (!plain) report.fault("export.link", "This is a link, or not a plain file.", {.file = path});
    if (!plain || path == "checkpoint" || path == "records" || path == "log.vkey" || path == "payloads" ||
        path == "commits")
      return;
    const std::optional<TilePath> tile = parse_tile_path(path);
    const uint64_t hashes = tile ? hashes_of_level(size, tile->level.value_or(0)) : 0;
    const uint64_t full = hashes / kWidth;
    const auto partial = static_cast<unsigned>(hashes % kWidth);
    if (!tile || tile->tile > full || (tile->tile == full && tile->width > partial)) {
      report.fault("export.stray", "The file is no part of an export of this size.", {.file = path});
      return;
    }
    const unsigned width = tile->tile < full ? kWidth : partial;
    if (tile->width < width) check_left(files, path, *tile, width, report);
  });
  if (!listed) report.fault("export.read", "A folder of the export cannot be listed, or is too deep.");
}

}  // namespace fieldprint::verify
