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

// `share`: of all runs of two, how many at least are in both of near ones. Those of `examples` are compared with
// `others` where there are some, else with each other.
// `lines`: where given, examples of one line are not compared with each other: answers of one conversation have its
// beginning in common.
Duplicates find_duplicates(std::span<const Example> examples, ThreadPool& pool, std::span<const Example> others = {},
                           std::span<const int64_t> lines = {}, double share = 0.8);

}  // namespace fieldprint
