// SentencePiece's normaliser as a file carries it: a compact trie of byte strings, each with its replacement.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf.h"

namespace fieldprint {

class Charsmap {
 public:
  // `map` (integers, a byte each) may be nullptr: nothing is replaced. Throws Error kBadFile.
  explicit Charsmap(const GgufArray* map);

  struct Step {
    size_t consumed;               // bytes of the text, >= 1
    std::string_view replacement;  // lives as long as the text and the map
  };

  // What the text from `at` on (at < text.size()) becomes: the replacement of the longest key there, else its
  // character, else U+FFFD for a broken byte.
  Step step(std::string_view text, size_t at) const;

 private:
  uint32_t unit(size_t index) const { return index < trie_.size() ? trie_[index] : 0; }

  std::vector<uint32_t> trie_;
  std::string replacements_;  // each ends with a NUL
};

}  // namespace fieldprint
