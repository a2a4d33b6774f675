#include "grammar/masks.h"

#include <algorithm>
#include <bit>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr uint64_t kMaxWork = 20'000'000, kMaxWorkPerToken = 50'000;  // of the matcher: a second, and 2.5 ms

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
  after_plain_.clear();
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
  auto made = mask(progress.places_.back());
  // Others wait while one answer's masks are made: it may be dear once, not with each token.
  progress.work_ += matcher_->work_done();
  if (progress.work_ > kMaxWork + kMaxWorkPerToken * answer.size())
    throw Error(ErrorKind::kLimit, "the grammar is too ambiguous: its masks take too long", {},
                "repetitions within repetitions are the usual cause");
  return made;
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
    const int plain = place.fresh ? -1 : plain_run(place.state);
    if (plain > 0) words = vocabulary_.of_plain(static_cast<size_t>(plain));
    walk(place.state, plain >= 0 ? vocabulary_.trie_of_others() : vocabulary_.trie(place.fresh), words);
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

void Masks::walk(StateId start, const TokenTrie& trie, Words& words) {
  path_.resize(trie.longest() + 1);
  path_[0] = &matcher_->row(start);
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

int Masks::plain_run(StateId state) {
  constexpr auto kMost = static_cast<int>(VocabularyTexts::kMaxPlain);
  for (int run = 0; run < kMost; ++run) {
    const StateId next = after_plain(state);
    if (next == kMixed) return -1;
    if (next == kDead) return run;
    if (next == state) return kMost;
    state = next;
  }
  return kMost;
}

StateId Masks::after_plain(StateId state) {
  if (after_plain_.size() <= state) after_plain_.resize(state + 1, kUnknown);
  if (after_plain_[state] != kUnknown) return after_plain_[state];
  const auto found = [&] {
    const Matcher::Row& row = matcher_->row(state);
    const StateId all = row[' '];
    for (unsigned byte = 0x20; byte < 0x7F; ++byte)
      if (VocabularyTexts::plain(byte) && row[byte] != all) return kMixed;
    // What begins a character of more bytes, the second byte, how many come behind it.
    struct Lead {
      unsigned first, last, low, high;
      int more;
    };
    constexpr Lead kLeads[] = {{0xC2, 0xDF, 0x80, 0xBF, 0}, {0xE0, 0xE0, 0xA0, 0xBF, 1}, {0xE1, 0xEC, 0x80, 0xBF, 1},
                               {0xED, 0xED, 0x80, 0x9F, 1}, {0xEE, 0xEF, 0x80, 0xBF, 1}, {0xF0, 0xF0, 0x90, 0xBF, 2},
                               {0xF1, 0xF3, 0x80, 0xBF, 2}, {0xF4, 0xF4, 0x80, 0x8F, 2}};
    for (const Lead& lead : kLeads) {
      StateId before = kUnknown;
      for (unsigned byte = lead.first; byte <= lead.last; ++byte) {
        if (row[byte] == before) continue;
        before = row[byte];
        if (after_all(before, lead.low, lead.high, lead.more) != all) return kMixed;
      }
    }
    return all;
  }();
  if (after_plain_.size() <= state) after_plain_.resize(state + 1, kUnknown);
  return after_plain_[state] = found;
}

// What follows each of the bytes low..high and `more` bytes 80..BF.
StateId Masks::after_all(StateId state, unsigned low, unsigned high, int more) {
  if (state == kDead) return kDead;
  const Matcher::Row& row = matcher_->row(state);
  StateId before = kUnknown, all = kUnknown;
  for (unsigned byte = low; byte <= high; ++byte) {
    if (row[byte] == before) continue;
    before = row[byte];
    const StateId next = more == 0 ? before : after_all(before, 0x80, 0xBF, more - 1);
    if (all == kUnknown) all = next;
    if (next != all || next == kMixed) return kMixed;
  }
  return all;
}

}  // namespace fieldprint
