#include "text/jinja/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "text/jinja/loop.h"
#include "text/jinja/repr.h"
#include "text/jinja/str_format.h"
#include "text/jinja/unicode.h"

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
    char* data = heap.make_array<char>(text.size * n);
    const size_t size = text.size * n;
    size_t filled = std::min(text.size, size);
    std::copy_n(text.data, filled, data);
    for (; filled < size; filled += std::min(filled, size - filled)) {
      std::copy_n(data, std::min(filled, size - filled), data + filled);
    }
    heap.scan(size);
    return heap.make<String>(data, size, text.code_points * n, nullptr, text.markup);
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

// -1, 0, 1; 2 where a NaN is among them.
int compare_numbers(Value a, Value b) {
  if (a.is_integral() && b.is_integral()) return (a.as_int() > b.as_int()) - (a.as_int() < b.as_int());
  // A long double holds every int64 and every double, so this comparison is exact where it has 64 bits.
  const auto wide = [](Value v) {
    return v.is_integral() ? static_cast<long double>(v.as_int()) : static_cast<long double>(to_double(v));
  };
  const long double x = wide(a), y = wide(b);
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

bool equal_dicts(Heap& heap, const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const Dict::Entry& entry : a.entries) {
    const Value* other = b.find(entry.key);
    if (!other || !equal(heap, entry.value, *other)) return false;
  }
  return true;
}

bool equal_spans(Heap& heap, std::span<const Value> a, std::span<const Value> b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!equal(heap, a[i], b[i])) return false;
  }
  return true;
}

const char* symbol(CompareOp op) {
  switch (op) {
    case CompareOp::kLt:
      return "<";
    case CompareOp::kLe:
      return "<=";
    case CompareOp::kGt:
      return ">";
    default:
      return ">=";
  }
}

bool ordered(CompareOp op, int order) {
  switch (op) {
    case CompareOp::kLt:
      return order == -1;
    case CompareOp::kLe:
      return order == -1 || order == 0;
    case CompareOp::kGt:
      return order == 1;
    default:
      return order == 1 || order == 0;
  }
}

bool order_test(Heap& heap, CompareOp op, Value a, Value b) {
  const Nesting nesting(heap);
  heap.step();
  if (a.is_number() && b.is_number()) return ordered(op, compare_numbers(a, b));
  if (a.is_string() && b.is_string()) {
    heap.scan(std::min(a.str().size, b.str().size));
    const int order = a.str().view().compare(b.str().view());  // UTF-8 sorts as its code points do
    return ordered(op, (order > 0) - (order < 0));
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    const auto x = a.items().span(), y = b.items().span();
    for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!equal(heap, x[i], y[i])) return order_test(heap, op, x[i], y[i]);
    }
    return ordered(op, (x.size() > y.size()) - (x.size() < y.size()));
  }
  if (a.is_undefined()) fail_undefined(heap, a);
  if (b.is_undefined()) fail_undefined(heap, b);
  fail(fmt::format("'{}' not supported between instances of '{}' and '{}'", symbol(op), type_name(a), type_name(b)));
}

// Python's slice.indices(), and how many items that is.
struct SliceBounds {
  int64_t start, step, count;
};

SliceBounds slice_bounds(int64_t length, Value start, Value stop, Value step) {
  const auto given = [](Value v) { return !v.is_missing() && !v.is_none(); };
  for (const Value& v : {start, stop, step}) {
    if (given(v) && !v.is_integral() && !v.is(Kind::kBigInt)) {
      fail("slice indices must be integers or None or have an __index__ method");
    }
  }
  // A larger number cuts where INT64_MAX does.
  const auto number = [](Value v) {
    if (v.is(Kind::kBigInt)) return v.big().nearest < 0 ? -INT64_MAX : INT64_MAX;
    return std::max(v.as_int(), -INT64_MAX);
  };
  const int64_t by = given(step) ? number(step) : 1;
  if (by == 0) fail("slice step cannot be zero");
  const int64_t low = by > 0 ? 0 : -1, high = by > 0 ? length : length - 1;
  const auto clamp = [&](Value v, int64_t absent) {
    if (!given(v)) return absent;
    const int64_t i = number(v);
    return std::clamp(i < 0 ? i + length : i, low, high);
  };
  const int64_t from = clamp(start, by > 0 ? low : high), to = clamp(stop, by > 0 ? high : low);
  int64_t count = 0;
  if (by > 0 && from < to) count = (to - from - 1) / by + 1;
  if (by < 0 && to < from) count = (from - to - 1) / -by + 1;
  return {from, count > 1 ? by : 1, count};
}

