// What a Grammar holds.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "fieldprint/grammar.h"
#include "grammar/automaton.h"
#include "grammar/masks.h"
#include "grammar/vocabulary_texts.h"

namespace fieldprint {

struct Grammar::State {
  // Over one vocabulary, which is kept alive by it.
  struct OfVocabulary {
    std::shared_ptr<const VocabularyTexts> vocabulary;
    Masks masks;

    OfVocabulary(const Automaton& automaton, std::shared_ptr<const VocabularyTexts> v)
        : vocabulary(std::move(v)), masks(automaton, *vocabulary) {}
  };

  Program program;  // for larger grammars
  Automaton automaton;
  mutable std::mutex mutex;
  mutable std::vector<std::shared_ptr<OfVocabulary>> masks;  // the last used at the end

  explicit State(Program p) : program(std::move(p)), automaton(program) {}
};

}  // namespace fieldprint
