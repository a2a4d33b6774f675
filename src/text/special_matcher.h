// Finds special tokens in text: from left to right, the longest that begins at a place. Linear in the text whatever the
// tokens are: an Aho-Corasick automaton of the reversed tokens reads the text backwards, so that at every place its
// state tells the longest token which begins there.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"
#include "text/flat_hash.h"

namespace fieldprint {

struct TextFragment {
  size_t begin;
  size_t end;
  TokenId token;  // kNoToken: ordinary text
};

class SpecialMatcher {
 public:
  SpecialMatcher();

  // An empty text and one that is there already are ignored. All adding comes before finish().
  void add(std::string_view text, TokenId token);
  void finish();

  // Cuts `text` into special tokens and what lies between them; no fragment is empty.
  std::vector<TextFragment> split(std::string_view text) const;

  // Appends to `found`, from right to left, the longest token at every place of text[begin, end) that has one inside.
  void find_all(std::string_view text, size_t begin, size_t end, std::vector<TextFragment>& found) const;
  // What split() makes of all that was found, from right to left, in a text of `size` bytes.
  static std::vector<TextFragment> cut(const std::vector<TextFragment>& found, size_t size);

  TokenId find(std::string_view text) const;  // the token of exactly this text, or kNoToken

 private:
  struct Node {
    uint32_t parent;
    uint32_t fail;    // the node of the longest proper suffix of this node's string
    uint32_t length;  // of the longest token among this node's string and its suffixes, in bytes; 0 where there is none
    TokenId token;    // that token
    uint32_t depth;
    uint8_t byte;
  };

  uint32_t child(uint32_t node, uint8_t byte) const;  // kNoSymbol where there is none

  std::vector<Node> nodes_;
  PairTable edges_;
  std::array<bool, 256> starts_{};  // bytes that leave the root
};

}  // namespace fieldprint