Value slice_string(Heap& heap, const String& text, const SliceBounds& bounds) {
  const auto [start, step, count] = bounds;
  if (count == 0) return make_string(heap, "", text.markup);
  if (!text.ascii()) heap.scan(text.size);
  const std::string_view view = text.view();
  if (step == 1) {
    if (text.ascii()) return make_piece(heap, text, static_cast<size_t>(start), static_cast<size_t>(count));
    const size_t from = advance_code_points(view, 0, static_cast<size_t>(start));
    const size_t to = advance_code_points(view, from, static_cast<size_t>(count));
    return make_piece(heap, text, from, to - from);
  }
  heap.step(static_cast<uint64_t>(count) / 8);
  std::string out;
  if (text.ascii()) {
    for (int64_t i = 0; i < count; ++i) out += text.data[start + i * step];
  } else if (step > 0) {
    size_t pos = advance_code_points(view, 0, static_cast<size_t>(start));
    for (int64_t i = 0; i < count; ++i) {
      const size_t end = advance_code_points(view, pos, 1);
      out += view.substr(pos, end - pos);
      if (i + 1 < count) pos = advance_code_points(view, pos, static_cast<size_t>(step));
    }
  } else {
    size_t end = advance_code_points(view, 0, static_cast<size_t>(start) + 1);
    for (int64_t i = 0; i < count; ++i) {
      size_t pos = end;
      decode_before(view, pos);
      out += view.substr(pos, end - pos);
      if (i + 1 == count) break;
      for (int64_t k = 0; k < -step; ++k) decode_before(view, end);
    }
  }
  return make_string(heap, out, text.markup);
}

}  // namespace

bool truthy(Value value) {
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.as_int() != 0;
    case Kind::kFloat:
      return value.as_float() != 0;
    case Kind::kString:
      return value.str().size > 0;
    case Kind::kList:
    case Kind::kTuple:
      return value.items().size > 0;
    case Kind::kDict:
      return !value.dict().entries.empty();
    case Kind::kView:
      return !value.view().dict->entries.empty();
    case Kind::kRange:
      return value.range().size > 0;
    default:
      return true;
  }
}

bool same(Value a, Value b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kMissing:
    case Kind::kNone:
      return true;
    case Kind::kBool:
    case Kind::kInt:
      return a.as_int() == b.as_int();
    case Kind::kFloat:
      return a.as_float() == b.as_float();
    case Kind::kString:
      return a.str().view() == b.str().view() && a.str().markup == b.str().markup;
    default:
      return a.identity() == b.identity();
  }
}

