// Filters that give numbers, and `default`.
#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/number.h"
#include "jinja/builtins.h"
#include "jinja/repr.h"
#include "jinja/text.h"

namespace fieldprint::jinja {
namespace {

// int(text, base) and float(text): with white space around and single underscores between digits.
std::optional<std::string> clean_number(Heap& heap, const String& text) {
  const std::string_view view = strip(heap, text, nullptr, true, true).str().view();
  heap.walk(view.size());
  std::string out;
  for (size_t i = 0; i < view.size(); ++i) {
    if (view[i] != '_') {
      out += view[i];
      continue;
    }
    const auto digit = [&](size_t at) {
      return at < view.size() && std::isalnum(static_cast<unsigned char>(view[at]));
    };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return std::nullopt;
  }
  return out;
}

Value integer_of(Heap& heap, double d) {
  if (d >= -9223372036854775808.0 && d < 9223372036854775808.0) return Value::integer(static_cast<int64_t>(d));
  const Value digits = make_string(heap, fmt::format("{:.0f}", std::trunc(d)));
  return heap.make<BigInt>(digits.str().view(), std::trunc(d));
}

std::optional<Value> parse_integer(Heap& heap, const String& text, int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  const auto cleaned = clean_number(heap, text);
  if (!cleaned) return std::nullopt;
  std::string_view digits = *cleaned;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.size() > 2 && digits[0] == '0') {
    const char letter = static_cast<char>(digits[1] | 32);
    const int64_t own = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (own != 0 && (base == own || base == 0)) {
      base = own;
      digits.remove_prefix(2);
    }
  }
  if (base == 0) {
    if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != digits.npos) return std::nullopt;
    base = 10;
  }
  if (digits.empty() || digits[0] == '-' || digits[0] == '+') return std::nullopt;
  const std::string signed_digits = fmt::format("{}{}", negative ? "-" : "", digits);
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(signed_digits.data(), signed_digits.data() + signed_digits.size(), value, static_cast<int>(base));
  if (end != signed_digits.data() + signed_digits.size()) return std::nullopt;
  if (error == std::errc()) return Value::integer(value);
  if (error != std::errc::result_out_of_range || base != 10) return std::nullopt;
  const size_t significant = std::min(digits.find_first_not_of('0'), digits.size() - 1);
  if (digits.size() > kMaxDigits) return std::nullopt;
  const Value exact = make_string(heap, fmt::format("{}{}", negative ? "-" : "", digits.substr(significant)));
  return Value(heap.make<BigInt>(exact.str().view(), strtod_c(signed_digits.c_str())));
}

