// Prompt lookup (Saxena 2023): the last tokens have stood in the context before, and what followed them there may
// follow again. Of the places where the last kLeast tokens stood, the one with the most tokens before them in common is
// taken.
#include <algorithm>
#include <unordered_map>

#include "engine/drafts/draft.h"

namespace fieldprint {
namespace {

constexpr size_t kLeast = 2;         // tokens that must be the same
constexpr size_t kLongest = 16;      // as many are compared at most
constexpr int kPlaces = 8;           // that are looked at, the latest first
constexpr size_t kTokensAMatch = 3;  // drafted at most for each token that is the same: a short match is a weak one

class NgramDraft final : public Draft {
 public:
  bool read(std::span<const TokenId> history, int) override {
    for (size_t end = before_.size(); end < history.size(); ++end) {  // the tokens that end in front of `end`
      before_.push_back(kNone);
      if (end < kLeast) continue;
      int& latest = latest_.try_emplace(key(history, end), kNone).first->second;
      before_.back() = latest;
      latest = static_cast<int>(end);
    }
    return true;
  }

  void guess(std::span<const TokenId> history, int most, std::vector<TokenId>* tokens) override {
    if (history.size() <= kLeast) return;
    const auto found = latest_.find(key(history, history.size()));
    if (found == latest_.end()) return;
    size_t best = 0, from = 0;
    int place = found->second;
    for (int i = 0; i < kPlaces && place != kNone; ++i, place = before_[static_cast<size_t>(place)]) {
      const auto end = static_cast<size_t>(place);
      size_t same = 0;
      while (same < kLongest && same < end && history[end - 1 - same] == history[history.size() - 1 - same]) ++same;
      if (same > best) best = same, from = end;
    }
    if (best < kLeast) return;  // another pair of the same key
    const size_t count = std::min({static_cast<size_t>(most), best * kTokensAMatch, history.size() - from});
    tokens->insert(tokens->end(), history.begin() + static_cast<std::ptrdiff_t>(from),
                   history.begin() + static_cast<std::ptrdiff_t>(from + count));
  }

 private:
  static constexpr int kNone = -1;

  // Of the kLeast tokens in front of `end`.
  static uint64_t key(std::span<const TokenId> history, size_t end) {
    uint64_t key = 0;
    for (size_t i = end - kLeast; i < end; ++i) key = key << 32 | static_cast<uint32_t>(history[i]);
    return key;
  }

  std::unordered_map<uint64_t, int> latest_;  // where these tokens ended last, with something behind them
  std::vector<int> before_;                   // where those that end here ended the time before
};

}  // namespace

DraftRow ngram_draft() {
  return {"ngram", false,
          [](const std::shared_ptr<Stepper>&) -> std::unique_ptr<Draft> { return std::make_unique<NgramDraft>(); }};
}

}  // namespace fieldprint
