#include "grammar/masks.h"

#include <algorithm>
#include <bit>

namespace fieldprint {
namespace {

void set(Masks::Words& words, TokenId token) {
  words[static_cast<size_t>(token) / 64] |= uint64_t{1} << (static_cast<size_t>(token) % 64);
}

}  // namespace

Masks::Masks(const Automaton& automaton, const VocabularyTexts& vocabulary, size_t max_bytes)
    : automaton_(automaton), vocabulary_(vocabulary), max_bytes_(max_bytes) {
  reset();
}

void Masks::reset() {
  matcher_ = std::make_unique<Matcher>(automaton_);
  masks_.clear();
  mask_bytes_ = 0;
  forget_at_ = max_bytes_;
  ++generation_;
}

std::shared_ptr<const Masks::Mask> Masks::after(std::span<const TokenId> answer, Progress& progress) {
  const std::lock_guard lock(mutex_);
  if (matcher_->bytes() + mask_bytes_ > forget_at_) reset();
  if (progress.generation_ != generation_) {
    progress.generation_ = generation_;
    progress.tokens_.clear();
    progress.places_ = {first()};
  }
  matcher_->begin_work();
  auto& known = progress.tokens_;
  const auto common = static_cast<size_t>(
      std::mismatch(known.begin(), known.end(), answer.begin(), answer.end()).first - known.begin());
  known.resize(common);
  progress.places_.resize(common + 1);
  for (const TokenId token : answer.subspan(common)) {
    progress.places_.push_back(next(progress.places_.back(), token));
    known.push_back(token);
  }
  // An answer that is followed anew from its beginning must not fill the memory at once again.
  if (answer.size() - common > 1) forget_at_ = std::max(forget_at_, 2 * matcher_->bytes() + mask_bytes_);
  return mask(progress.places_.back());
}

Masks::Place Masks::next(Place place, TokenId token) {
  if (!vocabulary_.has(token)) return {kDead, false};
  const bool fresh = vocabulary_.fresh_after(token);
  if (const auto* named = vocabulary_.named(token))
    return {matcher_->next_named(place.state, named->name, named->ends), fresh};
  const std::string_view text = vocabulary_.text(token, place.fresh);
  return {text.empty() ? kDead : matcher_->next(place.state, text), fresh};
}

std::shared_ptr<const Masks::Mask> Masks::mask(Place place) {
  place.state = matcher_->within(place.state, vocabulary_.longest());
  auto& known = masks_[uint64_t{place.state} << 1 | (place.fresh ? 1 : 0)];
  if (known) return known;
  Words words((static_cast<size_t>(vocabulary_.size()) + 63) / 64);
  if (place.state != kDead) {
    walk(place, words);
    for (const auto& named : vocabulary_.all_named())
      if (!named.name.empty() && matcher_->next_named(place.state, named.name, named.ends) != kDead)
        set(words, named.token);
    if (matcher_->may_end(place.state))
      for (const TokenId token : vocabulary_.ends()) set(words, token);
  }
  size_t count = 0;
  for (const uint64_t word : words) count += static_cast<size_t>(std::popcount(word));
  Mask mask;
  if (count * sizeof(TokenId) >= words.size() * sizeof(uint64_t)) {
    mask.words = std::move(words);
  } else {
    mask.few.reserve(count);
    for (size_t w = 0; w < words.size(); ++w)
      for (uint64_t rest = words[w]; rest != 0; rest &= rest - 1)
        mask.few.push_back(static_cast<TokenId>(w * 64 + static_cast<size_t>(std::countr_zero(rest))));
  }
  mask_bytes_ += mask.words.size() * sizeof(uint64_t) + mask.few.size() * sizeof(TokenId) + 100;
  return known = std::make_shared<const Mask>(std::move(mask));
}

void Masks::walk(Place place, Words& words) {
  const TokenTrie& trie = vocabulary_.trie(place.fresh);
  path_.resize(trie.longest() + 1);
  path_[0] = &matcher_->row(place.state);
  for (uint32_t i = 0; i < trie.size();) {
    const TokenTrie::Node& node = trie[i];
    const StateId state = (*path_[node.depth - 1])[node.byte];
    if (state == kDead) {
      i = node.end;
      continue;
    }
    for (const TokenId token : trie.tokens(i)) set(words, token);
    if (node.end != i + 1) path_[node.depth] = &matcher_->row(state);
    ++i;
  }
}

}  // namespace fieldprint
