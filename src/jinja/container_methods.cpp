// The methods of dict, list, tuple, range and cycler, and the look-up of all methods.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "jinja/builtins.h"
#include "jinja/repr.h"

namespace fieldprint::jinja {
namespace {

template <View::Part kPart>
Value view(Runtime& rt, Value self, const Args& args) {
  expect_no_arguments("dict method", args);
  return rt.heap.make<View>(kPart, &self.dict());
}

Value dict_get(Runtime&, Value self, const Args& args) {
  const auto [key, fallback] = bind("get", args, {"key", "default"}, 1);
  if (const Value* value = self.dict().find(key)) return *value;
  return fallback.is_missing() ? Value::none() : fallback;
}

Value dict_copy(Runtime&, Value self, const Args& args) {
  expect_no_arguments("copy", args);
  return self;  // nothing can tell: dicts do not change
}

Value list_copy(Runtime&, Value self, const Args& args) {
  expect_no_arguments("copy", args);
  return self;
}

Value count(Runtime& rt, Value self, const Args& args) {
  const auto [wanted] = bind("count", args, {"value"}, 1);
  int64_t n = 0;
  Iteration iteration(rt.heap, self);
  for (Value item; iteration.next(item);) {
    rt.heap.step();
    n += equal(rt.heap, item, wanted);
  }
  return Value::integer(n);
}

Value index(Runtime& rt, Value self, const Args& args) {
  const auto [wanted, from, to] = bind("index", args, {"value", "start", "stop"}, 1);
  const int64_t size = length(rt.heap, self);
  const auto bound = [&](Value v, int64_t absent) {
    if (v.is_missing()) return absent;
    const int64_t i = to_index(v);
    return i < 0 ? std::max<int64_t>(i + size, 0) : i;
  };
  const int64_t start = bound(from, 0), stop = bound(to, size);
  Iteration iteration(rt.heap, self);
  Value item;
  for (int64_t i = 0; iteration.next(item); ++i) {
    rt.heap.step();
    if (i >= start && i < stop && equal(rt.heap, item, wanted)) return Value::integer(i);
  }
  fail(self.is(Kind::kTuple) ? "tuple.index(x): x not in tuple" : repr(rt.heap, wanted) + " is not in list");
}

Value cycler_next(Runtime&, Value self, const Args& args) {
  expect_no_arguments("next", args);
  Cycler& cycler = self.cycler();
  const Value item = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return item;
}

Value cycler_reset(Runtime&, Value self, const Args& args) {
  expect_no_arguments("reset", args);
  self.cycler().position = 0;
  return Value::none();
}

Value is_integer(Runtime&, Value self, const Args& args) {
  expect_no_arguments("is_integer", args);
  const double d = to_double(self);
  return Value::boolean(d == static_cast<double>(static_cast<long long>(d)));
}

// A null function: known to Python, but it would change what the template was given.
constexpr MethodEntry kDictMethods[] = {
    {"clear", nullptr},
    {"copy", dict_copy},
    {"get", dict_get},
    {"items", view<View::Part::kItems>},
    {"keys", view<View::Part::kKeys>},
    {"pop", nullptr},
    {"popitem", nullptr},
    {"setdefault", nullptr},
    {"update", nullptr},
    {"values", view<View::Part::kValues>},
};
constexpr MethodEntry kListMethods[] = {
    {"append", nullptr}, {"clear", nullptr},   {"copy", list_copy}, {"count", count},
    {"extend", nullptr}, {"index", index},     {"insert", nullptr}, {"pop", nullptr},
    {"remove", nullptr}, {"reverse", nullptr}, {"sort", nullptr},
};
constexpr MethodEntry kTupleMethods[] = {{"count", count}, {"index", index}};
constexpr MethodEntry kCyclerMethods[] = {{"next", cycler_next}, {"reset", cycler_reset}};
constexpr MethodEntry kFloatMethods[] = {{"is_integer", is_integer}};

const MethodEntry* find_in(std::span<const MethodEntry> table, std::string_view name) {
  const auto entry = std::find_if(table.begin(), table.end(), [&](const MethodEntry& e) { return e.name == name; });
  return entry == table.end() ? nullptr : &*entry;
}

const MethodEntry* find_string_method(std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, const MethodEntry*> all;
    for (const MethodEntry& entry : string_methods()) all[entry.name] = &entry;
    for (const MethodEntry& entry : string_case_methods()) all[entry.name] = &entry;
    return all;
  }();
  const auto entry = table.find(name);
  return entry == table.end() ? nullptr : entry->second;
}

}  // namespace

const MethodEntry* find_method(Value self, std::string_view name) {
  switch (self.kind()) {
    case Kind::kString:
      return find_string_method(name);
    case Kind::kDict:
      return find_in(kDictMethods, name);
    case Kind::kList:
      return find_in(kListMethods, name);
    case Kind::kTuple:
    case Kind::kRange:
      return find_in(kTupleMethods, name);
    case Kind::kCycler:
      return find_in(kCyclerMethods, name);
    case Kind::kFloat:
      return find_in(kFloatMethods, name);
    default:
      return nullptr;
  }
}

}  // namespace fieldprint::jinja