bool equal(Heap& heap, Value a, Value b) {
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::kBigInt) && b.is(Kind::kBigInt)) return a.big().digits == b.big().digits;
    return compare_numbers(a, b) == 0;
  }
  if (a.kind() != b.kind()) return false;
  if (a.is_string()) {
    const String &x = a.str(), &y = b.str();
    if (x.size != y.size) return false;
    heap.scan(x.size);
    return x.view() == y.view();
  }
  if (a.is_none() || a.is_undefined()) return true;
  if (a.identity() == b.identity()) return true;
  const Nesting nesting(heap);
  heap.step();
  switch (a.kind()) {
    case Kind::kList:
    case Kind::kTuple:
      return equal_spans(heap, a.items().span(), b.items().span());
    case Kind::kDict:
      return equal_dicts(heap, a.dict(), b.dict());
    case Kind::kRange: {
      const Range &x = a.range(), &y = b.range();
      return x.size == y.size && (x.size == 0 || (x.start == y.start && (x.size == 1 || x.step == y.step)));
    }
    case Kind::kView: {
      if (a.view().part != b.view().part || a.view().part == View::Part::kValues) return false;
      const Dict &x = *a.view().dict, &y = *b.view().dict;
      if (a.view().part == View::Part::kItems) return equal_dicts(heap, x, y);
      return x.entries.size() == y.entries.size() &&
             std::all_of(x.entries.begin(), x.entries.end(), [&](const auto& e) { return y.find(e.key) != nullptr; });
    }
    case Kind::kMethod:
      return a.method().function == b.method().function && same(a.method().self, b.method().self);
    default:
      return false;
  }
}

bool compare(Heap& heap, CompareOp op, Value a, Value b) {
  switch (op) {
    case CompareOp::kEq:
      return equal(heap, a, b);
    case CompareOp::kNe:
      return !equal(heap, a, b);
    case CompareOp::kIn:
      return contains(heap, b, a);
    case CompareOp::kNotIn:
      return !contains(heap, b, a);
    default:
      return order_test(heap, op, a, b);
  }
}

bool contains(Heap& heap, Value container, Value item) {
  switch (container.kind()) {
    case Kind::kString:
      if (!item.is_string()) {
        fail(fmt::format("'in <string>' requires string as left operand, not {}", type_name(item)));
      }
      heap.scan(container.str().size);
      return container.str().view().find(item.str().view()) != std::string_view::npos;
    case Kind::kDict:
      return container.dict().find(item) != nullptr;
    case Kind::kView:
      if (container.view().part == View::Part::kKeys) return container.view().dict->find(item) != nullptr;
      break;
    case Kind::kRange:
      if (item.is_integral()) {
        const Range& range = container.range();
        int64_t offset = 0;
        if (__builtin_sub_overflow(item.as_int(), range.start, &offset)) return false;
        const bool between = range.step > 0 ? offset >= 0 : offset <= 0;
        return between && offset % range.step == 0 && offset / range.step < range.size;
      }
      break;
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kIterator:
    case Kind::kUndefined:
    case Kind::kLoop:
      break;
    default:
      fail(fmt::format("argument of type '{}' is not iterable", type_name(container)));
  }
  Iteration iteration(heap, container);
  Value candidate;
  while (iteration.next(candidate)) {
    heap.step();
    if (equal(heap, candidate, item)) return true;
  }
  return false;
}

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

std::optional<int64_t> length_of(Value value) {
  switch (value.kind()) {
    case Kind::kString:
      return static_cast<int64_t>(value.str().code_points);
    case Kind::kList:
    case Kind::kTuple:
      return static_cast<int64_t>(value.items().size);
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().entries.size());
    case Kind::kView:
      return static_cast<int64_t>(value.view().dict->entries.size());
    case Kind::kRange:
      return value.range().size;
    case Kind::kUndefined:
      return 0;
    default:
      return std::nullopt;
  }
}

int64_t length(Heap& heap, Value value) {
  if (value.is(Kind::kLoop)) return loop_length(heap, value.loop());
  if (const auto n = length_of(value)) return *n;
  fail(fmt::format("object of type '{}' has no len()", type_name(value)));
}

