#include "jinja/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "jinja/loop.h"
#include "jinja/repr.h"
#include "jinja/str_format.h"
#include "jinja/text_builder.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

const char* symbol(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "+";
    case BinaryOp::kSub:
      return "-";
    case BinaryOp::kMul:
      return "*";
    case BinaryOp::kDiv:
      return "/";
    case BinaryOp::kFloorDiv:
      return "//";
    case BinaryOp::kMod:
      return "%";
    case BinaryOp::kPow:
      return "** or pow()";
  }
  return "";
}

[[noreturn]] void fail_operands(BinaryOp op, Value a, Value b) {
  fail(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", symbol(op), type_name(a), type_name(b)));
}

[[noreturn]] void fail_overflow() { fail("integer overflow: the result does not fit 64 bits"); }

int64_t floor_div(int64_t a, int64_t b) {
  if (b == 0) fail("integer division or modulo by zero");
  if (b == -1) {
    if (a == INT64_MIN) fail_overflow();
    return -a;
  }
  const int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t floor_mod(int64_t a, int64_t b) {
  if (b == 0) fail("integer modulo by zero");
  if (b == -1) return 0;
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

double float_mod(double a, double b) {
  const double mod = std::fmod(a, b);
  if (mod == 0) return std::copysign(0.0, b);
  return (b < 0) != (mod < 0) ? mod + b : mod;
}

double float_floor_div(double a, double b) {
  const double div = (a - float_mod(a, b)) / b;
  if (div == 0) return std::copysign(0.0, a / b);
  const double whole = std::floor(div);
  return div - whole > 0.5 ? whole + 1 : whole;
}

Value int_power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) fail("0.0 cannot be raised to a negative power");
    return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  if (base == 0 || base == 1) return Value::integer(exponent == 0 ? 1 : base);
  if (base == -1) return Value::integer(exponent % 2 ? -1 : 1);
  if (exponent > 63) fail_overflow();
  int64_t result = 1;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(result, base, &result)) fail_overflow();
  }
  return Value::integer(result);
}

Value int_binary(BinaryOp op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case BinaryOp::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case BinaryOp::kSub:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case BinaryOp::kMul:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case BinaryOp::kDiv:
      if (b == 0) fail("division by zero");
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case BinaryOp::kFloorDiv:
      result = floor_div(a, b);
      break;
    case BinaryOp::kMod:
      result = floor_mod(a, b);
      break;
    case BinaryOp::kPow:
      return int_power(a, b);
  }
  if (overflow) fail_overflow();
  return Value::integer(result);
}

Value float_binary(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value::real(a + b);
    case BinaryOp::kSub:
      return Value::real(a - b);
    case BinaryOp::kMul:
      return Value::real(a * b);
    case BinaryOp::kDiv:
      if (b == 0) fail("float division by zero");
      return Value::real(a / b);
    case BinaryOp::kFloorDiv:
      if (b == 0) fail("float floor division by zero");
      return Value::real(float_floor_div(a, b));
    case BinaryOp::kMod:
      if (b == 0) fail("float modulo");
      return Value::real(float_mod(a, b));
    case BinaryOp::kPow:
      break;
  }
  if (a == 0 && b < 0) fail("0.0 cannot be raised to a negative power");
  if (a < 0 && std::isfinite(a) && std::isfinite(b) && b != std::floor(b)) {
    fail("a root of a negative number is no real number");
  }
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) fail("(34, 'Numerical result out of range')");
  return Value::real(result);
}

