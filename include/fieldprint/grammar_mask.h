// Answers that keep to a grammar: masks for SamplingOptions::mask.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fieldprint/grammar.h"
#include "fieldprint/sampling.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

// What masks need of a tokenizer, computed once (about 30 ms for 50,000 tokens). Immutable; any thread; the tokenizer
// need not outlive it.
class GrammarVocabulary {
 public:
  explicit GrammarVocabulary(const Tokenizer& tokenizer);
  ~GrammarVocabulary();
  GrammarVocabulary(const GrammarVocabulary&) = delete;
  GrammarVocabulary& operator=(const GrammarVocabulary&) = delete;

  struct State;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};
using GrammarVocabularyPtr = std::shared_ptr<const GrammarVocabulary>;

// For SamplingOptions::mask. Allowed is every token whose bytes the grammar can go on with; end tokens exactly where
// the text may end; control tokens where the grammar names them. All masks of a pair share what they compute. A mask
// follows an answer that goes back, too, as speculation does. allow() throws Error kLimit where the grammar is so
// ambiguous that a token would take seconds.
std::function<std::unique_ptr<TokenMask>()> grammar_mask(GrammarPtr grammar, GrammarVocabularyPtr vocabulary);

// The last grammars that were asked for, by their source, so that requests with the same schema share one. Thread-safe;
// what makes a grammar throws as above.
class GrammarCache {
 public:
  explicit GrammarCache(size_t capacity = 32);
  ~GrammarCache();
  // `source` tells grammars apart: the kind, the options and the text. `make` runs where it is not there.
  GrammarPtr get(const std::string& source, const std::function<GrammarPtr()>& make);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
