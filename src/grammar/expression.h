// What grammars and regular expressions are written in: sequences, choices and repetitions of characters and rules.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "grammar/char_set.h"
#include "grammar/program.h"

namespace fieldprint {

struct Expression {
  enum class Kind : uint8_t {
    kSequence,   // of parts; none: the empty text
    kChoice,     // of parts; none: nothing matches
    kLiteral,    // text, UTF-8
    kChars,      // one of chars
    kRule,       // of the program
    kRepeat,     // parts[0], min to max times
    kTextStart,  // ^
    kTextEnd,    // $
  };
  Kind kind = Kind::kSequence;
  std::string text = {};
  CharSet chars = {};
  RuleId rule = kAbsent;
  uint32_t min = 0, max = 0;
  std::vector<Expression> parts = {};

  static Expression literal(std::string text) { return {.kind = Kind::kLiteral, .text = std::move(text)}; }
  static Expression one_of(CharSet chars) { return {.kind = Kind::kChars, .chars = std::move(chars)}; }
  static Expression call(RuleId rule) { return {.kind = Kind::kRule, .rule = rule}; }
  static Expression repeat(Expression part, uint32_t min, uint32_t max);
  static Expression sequence(std::vector<Expression> parts) {
    return {.kind = Kind::kSequence, .parts = std::move(parts)};
  }
  static Expression choice(std::vector<Expression> parts) { return {.kind = Kind::kChoice, .parts = std::move(parts)}; }
};

// How characters are written; empty: as UTF-8. Appends one of `set` at `from` and returns the node behind.
using WriteChars = std::function<NodeId(Program& program, NodeId from, const CharSet& set)>;

// Appends `e` at `from` and returns the node behind. `names`: of literals. No anchors may be left in it.
NodeId append(Program& program, NodeId from, const Expression& e, Names names = Names::kNone,
              const WriteChars& write = {});

}  // namespace fieldprint
