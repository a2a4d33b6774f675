// The masks of one grammar over one vocabulary: which tokens may follow, for each state that answers have come to, made
// once and shared by all answers.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/matcher.h"
#include "grammar/vocabulary_texts.h"

namespace fieldprint {

// Any thread.
class Masks {
 public:
  using Words = std::vector<uint64_t>;  // bit t: token t

  // The tokens that may follow: most masks have nearly all or very few.
  struct Mask {
    Words words;               // or empty
    std::vector<TokenId> few;  // and these
  };

  // Where an answer stands after each of its tokens. One thread at a time.
  class Progress {
    friend Masks;
    struct Place {
      StateId state;
      bool fresh;  // VocabularyTexts::trie
    };
    uint64_t generation_ = 0;  // of the states; 0: none yet
    std::vector<TokenId> tokens_;
    std::vector<Place> places_;  // one more than tokens
    uint64_t work_ = 0;          // done for this answer
  };

  // Both outlive the masks. What is kept beyond `max_bytes` is forgotten and made anew as needed.
  Masks(const Automaton& automaton, const VocabularyTexts& vocabulary, size_t max_bytes = 32 << 20);

  // What may follow `answer`; `progress` remembers the part of it that was there before. Throws Error kLimit.
  std::shared_ptr<const Mask> after(std::span<const TokenId> answer, Progress& progress);

 private:
  using Place = Progress::Place;
  static constexpr StateId kMixed = ~StateId{0}, kUnknown = kMixed - 1;

  Place first() const { return {matcher_->start(), vocabulary_.fresh_at_start()}; }
  Place next(Place place, TokenId token);
  std::shared_ptr<const Mask> mask(Place place);
  void walk(StateId state, const TokenTrie& trie, Words& words);
  // What follows each plain character: a state, kDead, or kMixed where it is not the same for all.
  StateId after_plain(StateId state);
  StateId after_all(StateId state, unsigned low, unsigned high, int more);
  // How many plain characters may follow, all texts of them: at most kMaxPlain. -1: some may, others not.
  int plain_run(StateId state);
  void reset();

  const Automaton& automaton_;
  const VocabularyTexts& vocabulary_;
  std::mutex mutex_;  // of all below
  std::unique_ptr<Matcher> matcher_;
  std::unordered_map<uint64_t, std::shared_ptr<const Mask>> masks_;  // by state and freshness
  size_t mask_bytes_ = 0, max_bytes_;
  size_t forget_at_ = 0;  // bytes: more than max_bytes_ where one answer's states alone take most of them
  uint64_t generation_ = 0;
  std::vector<const Matcher::Row*> path_;  // of walk()
  std::vector<StateId> after_plain_;       // of each state; kUnknown
};

}  // namespace fieldprint
