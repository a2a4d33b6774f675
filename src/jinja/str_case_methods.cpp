// The methods of str that ask for the class of its characters or change their case.
#include "jinja/builtins.h"
#include "jinja/text_builder.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

template <std::string (*kMap)(std::string_view)>
Value mapped(Runtime& rt, Value self, const Args& args) {
  expect_no_arguments("str method", args);
  rt.heap.walk(self.str().size);
  return derived_string(rt.heap, self.str(), kMap(self.str().view()), self.str().markup);
}

template <bool (*kIs)(uint32_t)>
Value all_are(Runtime& rt, Value self, const Args& args) {
  expect_no_arguments("str method", args);
  const std::string_view text = self.str().view();
  rt.heap.walk(text.size());
  for (size_t pos = 0; pos < text.size();) {
    if (!kIs(decode_at(text, pos))) return Value::boolean(false);
  }
  return Value::boolean(!text.empty());
}

bool is_ascii_point(uint32_t c) { return c < 128; }

// Some character has this case and none the other.
template <bool kUpper>
Value all_cased(Runtime& rt, Value self, const Args& args) {
  expect_no_arguments("str method", args);
  const std::string_view text = self.str().view();
  rt.heap.walk(text.size());
  bool any = false;
  for (size_t pos = 0; pos < text.size();) {
    const uint32_t c = decode_at(text, pos);
    if (is_titlecase(c) || (kUpper ? is_lower(c) : is_upper(c))) return Value::boolean(false);
    any = any || (kUpper ? is_upper(c) : is_lower(c));
  }
  return Value::boolean(any);
}

Value istitle(Runtime& rt, Value self, const Args& args) {
  expect_no_arguments("str method", args);
  const std::string_view text = self.str().view();
  rt.heap.walk(text.size());
  bool any = false, inside = false;
  for (size_t pos = 0; pos < text.size();) {
    const uint32_t c = decode_at(text, pos);
    if (is_upper(c) || is_titlecase(c)) {
      if (inside) return Value::boolean(false);
      any = inside = true;
    } else if (is_lower(c)) {
      if (!inside) return Value::boolean(false);
      any = true;
    } else {
      inside = false;
    }
  }
  return Value::boolean(any);
}

Value isascii(Runtime& rt, Value self, const Args& args) {
  return self.str().size == 0 ? Value::boolean(true) : all_are<is_ascii_point>(rt, self, args);
}

Value isprintable(Runtime& rt, Value self, const Args& args) {
  return self.str().size == 0 ? Value::boolean(true) : all_are<is_printable>(rt, self, args);
}

Value isidentifier(Runtime& rt, Value self, const Args& args) {
  size_t pos = 0;
  if (self.str().size == 0 || is_numeric(decode_at(self.str().view(), pos))) return Value::boolean(false);
  return all_are<is_word>(rt, self, args);
}

constexpr MethodEntry kMethods[] = {
    {"capitalize", mapped<to_capital>},
    {"casefold", mapped<fold_case>},
    {"isalnum", all_are<is_alnum>},
    {"isalpha", all_are<is_alpha>},
    {"isascii", isascii},
    {"isdecimal", all_are<is_decimal>},
    {"isdigit", all_are<is_digit>},
    {"isidentifier", isidentifier},
    {"islower", all_cased<false>},
    {"isnumeric", all_are<is_numeric>},
    {"isprintable", isprintable},
    {"isspace", all_are<is_space>},
    {"istitle", istitle},
    {"isupper", all_cased<true>},
    {"lower", mapped<to_lower>},
    {"swapcase", mapped<swap_case>},
    {"title", mapped<to_title>},
    {"upper", mapped<to_upper>},
};

}  // namespace

std::span<const MethodEntry> string_case_methods() { return kMethods; }

}  // namespace fieldprint::jinja
