// Runs of words that texts have in common: whether a training row holds a piece of a test set. As for GPT-3 (Brown et
// al. 2020, appendix C) 13 words in a row count, of shorter test texts the whole, down to 8 words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint::distil {

class WordGrams {
 public:
  static constexpr size_t kMost = 13, kLeast = 8;  // words

  static bool short_text(std::string_view text);  // fewer words than are looked for at least

  // False where `text` has too few words to be looked for. `source` is what find() tells of it.
  bool add(std::string_view text, const std::string& source);

  struct Hit {
    std::string source;
    std::string words;  // that are in both
  };
  // The first run of `text` that a text of add() has, too. Any thread, while nobody adds.
  std::optional<Hit> find(std::string_view text) const;

 private:
  struct Place {
    uint32_t text = 0;  // in texts_
    uint32_t at = 0;    // its first word's
  };
  static uint64_t hash_of(const TokenId* words, size_t count);

  std::unordered_map<std::string, TokenId> dictionary_;
  std::vector<std::vector<TokenId>> texts_;
  std::vector<std::string> sources_;
  std::unordered_multimap<uint64_t, Place> grams_[kMost - kLeast + 1];  // by length
};

}  // namespace fieldprint::distil
