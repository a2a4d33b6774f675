// Truth, equality, order and membership.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/loop.h"
#include "jinja/operators.h"
#include "jinja/text.h"

namespace fieldprint::jinja {
namespace {

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
    heap.visit(i % 8 == 0 ? 8 : 0);
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
      heap.visit(i % 8 == 0 ? 8 : 0);
      if (!equal(heap, x[i], y[i])) return order_test(heap, op, x[i], y[i]);
    }
    return ordered(op, (x.size() > y.size()) - (x.size() < y.size()));
  }
  if (a.is_undefined()) fail_undefined(heap, a);
  if (b.is_undefined()) fail_undefined(heap, b);
  fail(fmt::format("'{}' not supported between instances of '{}' and '{}'", symbol(op), type_name(a), type_name(b)));
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

bool same(Heap& heap, Value a, Value b) {
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
      heap.scan(std::min(a.str().size, b.str().size));
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
      return a.method().function == b.method().function && same(heap, a.method().self, b.method().self);
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
      return find_text(heap, container.str().view(), item.str().view()) != std::string_view::npos;
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

}  // namespace fieldprint::jinja
