#include "grammar/decimal.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace fieldprint {
namespace {

using std::string;
using std::string_view;
constexpr size_t kIntegerDigits = 16;  // of integers without a bound: below 2^53 doubles have them all
constexpr int kExactDigits = 15;       // decimals of so many digits are told apart by doubles
constexpr int kUnboundedDigits = 9;    // before the point, of numbers without a bound

void strip(string& digits) {
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) digits = "0";
}

// Of whole numbers without a sign.
bool less(const string& a, const string& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

string plus_one(string digits) {
  for (size_t i = digits.size(); i-- > 0; digits[i] = '0') {
    if (digits[i] != '9') {
      ++digits[i];
      return digits;
    }
  }
  return "1" + digits;
}

string minus_one(string digits) {  // of at least 1
  for (size_t i = digits.size(); i-- > 0; digits[i] = '9') {
    if (digits[i] != '0') {
      --digits[i];
      break;
    }
  }
  strip(digits);
  return digits;
}

struct Whole {  // with a sign
  bool negative;
  string digits;
  bool zero() const { return digits == "0"; }
};

bool less(const Whole& a, const Whole& b) {
  if (a.negative != b.negative) return a.negative && !(a.zero() && b.zero());
  return a.negative ? less(b.digits, a.digits) : less(a.digits, b.digits);
}

Whole next(const Whole& w) {
  if (!w.negative || w.zero()) return {false, plus_one(w.digits)};
  return {true, minus_one(w.digits)};
}
Whole negated(Whole w) { return {!w.negative && !w.zero(), std::move(w.digits)}; }

// The least whole number w with w x 10^-places >= bound, or > where it is exclusive.
Whole at_least(const Bound& bound, int places) {
  string digits = bound.value.digits;
  bool rest = false;
  if (bound.value.scale <= places) {
    digits.append(static_cast<size_t>(places - bound.value.scale), '0');
  } else {
    const auto cut = static_cast<size_t>(bound.value.scale - places);
    if (digits.size() < cut + 1) digits.insert(0, cut + 1 - digits.size(), '0');
    rest = digits.find_first_not_of('0', digits.size() - cut) != string::npos;
    digits.resize(digits.size() - cut);
  }
  strip(digits);
  const Whole floor_of_size{bound.value.negative && digits != "0", digits};  // towards zero
  if (rest) return bound.value.negative ? floor_of_size : next(floor_of_size);
  return bound.exclusive ? next(floor_of_size) : floor_of_size;
}

Whole at_most(const Bound& bound, int places) {
  Bound mirrored = bound;
  mirrored.value.negative = !bound.value.negative && bound.value.digits != "0";
  return negated(at_least(mirrored, places));
}

Expression digit(char from, char to) {
  return Expression::one_of({{static_cast<uint32_t>(from), static_cast<uint32_t>(to)}});
}
Expression digits_any(size_t min, size_t max) {
  return Expression::repeat(digit('0', '9'), static_cast<uint32_t>(min), static_cast<uint32_t>(max));
}
template <typename... Parts>
Expression joined(Parts... parts) {
  std::vector<Expression> list;
  (list.push_back(std::move(parts)), ...);
  return Expression::sequence(std::move(list));
}
bool all(string_view s, char c) { return s.find_first_not_of(c) == s.npos; }

// Strings of exactly as many digits as `s`, of at least, at most its value.
Expression same_length_from(string_view s) {
  if (all(s, '0')) return digits_any(s.size(), s.size());
  std::vector<Expression> choices;
  if (s[0] < '9')
    choices.push_back(joined(digit(static_cast<char>(s[0] + 1), '9'), digits_any(s.size() - 1, s.size() - 1)));
  choices.push_back(joined(digit(s[0], s[0]), same_length_from(s.substr(1))));
  return Expression::choice(std::move(choices));
}
Expression same_length_to(string_view s) {
  if (all(s, '9')) return digits_any(s.size(), s.size());
  std::vector<Expression> choices;
  if (s[0] > '0')
    choices.push_back(joined(digit('0', static_cast<char>(s[0] - 1)), digits_any(s.size() - 1, s.size() - 1)));
  choices.push_back(joined(digit(s[0], s[0]), same_length_to(s.substr(1))));
  return Expression::choice(std::move(choices));
}
Expression same_length(string_view a, string_view b) {
  if (a.empty()) return {};
  if (a[0] == b[0]) return joined(digit(a[0], a[0]), same_length(a.substr(1), b.substr(1)));
  std::vector<Expression> choices;
  choices.push_back(joined(digit(a[0], a[0]), same_length_from(a.substr(1))));
  if (b[0] - a[0] > 1) {
    const size_t rest = a.size() - 1;
    choices.push_back(joined(digit(static_cast<char>(a[0] + 1), static_cast<char>(b[0] - 1)), digits_any(rest, rest)));
  }
  choices.push_back(joined(digit(b[0], b[0]), same_length_to(b.substr(1))));
  return Expression::choice(std::move(choices));
}

// Whole numbers a..b without sign and leading zeros.
Expression whole_between(const string& a, const string& b) {
  std::vector<Expression> choices;
  if (!less(b, a)) {
    for (size_t length = a.size(); length <= b.size(); ++length) {
      const string first = length == a.size() ? a : "1" + string(length - 1, '0');
      const string last = length == b.size() ? b : string(length, '9');
      choices.push_back(same_length(first, last));
    }
  }
  return Expression::choice(std::move(choices));
}

// Digits behind the point, at most as many as `s`, so that followed by zeros they are at least, at most `s`.
Expression fraction_from(string_view s) {
  if (all(s, '0')) return digits_any(0, s.size());
  std::vector<Expression> choices;
  if (s[0] < '9') choices.push_back(joined(digit(static_cast<char>(s[0] + 1), '9'), digits_any(0, s.size() - 1)));
  choices.push_back(joined(digit(s[0], s[0]), fraction_from(s.substr(1))));
  return Expression::choice(std::move(choices));
}
Expression fraction_to(string_view s, bool may_be_empty) {
  std::vector<Expression> choices;
  if (may_be_empty) choices.emplace_back();
  if (!s.empty()) {
    if (s[0] > '0') choices.push_back(joined(digit('0', static_cast<char>(s[0] - 1)), digits_any(0, s.size() - 1)));
    choices.push_back(joined(digit(s[0], s[0]), fraction_to(s.substr(1), true)));
  }
  return Expression::choice(std::move(choices));
}
Expression fraction_between(string_view a, string_view b) {  // a is not all zeros
  std::vector<Expression> choices;
  if (a[0] == b[0]) {
    const string_view rest = a.substr(1);
    return joined(digit(a[0], a[0]),
                  all(rest, '0') ? fraction_to(b.substr(1), true) : fraction_between(rest, b.substr(1)));
  }
  choices.push_back(joined(digit(a[0], a[0]), fraction_from(a.substr(1))));
  if (b[0] - a[0] > 1)
    choices.push_back(
        joined(digit(static_cast<char>(a[0] + 1), static_cast<char>(b[0] - 1)), digits_any(0, a.size() - 1)));
  choices.push_back(joined(digit(b[0], b[0]), fraction_to(b.substr(1), true)));
  return Expression::choice(std::move(choices));
}

Expression optional(Expression e) { return Expression::repeat(std::move(e), 0, 1); }
Expression point() { return Expression::literal("."); }

// Numbers of a..b in units of the last of `places` digits behind the point, without a sign.
Expression fixed_between(string a, string b, size_t places) {
  if (less(b, a)) return Expression::choice({});
  if (places == 0) return whole_between(a, b);
  const auto cut = [&](string& s) {
    if (s.size() < places + 1) s.insert(0, places + 1 - s.size(), '0');
    string fraction = s.substr(s.size() - places);
    s.resize(s.size() - places);
    return fraction;
  };
  const string af = cut(a), bf = cut(b);  // a and b keep what is before the point
  const auto from = [&](const string& f) {
    return all(f, '0') ? optional(joined(point(), digits_any(1, places))) : joined(point(), fraction_from(f));
  };
  const auto to = [&](const string& f) { return optional(joined(point(), fraction_to(f, false))); };
  if (a == b) return joined(Expression::literal(a), all(af, '0') ? to(bf) : joined(point(), fraction_between(af, bf)));
  std::vector<Expression> choices;
  choices.push_back(joined(Expression::literal(a), from(af)));
  if (const string first = plus_one(a); less(first, b))
    choices.push_back(joined(whole_between(first, minus_one(b)), optional(joined(point(), digits_any(1, places)))));
  choices.push_back(joined(Expression::literal(b), to(bf)));
  return Expression::choice(std::move(choices));
}

Expression signed_between(const Whole& low, const Whole& high, size_t places) {
  std::vector<Expression> choices;
  const string one = "1", zero = "0";
  if (low.negative)
    choices.push_back(
        joined(Expression::literal("-"), fixed_between(high.negative ? high.digits : one, low.digits, places)));
  if (!high.negative) choices.push_back(fixed_between(low.negative ? zero : low.digits, high.digits, places));
  return Expression::choice(std::move(choices));
}

size_t whole_digits(const Decimal& d) {
  return d.digits.size() > static_cast<size_t>(d.scale) ? d.digits.size() - static_cast<size_t>(d.scale) : 1;
}

}  // namespace

