// What stands behind `is`.
#include <fmt/format.h>

#include <unordered_map>

#include "jinja/builtins.h"
#include "jinja/repr.h"

namespace fieldprint::jinja {
namespace {

template <bool (*kTest)(Value)>
Value simple(Runtime&, Value subject, const Args& args) {
  expect_no_arguments("test", args);
  return Value::boolean(kTest(subject));
}

bool is_defined(Value v) { return !v.is_undefined(); }
bool is_undefined(Value v) { return v.is_undefined(); }
bool is_none(Value v) { return v.is_none(); }
bool is_boolean(Value v) { return v.is(Kind::kBool); }
bool is_true(Value v) { return v.is(Kind::kBool) && v.as_bool(); }
bool is_false(Value v) { return v.is(Kind::kBool) && !v.as_bool(); }
bool is_integer(Value v) { return v.is(Kind::kInt) || v.is(Kind::kBigInt); }
bool is_float(Value v) { return v.is(Kind::kFloat); }
bool is_number(Value v) { return v.is_number(); }
bool is_string(Value v) { return v.is_string(); }
bool is_mapping(Value v) { return v.is(Kind::kDict); }
bool is_escaped(Value v) { return v.is_string() && v.str().markup; }

bool is_sequence(Value v) {
  return v.is_string() || v.is_sequence() || v.is(Kind::kDict) || v.is(Kind::kRange) || v.is_undefined();
}

bool is_callable(Value v) {
  return v.is_undefined() || v.is(Kind::kMacro) || v.is(Kind::kFunction) || v.is(Kind::kMethod) || v.is(Kind::kLoop) ||
         v.is(Kind::kJoiner);
}

template <const char* kMethod>
Value cased(Runtime& rt, Value subject, const Args& args) {
  const Value text = &to_str(rt.heap, subject);
  return find_method(text, kMethod)->function(rt, text, args);
}
constexpr char kIsLower[] = "islower", kIsUpper[] = "isupper";

Value remainder(Runtime& rt, Value subject, Value divisor, int64_t wanted) {
  return Value::boolean(equal(rt.heap, binary(rt.heap, BinaryOp::kMod, subject, divisor), Value::integer(wanted)));
}

template <int64_t kWanted>
Value parity(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("test", args);
  return remainder(rt, subject, Value::integer(2), kWanted);
}

Value divisibleby(Runtime& rt, Value subject, const Args& args) {
  return remainder(rt, subject, bind("divisibleby", args, {"num"}, 1)[0], 0);
}

template <CompareOp kOp>
Value compared(Runtime& rt, Value subject, const Args& args) {
  return Value::boolean(compare(rt.heap, kOp, subject, bind("test", args, {"other"}, 1)[0]));
}

Value sameas(Runtime& rt, Value subject, const Args& args) {
  return Value::boolean(same(rt.heap, subject, bind("sameas", args, {"other"}, 1)[0]));
}

template <FilterFunction (*kFind)(std::string_view)>
Value exists(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("test", args);
  hash_of(rt.heap, subject);
  return Value::boolean(subject.is_string() && kFind(subject.str().view()) != nullptr);
}

constexpr FilterEntry kTests[] = {
    {"!=", compared<CompareOp::kNe>},
    {"<", compared<CompareOp::kLt>},
    {"<=", compared<CompareOp::kLe>},
    {"==", compared<CompareOp::kEq>},
    {">", compared<CompareOp::kGt>},
    {">=", compared<CompareOp::kGe>},
    {"boolean", simple<is_boolean>},
    {"callable", simple<is_callable>},
    {"defined", simple<is_defined>},
    {"divisibleby", divisibleby},
    {"eq", compared<CompareOp::kEq>},
    {"equalto", compared<CompareOp::kEq>},
    {"escaped", simple<is_escaped>},
    {"even", parity<0>},
    {"false", simple<is_false>},
    {"filter", exists<find_filter>},
    {"float", simple<is_float>},
    {"ge", compared<CompareOp::kGe>},
    {"greaterthan", compared<CompareOp::kGt>},
    {"gt", compared<CompareOp::kGt>},
    {"in", compared<CompareOp::kIn>},
    {"integer", simple<is_integer>},
    {"iterable", simple<is_iterable>},
    {"le", compared<CompareOp::kLe>},
    {"lessthan", compared<CompareOp::kLt>},
    {"lower", cased<kIsLower>},
    {"lt", compared<CompareOp::kLt>},
    {"mapping", simple<is_mapping>},
    {"ne", compared<CompareOp::kNe>},
    {"none", simple<is_none>},
    {"number", simple<is_number>},
    {"odd", parity<1>},
    {"sameas", sameas},
    {"sequence", simple<is_sequence>},
    {"string", simple<is_string>},
    {"test", exists<find_test>},
    {"true", simple<is_true>},
    {"undefined", simple<is_undefined>},
    {"upper", cased<kIsUpper>},
};

}  // namespace

std::span<const FilterEntry> tests() { return kTests; }

FilterFunction find_test(std::string_view name) {
  static const auto table = [] {
    std::unordered_map<std::string_view, FilterFunction> all;
    for (const auto& [test, function] : kTests) all[test] = function;
    return all;
  }();
  const auto entry = table.find(name);
  return entry == table.end() ? nullptr : entry->second;
}

}  // namespace fieldprint::jinja
