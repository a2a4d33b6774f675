// Numbers of a schema as they are written in decimals, and expressions for the JSON numbers between two of them.
#pragma once

#include <optional>
#include <string>

#include "grammar/expression.h"

namespace fieldprint {

// (negative ? -1 : 1) x digits x 10^-scale, exactly; digits has no leading zeros and is "0" for zero.
struct Decimal {
  bool negative = false;
  std::string digits = "0";
  int scale = 0;  // 0 or more

  static Decimal of(double value);  // the shortest that reads as the same double; finite
  static Decimal of(int64_t value);
  static Decimal of(uint64_t value);
  bool operator<(const Decimal& other) const;
  bool operator==(const Decimal& other) const { return !(*this < other) && !(other < *this); }
};

struct Bound {
  Decimal value;
  bool exclusive = false;
};

// JSON integers within the bounds; without a bound up to 16 digits. Nothing where there is none.
Expression integers_between(const std::optional<Bound>& min, const std::optional<Bound>& max);

// JSON numbers within the bounds, without exponents, of so few digits that reading them as doubles keeps them within.
// Empty where that cannot be done exactly.
std::optional<Expression> numbers_between(const std::optional<Bound>& min, const std::optional<Bound>& max);

}  // namespace fieldprint
