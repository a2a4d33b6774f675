// Notices an answer that has fallen into a loop (docs/sampling.md).
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

// A loop: for some period P of at most kLongestPeriod tokens, each of the last max(kLeastTokens, kLeastPeriods * P)
// tokens but the first P of them is the one P before it.
class LoopCheck {
 public:
  static constexpr size_t kLongestPeriod = 256, kLeastTokens = 512, kLeastPeriods = 4;

  // `answer`: its tokens so far, one more than in the call before.
  bool in_loop(std::span<const TokenId> answer) {
    const size_t last = answer.size() - 1;
    bool loop = false;
    for (size_t p = 1; p <= std::min(kLongestPeriod, last); ++p) {
      same_[p] = answer[last] == answer[last - p] ? same_[p] + 1 : 0;
      loop = loop || same_[p] + p >= std::max(kLeastTokens, kLeastPeriods * p);
    }
    return loop;
  }

 private:
  std::array<size_t, kLongestPeriod + 1> same_{};  // how many of the last tokens are the one p before them
};

}  // namespace fieldprint
