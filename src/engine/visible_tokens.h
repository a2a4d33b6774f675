// What a clearance lets somebody see of labelled text: the rest is gone before anything else looks at it.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "fieldprint/labels.h"
#include "kv/spans.h"

namespace fieldprint {

struct VisibleTokens {
  std::vector<TokenId> tokens;
  Spans labels;  // of their positions, counted from 0

  explicit VisibleTokens(std::span<const TokenId> all) : tokens(all.begin(), all.end()) {}
  VisibleTokens(std::span<const LabelledTokens> spans, int clearance) {
    for (const LabelledTokens& span : spans) {
      if (span.label.clearance > clearance || span.tokens.empty()) continue;
      labels.set(static_cast<int>(tokens.size()), span.label);
      tokens.insert(tokens.end(), span.tokens.begin(), span.tokens.end());
    }
  }

  // How many tokens `held` begins with in common, labels among them; `held` stands at position `first` of
  // `held_labels`.
  size_t common(std::span<const TokenId> held, const Spans& held_labels, int first = 0) const {
    const auto same = std::mismatch(tokens.begin(), tokens.end(), held.begin(), held.end()).first - tokens.begin();
    int at = 0;
    while (at < same) {
      const auto &ours = labels.at(at), &theirs = held_labels.at(first + at);
      if (!(ours.label == theirs.label)) return static_cast<size_t>(at);
      at = std::min(ours.end, theirs.end == Spans::kOpen ? Spans::kOpen : theirs.end - first);
    }
    return static_cast<size_t>(same);
  }

  // Tells `to` whose the tokens from `from` on are; they stand there `first` positions later.
  void label(Spans& to, int from, int first = 0) const {
    for (const Spans::Span& span : labels.all()) {
      if (span.end > from) to.set(first + std::max(span.begin, from), span.label);
    }
  }
};

// Of the first `tokens` tokens those before the first span above `clearance`.
inline int seen_under(const Spans& labels, int tokens, int clearance) {
  for (const Spans::Span& span : labels.all()) {
    if (span.label.clearance > clearance) return std::min(tokens, span.begin);
  }
  return tokens;
}

}  // namespace fieldprint
