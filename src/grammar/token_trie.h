// The texts of a vocabulary's tokens as a tree of bytes, in the order of a depth-first walk: a byte that cannot follow
// leaves out all tokens that go on with it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

// Immutable; any thread.
class TokenTrie {
 public:
  struct Node {
    uint32_t end;     // the first node that is not below this one
    uint32_t tokens;  // where those of exactly this text begin; they end where the next node's begin
    uint16_t depth;   // bytes up to here, with this one: at least 1
    uint8_t byte;
  };

  // Texts of 0 bytes and of more than 65,535 are left out.
  explicit TokenTrie(std::vector<std::pair<std::string_view, TokenId>> texts);

  uint32_t size() const { return static_cast<uint32_t>(nodes_.size()) - 1; }
  const Node& operator[](uint32_t i) const { return nodes_[i]; }
  std::span<const TokenId> tokens(uint32_t i) const {
    return std::span(tokens_).subspan(nodes_[i].tokens, nodes_[i + 1].tokens - nodes_[i].tokens);
  }
  uint32_t longest() const { return longest_; }  // bytes

 private:
  std::vector<Node> nodes_;  // and one more behind the last
  std::vector<TokenId> tokens_;
  uint32_t longest_ = 0;
};

}  // namespace fieldprint
