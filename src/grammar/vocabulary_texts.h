// What masks need of a tokenizer: the bytes of each token inside an answer, and the names of those that have none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"
#include "grammar/token_trie.h"

namespace fieldprint {

// Immutable; any thread.
class VocabularyTexts {
 public:
  // Plain characters are those that stand for themselves in a string of JSON and of most languages: all but controls,
  // the quote and the backslash. Most tokens are of such characters alone, and most masks allow all of these or none.
  static constexpr size_t kMaxPlain = 24;
  static bool plain(uint32_t c) { return c >= 0x20 && c != '"' && c != '\\' && c != 0x7F; }

  struct Named {
    TokenId token;
    std::string_view name;
    bool ends;  // an answer
  };

  explicit VocabularyTexts(const Tokenizer& tokenizer);

  int size() const { return static_cast<int>(begins_.size()) - 1; }
  bool has(TokenId token) const { return token >= 0 && token < size(); }
  // `fresh`: the answer begins here, or a token was before that decoding takes a space away after.
  const TokenTrie& trie(bool fresh) const { return fresh && fresh_trie_ ? *fresh_trie_ : *trie_; }
  // Tokens of 1 to `count` plain characters, bit t for token t; count is from 1 to kMaxPlain.
  const std::vector<uint64_t>& of_plain(size_t count) const { return plain_[count - 1]; }
  const TokenTrie& trie_of_others() const {
    return *others_;
  }                                                        // of all but the tokens of 1 to kMaxPlain plain characters
  std::string_view text(TokenId token, bool fresh) const;  // empty for those with names
  const Named* named(TokenId token) const;                 // nullptr for those with a text
  const std::vector<Named>& all_named() const { return named_; }  // ascending
  const std::vector<TokenId>& ends() const { return ends_; }
  bool fresh_at_start() const { return fresh_at_start_; }
  bool fresh_after(TokenId token) const { return fresh_after_[static_cast<size_t>(token)]; }
  uint32_t longest() const { return trie_->longest(); }
  size_t memory_bytes() const;

 private:
  std::string bytes_;
  std::vector<uint32_t> begins_;  // of each token's text in bytes_, and where the last one ends
  std::vector<bool> fresh_after_;
  bool fresh_at_start_;
  std::vector<Named> named_;
  std::vector<TokenId> ends_;
  std::vector<std::vector<uint64_t>> plain_;
  std::optional<TokenTrie> trie_, fresh_trie_, others_;
};

}  // namespace fieldprint