std::optional<double> parse_float(Heap& heap, const String& text) {
  const auto cleaned = clean_number(heap, text);
  if (!cleaned || cleaned->empty()) return std::nullopt;
  const size_t first = cleaned->find_first_not_of("+-");
  const char c = first == std::string::npos ? '\0' : static_cast<char>(std::tolower((*cleaned)[first]));
  const bool number = (c >= '0' && c <= '9') || c == '.' || c == 'i' || c == 'n';
  if (first > 1 || !number || cleaned->find_first_of("xXpP(") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double d = strtod_c(cleaned->c_str(), &end);
  if (end != cleaned->c_str() + cleaned->size()) return std::nullopt;
  return d;
}

Value int_filter(Runtime& rt, Value subject, const Args& args) {
  const auto [fallback, base] = bind("do_int", args, {"default", "base"});
  const Value otherwise = fallback.is_missing() ? Value::integer(0) : fallback;
  Heap& heap = rt.heap;
  if (subject.is_undefined()) fail_undefined(heap, subject);
  double number = 0;
  if (subject.is_string()) {
    if (const auto value = parse_integer(heap, subject.str(), base.is_missing() ? 10 : to_index(base))) return *value;
    const auto value = parse_float(heap, subject.str());
    if (!value) return otherwise;
    number = *value;
  } else if (subject.is_integral()) {
    return Value::integer(subject.as_int());
  } else if (subject.is(Kind::kBigInt)) {
    return subject;
  } else if (subject.is(Kind::kFloat)) {
    number = subject.as_float();
    if (std::isinf(number)) fail("cannot convert float infinity to integer");
  } else {
    return otherwise;
  }
  return std::isfinite(number) ? integer_of(heap, number) : otherwise;
}

Value float_filter(Runtime& rt, Value subject, const Args& args) {
  const auto [fallback] = bind("do_float", args, {"default"});
  if (subject.is_undefined()) fail_undefined(rt.heap, subject);
  if (subject.is_number()) return Value::real(to_double(subject));
  if (subject.is_string()) {
    if (const auto value = parse_float(rt.heap, subject.str())) return Value::real(*value);
  }
  return fallback.is_missing() ? Value::real(0) : fallback;
}

Value abs_filter(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("abs", args);
  if (subject.is_integral()) return subject.as_int() < 0 ? negate(rt.heap, subject) : Value::integer(subject.as_int());
  if (subject.is(Kind::kBigInt) && subject.big().nearest > 0) return subject;
  if (subject.is_number()) return Value::real(std::fabs(to_double(subject)));
  fail(fmt::format("bad operand type for abs(): '{}'", type_name(subject)));
}

// round(number, digits): half to even, of the decimal that the double is.
double round_double(double number, int64_t digits) {
  if (!std::isfinite(number) || digits > 330) return number;
  if (digits < -330) return std::copysign(0.0, number);
  if (digits >= 0) return strtod_c(fmt::format("{:.{}f}", number, digits).c_str());
  const double power = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(number / power) * power;
}

Value round_filter(Runtime& rt, Value subject, const Args& args) {
  const auto [precision, method] = bind("do_round", args, {"precision", "method"});
  Heap& heap = rt.heap;
  std::string_view how = "common";
  if (!method.is_missing()) how = method.is_string() ? method.str().view() : "";
  if (how != "common" && how != "ceil" && how != "floor") fail("method must be common, ceil or floor");
  const Value digits = precision.is_missing() ? Value::integer(0) : precision;
  if (how != "common") {
    const Value scale = binary(heap, BinaryOp::kPow, Value::integer(10), digits);
    const Value scaled = binary(heap, BinaryOp::kMul, subject, scale);
    if (!scaled.is_number()) fail(fmt::format("must be real number, not {}", type_name(scaled)));
    if (scaled.is_integral()) return binary(heap, BinaryOp::kDiv, scaled, scale);
    const double d = to_double(scaled);
    if (!std::isfinite(d)) fail("cannot convert float to integer");
    return binary(heap, BinaryOp::kDiv, integer_of(heap, how == "ceil" ? std::ceil(d) : std::floor(d)), scale);
  }
  if (subject.is_undefined()) fail("type Undefined doesn't define __round__ method");
  if (!subject.is_number()) fail(fmt::format("type {} doesn't define __round__ method", type_name(subject)));
  if (subject.is(Kind::kBigInt)) return subject;
  if (digits.is_none()) {
    return subject.is_integral() ? Value::integer(subject.as_int())
                                 : integer_of(heap, round_double(subject.as_float(), 0));
  }
  const int64_t places = to_index(digits);
  if (subject.is(Kind::kFloat)) return Value::real(round_double(subject.as_float(), places));
  if (places >= 0) return Value::integer(subject.as_int());
  if (places < -18) return Value::integer(0);
  int64_t power = 1;
  for (int64_t i = places; i < 0; ++i) power *= 10;
  const int64_t half = power / 2, value = subject.as_int();
  const Value rest = binary(heap, BinaryOp::kMod, Value::integer(value), Value::integer(power));
  const int64_t r = rest.as_int();
  Value down = binary(heap, BinaryOp::kSub, Value::integer(value), rest);
  const bool odd = (down.as_int() / power) % 2 != 0;
  if (r > half || (r == half && odd)) down = binary(heap, BinaryOp::kAdd, down, Value::integer(power));
  return down;
}

Value default_filter(Runtime&, Value subject, const Args& args) {
  const auto [fallback, boolean] = bind("do_default", args, {"default_value", "boolean"});
  if (!subject.is_undefined() && !(truthy(boolean) && !truthy(subject))) return subject;
  static const String empty{"", 0, 0};
  return fallback.is_missing() ? Value(&empty) : fallback;
}

Value filesizeformat(Runtime& rt, Value subject, const Args& args) {
  const auto [binary_units] = bind("do_filesizeformat", args, {"binary"});
  if (subject.is_undefined()) fail_undefined(rt.heap, subject);
  std::optional<double> bytes;
  if (subject.is_number()) bytes = to_double(subject);
  else if (subject.is_string()) bytes = parse_float(rt.heap, subject.str());
  if (!bytes) fail(fmt::format("float() argument must be a string or a real number, not '{}'", type_name(subject)));
  const bool two = truthy(binary_units);
  const double base = two ? 1024 : 1000;
  if (*bytes == 1) return make_literal(rt.heap, "1 Byte");
  if (*bytes < base) return make_literal(rt.heap, fmt::format("{:.0f} Bytes", std::trunc(*bytes)));
  double unit = base;
  for (const char prefix : std::string_view("kMGTPEZY")) {
    unit *= base;
    if (*bytes >= unit && prefix != 'Y') continue;
    const char letter = two && prefix == 'k' ? 'K' : prefix;
    return make_literal(rt.heap, fmt::format("{:.1f} {}{}", base * *bytes / unit, letter, two ? "iB" : "B"));
  }
  return Value();
}

constexpr FilterEntry kFilters[] = {
    {"abs", abs_filter},     {"d", default_filter}, {"default", default_filter}, {"filesizeformat", filesizeformat},
    {"float", float_filter}, {"int", int_filter},   {"round", round_filter},
};

}  // namespace

std::span<const FilterEntry> number_filters() { return kFilters; }

}  // namespace fieldprint::jinja
