// Examples that say the same, or nearly: counted, so that somebody may look. Near ones by MinHash (Broder 1997) over
// runs of 5 tokens: 128 minima a document estimate the share of runs that two have in common; bands of 4 of them find
// who to compare.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "train/example.h"

namespace fieldprint {

struct Duplicates {
  int64_t exact = 0;  // that have the tokens of one before
  int64_t near = 0;   // that have most runs of one before, and not the same tokens
  // Of the first of each, the two places: in the order of the examples.
  std::pair<int64_t, int64_t> first_exact{-1, -1}, first_near{-1, -1};
};

// The first that a document says the same as, of those before it; -1: none.
struct Alike {
  int64_t exact = -1;
  int64_t near = -1;  // and not the same tokens
};

// Documents are runs of numbers: ids of tokens or of words. `share`: of all runs of two, how many at least are in both
// of near ones. Those of `documents` are compared with `others` where there are some, else with each other. `groups`:
// where given, documents of one group are not compared with each other.
using Document = std::span<const TokenId>;
std::vector<Alike> find_alike(std::span<const Document> documents, ThreadPool& pool,
                              std::span<const Document> others = {}, std::span<const int64_t> groups = {},
                              double share = 0.8);

// The same of examples, counted. `lines`: as groups; answers of one conversation have its beginning in common.
Duplicates find_duplicates(std::span<const Example> examples, ThreadPool& pool, std::span<const Example> others = {},
                           std::span<const int64_t> lines = {}, double share = 0.8);

}  // namespace fieldprint
