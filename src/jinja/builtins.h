// Filters, tests, methods and global functions: what templates can call.
#pragma once

#include <array>
#include <string_view>

#include "jinja/ast.h"
#include "jinja/loop.h"

namespace fieldprint::jinja {

struct FilterEntry {
  std::string_view name;
  FilterFunction function;
};
struct MethodEntry {
  std::string_view name;
  MethodFunction function;  // null: known to Python, forbidden in the sandbox
};

// Null where there is none.
FilterFunction find_filter(std::string_view name);
FilterFunction find_test(std::string_view name);
const MethodEntry* find_method(Value self, std::string_view name);
const Function* find_global(std::string_view name);

// The tables, one for each file of builtins.
std::span<const FilterEntry> text_filters();
std::span<const FilterEntry> number_filters();
std::span<const FilterEntry> sequence_filters();
std::span<const FilterEntry> tests();
std::span<const MethodEntry> string_methods();
std::span<const MethodEntry> string_case_methods();

// Filters with a file of their own.
Value pprint(Runtime& runtime, Value subject, const Args& args);
Value urlize(Runtime& runtime, Value subject, const Args& args);
Value wordwrap(Runtime& runtime, Value subject, const Args& args);

// object.name and object[key], as the sandbox gives them; undefined where there is nothing.
Value get_attribute(Runtime& runtime, Value object, Value name);
Value get_item(Runtime& runtime, Value object, Value key);

// "a.b.0": what `map(attribute=...)` and its kin follow. Missing or none: the item itself.
class AttributePath {
 public:
  AttributePath(Runtime& runtime, Value path);
  Value follow(Value item, Value fallback = {}) const;

 private:
  Runtime& runtime_;
  std::pmr::vector<Value> parts_;
};

// Fits a call's arguments to the parameters of `function`, as Python does; what is not given is missing.
void bind(std::string_view function, const Args& args, std::span<const char* const> names, size_t required,
          std::span<Value> out);
template <size_t N>
std::array<Value, N> bind(std::string_view function, const Args& args, const char* const (&names)[N],
                          size_t required = 0) {
  std::array<Value, N> out;
  bind(function, args, names, required, out);
  return out;
}
void expect_no_arguments(std::string_view function, const Args& args);

}  // namespace fieldprint::jinja
