// How one kind of vocabulary turns ordinary text (without special tokens) into ids, and ids into text.
// Immutable after loading, callable from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"
#include "text/vocabulary.h"

namespace fieldprint {

class TextModel {
 public:
  virtual ~TextModel() = default;

  // Appends the ids of `text`. `fresh`: it stands at the start or right after a special token.
  virtual void encode(std::string_view text, bool fresh, std::vector<TokenId>& ids) const = 0;

  // The bytes that a token which is not special stands for, given as the vocabulary writes it.
  virtual std::string piece(std::string_view written, TokenKind kind) const = 0;

  // The token that is not special whose piece is `text`, or kNoToken.
  virtual TokenId find(std::string_view text) const = 0;
};

// They throw Error kBadFile for what makes no sense. `vocabulary` and `file` need not outlive the call.
std::unique_ptr<TextModel> make_byte_level_bpe(const GgufFile& file, const Vocabulary& vocabulary);
std::unique_ptr<TextModel> make_sentencepiece_bpe(const GgufFile& file, const Vocabulary& vocabulary);
std::unique_ptr<TextModel> make_unigram(const GgufFile& file, const Vocabulary& vocabulary);
std::unique_ptr<TextModel> make_wordpiece(const GgufFile& file, const Vocabulary& vocabulary);
std::unique_ptr<TextModel> make_character_bpe(const GgufFile& file, const Vocabulary& vocabulary);

}  // namespace fieldprint
