// Filters over lists, dicts and whatever else can be walked.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/builtins.h"
#include "jinja/repr.h"
#include "jinja/text.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

using Values = std::pmr::vector<Value>;

Value ignore_case(Heap& heap, Value value) {
  if (!value.is_string()) return value;
  heap.walk(value.str().size);
  return make_string(heap, to_lower(value.str().view()));
}

Value length_filter(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("len", args);
  return Value::integer(length(rt.heap, subject));
}

Value first(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_first", args);
  Iteration iteration(rt.heap, subject);
  Value item;
  return iteration.next(item) ? item : make_undefined(rt.heap, "No first item, sequence was empty.");
}

// Random only in that nobody would guess it: a template gives the same text every time, as all of this program does.
Value random_filter(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_random", args);
  const int64_t size = length(rt.heap, subject);
  if (size == 0) return make_undefined(rt.heap, "No random item, sequence was empty.");
  if (subject.is(Kind::kLoop) || subject.is(Kind::kView))
    fail(fmt::format("'{}' object is not subscriptable", type_name(subject)));
  const Value key = Value::integer(rt.random.below(size));
  if (subject.is(Kind::kDict)) {
    const Value* value = subject.dict().find(key);
    if (value == nullptr) fail(fmt::format("{}", key.as_int()));
    return *value;
  }
  return get_item(rt, subject, key);
}

// The items backwards; throws where Python could not reverse the value.
std::span<const Value> reversed(Heap& heap, Value value) {
  if (value.is(Kind::kIterator) || value.is(Kind::kLoop)) {
    fail(fmt::format("'{}' object is not reversible", type_name(value)));
  }
  const auto items = collect(heap, value);
  Value* out = heap.make_array<Value>(items.size());
  std::reverse_copy(items.begin(), items.end(), out);
  heap.step(items.size() / 4);
  return {out, items.size()};
}

Value last(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_last", args);
  if (subject.is_undefined()) return make_undefined(rt.heap, "No last item, sequence was empty.");
  if (const auto n = length_of(subject); n && !subject.is(Kind::kDict) && !subject.is(Kind::kView)) {
    if (*n == 0) return make_undefined(rt.heap, "No last item, sequence was empty.");
    return get_item(rt, subject, Value::integer(*n - 1));
  }
  const auto items = reversed(rt.heap, subject);
  return items.empty() ? make_undefined(rt.heap, "No last item, sequence was empty.") : items[0];
}

Value reverse(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_reverse", args);
  Heap& heap = rt.heap;
  if (subject.is_string()) return slice(heap, subject, Value(), Value(), Value::integer(-1));
  if (subject.is(Kind::kIterator))
    return make_list(heap, [&] {
      const auto items = collect(heap, subject);
      Value* out = heap.make_array<Value>(items.size());
      std::reverse_copy(items.begin(), items.end(), out);
      heap.visit(items.size());
      return std::span<const Value>(out, items.size());
    }());
  if (!is_iterable(subject)) fail("argument must be iterable");
  const char* type = subject.is(Kind::kList) ? "list_reverseiterator" : "reversed";
  return make_iterator(heap, type, reversed(heap, subject));
}

Value list(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_list", args);
  return make_list(rt.heap, collect(rt.heap, subject));
}

Value join_filter(Runtime& rt, Value subject, const Args& args) {
  const auto [separator, attribute] = bind("do_join", args, {"d", "attribute"});
  const AttributePath path(rt, attribute);
  const auto items = collect(rt.heap, subject);
  Values strings(&rt.heap);
  strings.reserve(items.size());
  for (const Value& item : items) {
    rt.heap.step();
    strings.push_back(&to_str(rt.heap, path.follow(item)));
  }
  const Value between = separator.is_missing() ? make_literal(rt.heap, "") : Value(&to_str(rt.heap, separator));
  return join(rt.heap, between.str(), strings, false);
}