Decimal Decimal::of(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific).ptr;
  string_view s(text, static_cast<size_t>(end - text));
  Decimal d;
  if (s[0] == '-') d.negative = true, s.remove_prefix(1);
  const size_t e = s.find('e');
  int exponent = std::atoi(string(s.substr(e + 1)).c_str());
  d.digits.clear();
  for (const char c : s.substr(0, e))
    if (c != '.') d.digits += c;
  exponent -= static_cast<int>(d.digits.size()) - 1;
  if (exponent > 0) d.digits.append(static_cast<size_t>(exponent), '0');
  d.scale = std::max(0, -exponent);
  strip(d.digits);
  if (d.digits == "0") d = {};
  return d;
}

Decimal Decimal::of(int64_t value) {
  if (value >= 0) return of(static_cast<uint64_t>(value));
  Decimal d = of(~static_cast<uint64_t>(value) + 1);
  d.negative = true;
  return d;
}

Decimal Decimal::of(uint64_t value) { return {false, std::to_string(value), 0}; }

bool Decimal::operator<(const Decimal& other) const {
  const int places = std::max(scale, other.scale);
  return less(at_least({*this, false}, places), at_least({other, false}, places));
}

Expression integers_between(const std::optional<Bound>& min, const std::optional<Bound>& max) {
  const auto unbounded = [](const std::optional<Whole>& other) {
    return string(std::max(kIntegerDigits, other ? other->digits.size() : 0), '9');
  };
  std::optional<Whole> low, high;
  if (min) low = at_least(*min, 0);
  if (max) high = at_most(*max, 0);
  if (!low) low = Whole{true, unbounded(high)};
  if (!high) high = Whole{false, unbounded(low)};
  if (less(*high, *low)) return Expression::choice({});
  return signed_between(*low, *high, 0);
}

std::optional<Expression> numbers_between(const std::optional<Bound>& min, const std::optional<Bound>& max) {
  int before = min && max ? 1 : kUnboundedDigits;
  for (const auto* bound : {&min, &max})
    if (*bound) before = std::max(before, static_cast<int>(std::min<size_t>(whole_digits((*bound)->value), 1000)));
  const bool exclusive = (min && min->exclusive) || (max && max->exclusive);
  // An exclusive bound holds for the double only where numbers next to each other are different doubles.
  const int places = std::max(kExactDigits - before, 0);
  if (exclusive && before > kExactDigits) return std::nullopt;
  std::optional<Whole> low, high;
  if (min) low = at_least(*min, places);
  if (max) high = at_most(*max, places);
  const string most(static_cast<size_t>(before + places), '9');
  if (!low) low = Whole{true, most};
  if (!high) high = Whole{false, most};
  if (less(*high, *low)) {
    // Between two steps of the grid there may still be one: the bound itself.
    if (min && max && min->value == max->value && !exclusive) return std::nullopt;
    return min && max && min->value < max->value ? std::nullopt : std::optional(Expression::choice({}));
  }
  return signed_between(*low, *high, static_cast<size_t>(places));
}

}  // namespace fieldprint
