// Lengths, slices and walks.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/loop.h"
#include "jinja/operators.h"
#include "jinja/text_builder.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

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
  heap.walk(static_cast<uint64_t>(count));
  TextBuilder out(heap);
  if (text.ascii()) {
    for (int64_t i = 0; i < count; ++i) out.add(text, static_cast<size_t>(start + i * step), 1);
  } else if (step > 0) {
    size_t pos = advance_code_points(view, 0, static_cast<size_t>(start));
    for (int64_t i = 0; i < count; ++i) {
      const size_t end = advance_code_points(view, pos, 1);
      out.add(text, pos, end - pos);
      if (i + 1 < count) pos = advance_code_points(view, pos, static_cast<size_t>(step));
    }
  } else {
    size_t end = advance_code_points(view, 0, static_cast<size_t>(start) + 1);
    for (int64_t i = 0; i < count; ++i) {
      size_t pos = end;
      decode_before(view, pos);
      out.add(text, pos, end - pos);
      if (i + 1 == count) break;
      for (int64_t k = 0; k < -step; ++k) decode_before(view, end);
    }
  }
  return out.finish(text.markup);
}

}  // namespace

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
  require_defined(heap, value);
  if (value.is_string()) value_ = as_markup(heap, value.str(), false);  // the characters of markup are plain
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