Value map(Runtime& rt, Value subject, const Args& args) {
  Heap& heap = rt.heap;
  Values out(&heap);
  if (!truthy(subject)) return make_iterator(heap, "generator", out);
  const auto items = collect(heap, subject);
  out.reserve(items.size());
  if (args.positional.empty()) {
    Value attribute, fallback;
    bool given = false;
    for (const Keyword& keyword : args.keywords) {
      if (keyword.name == "attribute") attribute = keyword.value, given = true;
    }
    if (!given) fail("map requires a filter argument");
    for (const Keyword& keyword : args.keywords) {
      if (keyword.name == "default") fallback = keyword.value;
      else if (keyword.name != "attribute") fail(fmt::format("Unexpected keyword argument '{}'", keyword.name));
    }
    const AttributePath path(rt, attribute);
    for (const Value& item : items) {
      heap.step();
      out.push_back(path.follow(item, fallback));
    }
    return make_iterator(heap, "generator", out);
  }
  const Value name = args.positional[0];
  if (name.is_string()) heap.scan(name.str().size);
  const FilterFunction filter = name.is_string() ? find_filter(name.str().view()) : nullptr;
  if (!filter) fail(fmt::format("No filter named {}.", repr(heap, name)));
  const Args rest{args.positional.subspan(1), args.keywords};
  for (const Value& item : items) {
    heap.step();
    out.push_back(filter(rt, item, rest));
  }
  return make_iterator(heap, "generator", out);
}

template <bool kWanted, bool kByAttribute>
Value select(Runtime& rt, Value subject, const Args& args) {
  Heap& heap = rt.heap;
  Values out(&heap);
  if (!truthy(subject)) return make_iterator(heap, "generator", out);
  auto given = args.positional;
  if (kByAttribute && given.empty()) fail("Missing parameter for attribute name");
  const AttributePath path(rt, kByAttribute ? given[0] : Value());
  if (kByAttribute) given = given.subspan(1);
  FilterFunction test = nullptr;
  if (!given.empty()) {
    if (given[0].is_string()) heap.scan(given[0].str().size);
    test = given[0].is_string() ? find_test(given[0].str().view()) : nullptr;
    if (!test) fail(fmt::format("No test named {}.", repr(heap, given[0])));
    given = given.subspan(1);
  }
  const Args rest{given, args.keywords};
  for (const Value& item : collect(heap, subject)) {
    heap.step();
    const Value looked_at = path.follow(item);
    if (truthy(test ? test(rt, looked_at, rest) : looked_at) == kWanted) out.push_back(item);
  }
  return make_iterator(heap, "generator", out);
}

Value items(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_items", args);
  if (subject.is_undefined()) return make_iterator(rt.heap, "generator", {});
  if (!subject.is(Kind::kDict)) fail("Can only get item pairs from a mapping.");
  return make_iterator(rt.heap, "generator", collect(rt.heap, rt.heap.make<View>(View::Part::kItems, &subject.dict())));
}

// Sorts by key, stably, as Python does: reverse keeps the order of equals, too.
struct Keyed {
  Value key, item;
};

void sort_keyed(Heap& heap, std::pmr::vector<Keyed>& keyed, bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    heap.step();
    return reverse ? compare(heap, CompareOp::kLt, b.key, a.key) : compare(heap, CompareOp::kLt, a.key, b.key);
  });
}

Value sorted(Heap& heap, std::pmr::vector<Keyed>& keyed, bool reverse) {
  sort_keyed(heap, keyed, reverse);
  Values out(&heap);
  out.reserve(keyed.size());
  for (const Keyed& entry : keyed) out.push_back(entry.item);
  return make_list(heap, out);
}

