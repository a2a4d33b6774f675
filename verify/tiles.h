// The tree of an export as tlog-tiles (c2sp.org/tlog-tiles): every entry bundle is read and hashed, every tile of every
// level is compared with what the entries make of it. Only the entries are believed, and these by the root that they
// come to.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files.h"
#include "hash.h"
#include "report.h"

namespace fieldprint::verify {

// "tile/0/x001/234.p/7" of level "0", tile 1234 and width 7; without ".p/7" where it is 256 wide. Bundles have the
// level "entries".
std::string tile_path(std::string_view level, uint64_t tile, unsigned width);

struct TilePath {
  std::optional<int> level;  // absent: entries
  uint64_t tile = 0;
  unsigned width = 256;
};
// Nothing where the path is not one that tile_path() makes.
std::optional<TilePath> parse_tile_path(std::string_view path);

struct TreeWalk {
  Hash root = {};  // over all entries; only where `complete`
  std::vector<std::optional<Hash>> roots =
      {};                           // over the first so many of them as `sizes` says, where those were there
  bool complete = false;            // every entry was there
  uint64_t bundles = 0, tiles = 0;  // read and compared
};

// Walks a tree of `size` leaves, and notes its roots at `sizes` on the way. `event(index, leaf)` gets every entry in
// order, `gap(index)` is called once at the first entry that cannot be read; no entry is given after it. Faults: those
// of read_file(), "bundle.form", "tile.size", "tile.hash".
TreeWalk walk_tree(const Files& files, uint64_t size, const std::vector<uint64_t>& sizes,
                   const std::function<void(uint64_t, std::string_view)>& event,
                   const std::function<void(uint64_t)>& gap, Report& report);

// Faults "export.stray", "export.link" and "export.read" for what does not belong into an export of `size` events, and
// "tile.hash" for left partial tiles and bundles that are not the beginning of those there now.
void check_strays(const Files& files, uint64_t size, Report& report);

}  // namespace fieldprint::verify