Value slice(Heap& heap, Value sequence, Value start, Value stop, Value step) {
  if (sequence.is_undefined()) fail_undefined(heap, sequence);
  if (sequence.is(Kind::kDict)) fail("unhashable type: 'slice'");
  if (!sequence.is_string() && !sequence.is_sequence() && !sequence.is(Kind::kRange)) {
    fail(fmt::format("'{}' object is not subscriptable", type_name(sequence)));
  }
  const SliceBounds bounds = slice_bounds(length(heap, sequence), start, stop, step);
  if (sequence.is_string()) return slice_string(heap, sequence.str(), bounds);
  if (sequence.is(Kind::kRange)) {
    const Range& range = sequence.range();
    const int64_t from = range.at(bounds.start), by = range.step * bounds.step;
    return heap.make<Range>(from, from + by * bounds.count, by, bounds.count);
  }
  const auto items = sequence.items().span();
  const List* list = nullptr;
  if (bounds.step == 1) {
    list = heap.make<List>(items.data() + (bounds.count ? bounds.start : 0), static_cast<size_t>(bounds.count));
  } else {
    Value* data = heap.make_array<Value>(static_cast<size_t>(bounds.count));
    for (int64_t i = 0; i < bounds.count; ++i) data[i] = items[static_cast<size_t>(bounds.start + i * bounds.step)];
    heap.scan(static_cast<uint64_t>(bounds.count) * sizeof(Value));
    list = heap.make<List>(data, static_cast<size_t>(bounds.count));
  }
  return sequence.is(Kind::kList) ? Value::list(list) : Value::tuple(list);
}

bool is_iterable(Value value) {
  switch (value.kind()) {
    case Kind::kString:
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kDict:
    case Kind::kView:
    case Kind::kRange:
    case Kind::kIterator:
    case Kind::kUndefined:
    case Kind::kLoop:
      return true;
    default:
      return false;
  }
}

Iteration::Iteration(Heap& heap, Value value) : heap_(&heap), value_(value) {
  if (!is_iterable(value)) fail(fmt::format("'{}' object is not iterable", type_name(value)));
}

bool Iteration::next(Value& item) {
  const auto pair = [&](Value first, Value second) {
    const Value both[] = {first, second};
    return make_tuple(*heap_, both);
  };
  switch (value_.kind()) {
    case Kind::kString:
      if (next_ >= value_.str().size) return false;
      item = make_character(*heap_, value_.str(), next_);
      return true;
    case Kind::kList:
    case Kind::kTuple:
      if (next_ >= value_.items().size) return false;
      item = value_.items().data[next_++];
      return true;
    case Kind::kDict:
      if (next_ >= value_.dict().entries.size()) return false;
      item = value_.dict().entries[next_++].key;
      return true;
    case Kind::kView: {
      const auto& entries = value_.view().dict->entries;
      if (next_ >= entries.size()) return false;
      const Dict::Entry& entry = entries[next_++];
      switch (value_.view().part) {
        case View::Part::kKeys:
          item = entry.key;
          break;
        case View::Part::kValues:
          item = entry.value;
          break;
        case View::Part::kItems:
          item = pair(entry.key, entry.value);
          break;
      }
      return true;
    }
    case Kind::kRange:
      if (static_cast<int64_t>(next_) >= value_.range().size) return false;
      item = Value::integer(value_.range().at(static_cast<int64_t>(next_++)));
      return true;
    case Kind::kIterator: {
      Iterator& iterator = value_.iterator();
      if (iterator.next >= iterator.items.size()) return false;
      item = iterator.items[iterator.next++];
      return true;
    }
    case Kind::kLoop: {  // each step is the item and the loop itself
      Value current;
      if (!advance_loop(value_.loop(), current)) return false;
      item = pair(current, value_);
      return true;
    }
    default:
      return false;
  }
}

std::span<const Value> collect(Heap& heap, Value value) {
  if (value.is_sequence()) return value.items().span();
  if (value.is(Kind::kIterator)) {
    Iterator& iterator = value.iterator();
    const auto rest = iterator.items.subspan(iterator.next);
    iterator.next = iterator.items.size();
    return rest;
  }
  Iteration iteration(heap, value);
  auto* items = heap.make<std::pmr::vector<Value>>(&heap);
  if (const auto n = length_of(value)) items->reserve(static_cast<size_t>(*n));
  for (Value item; iteration.next(item);) {
    heap.step();
    items->push_back(item);
  }
  return *items;
}

}  // namespace fieldprint::jinja