Value dictsort(Runtime& rt, Value subject, const Args& args) {
  const auto [case_sensitive, by, reverse_] = bind("do_dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string_view how = by.is_missing() ? "key" : by.is_string() ? by.str().view() : "";
  if (how != "key" && how != "value") fail("You can only sort by either \"key\" or \"value\"");
  if (subject.is_undefined()) fail_undefined(rt.heap, subject);
  if (!subject.is(Kind::kDict)) fail(fmt::format("'{}' object has no attribute 'items'", type_name(subject)));
  std::pmr::vector<Keyed> keyed(&rt.heap);
  for (const auto& [key, value] : subject.dict().entries) {
    rt.heap.step();
    const Value sort_key = how == "key" ? key : value, pair[] = {key, value};
    keyed.push_back({truthy(case_sensitive) ? sort_key : ignore_case(rt.heap, sort_key), make_tuple(rt.heap, pair)});
  }
  return sorted(rt.heap, keyed, truthy(reverse_));
}

Value sort(Runtime& rt, Value subject, const Args& args) {
  const auto [reverse_, case_sensitive, attribute] = bind("do_sort", args, {"reverse", "case_sensitive", "attribute"});
  Heap& heap = rt.heap;
  std::vector<AttributePath> paths;  // "a,b": by a, then by b
  if (attribute.is_string()) {
    const String comma{",", 1, 1};
    const Value names = split(heap, attribute.str(), &comma, -1, false);
    for (const Value& name : names.items().span()) paths.emplace_back(rt, name);
  } else {
    paths.emplace_back(rt, attribute);
  }
  std::pmr::vector<Keyed> keyed(&heap);
  for (const Value& item : collect(heap, subject)) {
    heap.step();
    Values key(&heap);
    for (const AttributePath& path : paths) {
      const Value part = path.follow(item);
      key.push_back(truthy(case_sensitive) ? part : ignore_case(heap, part));
    }
    keyed.push_back({make_list(heap, key), item});
  }
  return sorted(heap, keyed, truthy(reverse_));
}

Value unique(Runtime& rt, Value subject, const Args& args) {
  const auto [case_sensitive, attribute] = bind("do_unique", args, {"case_sensitive", "attribute"});
  const AttributePath path(rt, attribute);
  Dict* seen = rt.heap.make<Dict>(rt.heap);
  Values out(&rt.heap);
  for (const Value& item : collect(rt.heap, subject)) {
    rt.heap.step();
    Value key = path.follow(item);
    if (!truthy(case_sensitive)) key = ignore_case(rt.heap, key);
    if (seen->find(key)) continue;
    seen->set(key, Value::none());
    out.push_back(item);
  }
  return make_iterator(rt.heap, "generator", out);
}

template <CompareOp kOp>
Value extreme(Runtime& rt, Value subject, const Args& args) {
  const auto [case_sensitive, attribute] = bind("min or max", args, {"case_sensitive", "attribute"});
  const AttributePath path(rt, attribute);
  const auto items = collect(rt.heap, subject);
  if (items.empty()) return make_undefined(rt.heap, "No aggregated item, sequence was empty.");
  Value best, best_key;
  for (const Value& item : items) {
    rt.heap.step();
    Value key = path.follow(item);
    if (!truthy(case_sensitive)) key = ignore_case(rt.heap, key);
    if (!best.is_missing() && !compare(rt.heap, kOp, key, best_key)) continue;
    best = item;
    best_key = key;
  }
  return best;
}

Value sum(Runtime& rt, Value subject, const Args& args) {
  const auto [attribute, start] = bind("do_sum", args, {"attribute", "start"});
  const AttributePath path(rt, attribute);
  Value total = start.is_missing() ? Value::integer(0) : start;
  if (total.is_string()) fail("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : collect(rt.heap, subject)) {
    rt.heap.step();
    total = binary(rt.heap, BinaryOp::kAdd, total, path.follow(item));
  }
  return total;
}

Value batch(Runtime& rt, Value subject, const Args& args) {
  const auto [linecount, fill] = bind("do_batch", args, {"linecount", "fill_with"}, 1);
  Heap& heap = rt.heap;
  Values out(&heap), line(&heap);
  const auto flush = [&] {
    out.push_back(make_list(heap, line));
    line.clear();
  };
  for (const Value& item : collect(heap, subject)) {
    heap.step();
    if (equal(heap, Value::integer(static_cast<int64_t>(line.size())), linecount)) flush();
    line.push_back(item);
  }
  if (!line.empty()) {
    if (!fill.is_missing() && !fill.is_none()) {
      for (const int64_t n = to_index(linecount); static_cast<int64_t>(line.size()) < n;) {
        heap.step();
        line.push_back(fill);
      }
    }
    flush();
  }
  return make_iterator(heap, "generator", out);
}

Value slice_filter(Runtime& rt, Value subject, const Args& args) {
  const auto [slices, fill] = bind("do_slice", args, {"slices", "fill_with"}, 1);
  Heap& heap = rt.heap;
  const auto items = collect(heap, subject);
  const int64_t n = to_index(slices), size = static_cast<int64_t>(items.size());
  if (n == 0) fail("integer division or modulo by zero");
  Values out(&heap);
  int64_t start = 0;
  for (int64_t i = 0; i < n; ++i) {
    heap.step();
    const int64_t end = start + size / n + (i < size % n);
    Values part(items.begin() + start, items.begin() + end, &heap);
    if (!fill.is_missing() && !fill.is_none() && i >= size % n) part.push_back(fill);
    out.push_back(make_list(heap, part));
    start = end;
  }
  return make_iterator(heap, "generator", out);
}

Value groupby(Runtime& rt, Value subject, const Args& args) {
  const auto [attribute, fallback, case_sensitive] =
      bind("do_groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  Heap& heap = rt.heap;
  const AttributePath path(rt, attribute);
  std::pmr::vector<Keyed> keyed(&heap);
  for (const Value& item : collect(heap, subject)) {
    heap.step();
    const Value key = path.follow(item, fallback);
    keyed.push_back({truthy(case_sensitive) ? key : ignore_case(heap, key), item});
  }
  sort_keyed(heap, keyed, false);
  Values out(&heap);
  for (size_t begin = 0, end = 0; begin < keyed.size(); begin = end) {
    Values group(&heap);
    for (end = begin; end < keyed.size() && equal(heap, keyed[begin].key, keyed[end].key); ++end) {
      heap.step();
      group.push_back(keyed[end].item);
    }
    if (group.empty()) fail("groupby: a key is not equal to itself");
    Value* pair = heap.make_array<Value>(2);
    pair[0] = truthy(case_sensitive) ? keyed[begin].key : path.follow(group[0], fallback);
    pair[1] = make_list(heap, group);
    out.push_back(Value::tuple(heap.make<List>(pair, size_t{2}, nullptr, true)));
  }
  return make_list(heap, out);
}

// object.name, never object["name"].
Value attr(Runtime& rt, Value subject, const Args& args) {
  const auto [name] = bind("do_attr", args, {"name"}, 1);
  if (!name.is_string()) fail(fmt::format("attribute name must be string, not '{}'", type_name(name)));
  const Value value = get_attribute(rt, subject, name);
  if (subject.is(Kind::kDict) && !find_method(subject, name.str().view()) && !value.is_undefined()) {
    return make_undefined(rt.heap, subject, name);
  }
  return value;
}

constexpr FilterEntry kFilters[] = {
    {"attr", attr},
    {"batch", batch},
    {"count", length_filter},
    {"dictsort", dictsort},
    {"first", first},
    {"groupby", groupby},
    {"items", items},
    {"join", join_filter},
    {"last", last},
    {"length", length_filter},
    {"list", list},
    {"map", map},
    {"max", extreme<CompareOp::kGt>},
    {"min", extreme<CompareOp::kLt>},
    {"random", random_filter},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"reverse", reverse},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
    {"slice", slice_filter},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
};

}  // namespace

std::span<const FilterEntry> sequence_filters() { return kFilters; }

}  // namespace fieldprint::jinja
