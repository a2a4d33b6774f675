// Sentences and capitalised words, as IFEval counts them with NLTK's English tokenizers. NLTK splits sentences by the
// Punkt method (Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection", 2006) with tables learnt from
// newspapers. Here the method is the same, and in place of its tables stand a short list of abbreviations and one of
// words that are capitalised at the beginning of a sentence only. docs/eval.md says how often the two agree.
#pragma once

#include <cstddef>
#include <string_view>

namespace fieldprint {

// Both take valid UTF-8.
size_t count_sentences(std::string_view text);

// Tokens of the Penn Treebank's kind (nltk.word_tokenize) that are upper case: "DON'T" is two, "WELL-KNOWN" is one.
size_t count_capital_words(std::string_view text);

}  // namespace fieldprint
