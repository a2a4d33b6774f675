// Regular sets of strings as deterministic automata over characters, for what expressions cannot say: the strings that
// match two patterns, that are so long, that are none of these names.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/char_set.h"
#include "grammar/expression.h"
#include "grammar/program.h"

namespace fieldprint {

// Immutable. What makes one throws Error kLimit where it has too many states.
class Language {
 public:
  static Language of(const Expression& e);  // without rules and anchors
  static Language of(std::span<const std::string> words);
  static Language of_lengths(uint32_t min, uint32_t max);  // characters; kUnbounded: no end
  static Language of_multiples(uint32_t divisor);          // whole numbers in decimals; at least 1, at most 1000

  Language both(const Language& other) const { return product(other, true); }
  Language minus(const Language& other) const { return product(other, false); }
  bool empty() const;
  bool contains(std::string_view text) const;

  // Appends it at `from` and returns the node behind.
  NodeId append(Program& program, NodeId from, const WriteChars& write) const;

 private:
  struct Move {
    uint32_t first, last;  // characters
    uint32_t to;
  };
  struct State {
    std::vector<Move> moves;  // ascending, without overlaps
    bool accepts = false;
  };

  Language product(const Language& other, bool inside) const;

  std::vector<State> states_;  // the first is the start
};

}  // namespace fieldprint