Value repeat(Heap& heap, Value sequence, int64_t times) {
  const uint64_t n = times > 0 ? static_cast<uint64_t>(times) : 0;
  if (sequence.is_string()) {
    const String& text = sequence.str();
    if (n == 1 || text.size == 0) return sequence;
    if (n > heap.bytes_left() / text.size) heap.charge(UINT64_MAX);
    if (text.origins != nullptr) {
      TextBuilder all(heap);
      for (uint64_t i = 0; i < n; ++i) heap.step(), all.add(text);
      return all.finish(text.markup);
    }
    char* data = heap.make_array<char>(text.size * n);
    const size_t size = text.size * n;
    size_t filled = std::min(text.size, size);
    std::copy_n(text.data, filled, data);
    for (; filled < size; filled += std::min(filled, size - filled)) {
      std::copy_n(data, std::min(filled, size - filled), data + filled);
    }
    heap.scan(size);
    return heap.make<String>(data, size, text.code_points * n, nullptr, text.markup, text.origin);
  }
  const auto items = sequence.items().span();
  const uint64_t copies = items.empty() ? 0 : n;
  if (copies > 0 && copies > heap.bytes_left() / sizeof(Value) / items.size()) heap.charge(UINT64_MAX);
  Value* data = heap.make_array<Value>(items.size() * copies);
  for (uint64_t i = 0; i < copies; ++i) std::copy(items.begin(), items.end(), data + i * items.size());
  heap.scan(items.size() * copies * sizeof(Value));
  const List* list = heap.make<List>(data, items.size() * copies);
  return sequence.is(Kind::kList) ? Value::list(list) : Value::tuple(list);
}

Value add(Heap& heap, Value a, Value b) {
  if (a.is_string() && b.is_string()) {
    if (!a.str().markup && !b.str().markup) return concat_strings(heap, a.str(), b.str(), false);
    return concat_strings(heap, escape(heap, a), escape(heap, b), true);
  }
  if (a.is(Kind::kList) && b.is(Kind::kList)) return Value::list(concat_lists(heap, a.items(), b.items()));
  if (a.is(Kind::kTuple) && b.is(Kind::kTuple)) return Value::tuple(concat_lists(heap, a.items(), b.items()));
  if (a.is_string() && !a.str().markup) fail(fmt::format("can only concatenate str (not \"{}\") to str", type_name(b)));
  if (a.is_sequence()) {
    const char* type = a.is(Kind::kList) ? "list" : "tuple";
    fail(fmt::format("can only concatenate {0} (not \"{1}\") to {0}", type, type_name(b)));
  }
  fail_operands(BinaryOp::kAdd, a, b);
}

}  // namespace

Value binary(Heap& heap, BinaryOp op, Value a, Value b) {
  if (a.is_integral() && b.is_integral()) return int_binary(op, a.as_int(), b.as_int());
  if (a.is_number() && b.is_number()) return float_binary(op, to_double(a), to_double(b));
  if (op == BinaryOp::kMod && a.is_string()) return format_percent(heap, a.str(), b);
  if (a.is_undefined()) fail_undefined(heap, a);
  if (b.is_undefined()) fail_undefined(heap, b);
  if (op == BinaryOp::kAdd) return add(heap, a, b);
  if (op == BinaryOp::kMul) {
    const auto repeatable = [](Value v) { return v.is_string() || v.is_sequence(); };
    if (repeatable(a) && b.is_integral()) return repeat(heap, a, b.as_int());
    if (repeatable(b) && a.is_integral()) return repeat(heap, b, a.as_int());
    if (repeatable(a)) fail(fmt::format("can't multiply sequence by non-int of type '{}'", type_name(b)));
    if (repeatable(b)) fail(fmt::format("can't multiply sequence by non-int of type '{}'", type_name(a)));
  }
  fail_operands(op, a, b);
}

Value negate(Heap& heap, Value value) {
  if (value.is_integral()) return int_binary(BinaryOp::kSub, 0, value.as_int());
  if (value.is_number()) return Value::real(-to_double(value));
  if (value.is_undefined()) fail_undefined(heap, value);
  fail(fmt::format("bad operand type for unary -: '{}'", type_name(value)));
}

Value positive(Heap& heap, Value value) {
  if (value.is(Kind::kBool)) return Value::integer(value.as_int());
  if (value.is_number()) return value;
  if (value.is_undefined()) fail_undefined(heap, value);
  fail(fmt::format("bad operand type for unary +: '{}'", type_name(value)));
}

double to_double(Value number) {
  if (number.is_integral()) return static_cast<double>(number.as_int());
  return number.is(Kind::kFloat) ? number.as_float() : number.big().nearest;
}

int64_t to_index(Value value) {
  if (value.is_integral()) return value.as_int();
  if (value.is(Kind::kBigInt)) fail("Python int too large to convert to C ssize_t");
  fail(fmt::format("'{}' object cannot be interpreted as an integer", type_name(value)));
}

}  // namespace fieldprint::jinja
