// The methods of str that look, cut and join.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "jinja/builtins.h"
#include "jinja/repr.h"
#include "jinja/str_format.h"
#include "jinja/text.h"
#include "jinja/text_builder.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

std::span<const Value> positional(std::string_view method, const Args& args, size_t least, size_t most) {
  if (!args.keywords.empty()) fail(fmt::format("str.{}() takes no keyword arguments", method));
  const size_t n = args.positional.size();
  if (n < least)
    fail(fmt::format("{}() takes at least {} argument{} ({} given)", method, least, least == 1 ? "" : "s", n));
  if (n > most) fail(fmt::format("{}() takes at most {} argument{} ({} given)", method, most, most == 1 ? "" : "s", n));
  return args.positional;
}

const String& text_argument(std::string_view method, Value value) {
  if (!value.is_string()) fail(fmt::format("{}() argument must be str, not {}", method, type_name(value)));
  return value.str();
}

Value none_as_missing(Value value) { return value.is_none() ? Value() : value; }

template <bool kLeft, bool kRight>
Value strip_method(Runtime& rt, Value self, const Args& args) {
  const auto given = positional("strip", args, 0, 1);
  const Value chars = given.empty() ? Value() : none_as_missing(given[0]);
  if (!chars.is_missing() && !chars.is_string()) fail("strip arg must be None or str");
  return strip(rt.heap, self.str(), chars.is_missing() ? nullptr : &chars.str(), kLeft, kRight);
}

// [start, end) in code points to bytes; false where start lies behind the end.
struct Window {
  std::string_view text;
  size_t offset;  // of text, in code points
  bool valid;
};

Window window(Heap& heap, const String& text, std::span<const Value> bounds) {
  heap.scan(text.size);
  const int64_t size = static_cast<int64_t>(text.code_points);
  int64_t limits[2] = {0, size};
  for (size_t i = 0; i < bounds.size(); ++i) {
    if (bounds[i].is_none()) continue;
    if (!bounds[i].is_integral()) fail("slice indices must be integers or None or have an __index__ method");
    limits[i] = bounds[i].as_int();
    if (limits[i] < 0) limits[i] = std::max<int64_t>(limits[i] + size, 0);
  }
  if (limits[0] > size) return {{}, 0, false};
  limits[1] = std::min(limits[1], size);
  if (limits[0] > limits[1]) return {{}, 0, false};
  const size_t start = static_cast<size_t>(limits[0]), count = static_cast<size_t>(limits[1] - limits[0]);
  if (text.ascii()) return {text.view().substr(start, count), start, true};
  const size_t from = advance_code_points(text.view(), 0, start), to = advance_code_points(text.view(), from, count);
  return {text.view().substr(from, to - from), start, true};
}

int64_t find_in(Runtime& rt, std::string_view method, Value self, const Args& args, bool from_right) {
  const auto given = positional(method, args, 1, 3);
  const String& wanted = text_argument(method, given[0]);
  const Window where = window(rt.heap, self.str(), given.subspan(1));
  if (!where.valid) return -1;
  const size_t at =
      from_right ? rfind_text(rt.heap, where.text, wanted.view()) : find_text(rt.heap, where.text, wanted.view());
  if (at == std::string_view::npos) return -1;
  return static_cast<int64_t>(where.offset + (self.str().ascii() ? at : count_code_points(where.text.substr(0, at))));
}

template <bool kFromRight>
Value find(Runtime& rt, Value self, const Args& args) {
  return Value::integer(find_in(rt, kFromRight ? "rfind" : "find", self, args, kFromRight));
}

template <bool kFromRight>
Value index(Runtime& rt, Value self, const Args& args) {
  const int64_t at = find_in(rt, kFromRight ? "rindex" : "index", self, args, kFromRight);
  if (at < 0) fail("substring not found");
  return Value::integer(at);
}

Value count(Runtime& rt, Value self, const Args& args) {
  const auto given = positional("count", args, 1, 3);
  const std::string_view wanted = text_argument("count", given[0]).view();
  const Window where = window(rt.heap, self.str(), given.subspan(1));
  if (!where.valid) return Value::integer(0);
  if (wanted.empty()) return Value::integer(static_cast<int64_t>(count_code_points(where.text)) + 1);
  return Value::integer(static_cast<int64_t>(count_occurrences(rt.heap, where.text, wanted)));
}

template <bool kEnd>
Value starts_or_ends_with(Runtime& rt, Value self, const Args& args) {
  const char* method = kEnd ? "endswith" : "startswith";
  const auto given = positional(method, args, 1, 3);
  Window where{self.str().view(), 0, true};
  if (given.size() > 1) where = window(rt.heap, self.str(), given.subspan(1));
  const auto matches = [&](Value part) {
    if (!part.is_string()) {
      fail(fmt::format("{} first arg must be str or a tuple of str, not {}", method, type_name(part)));
    }
    rt.heap.step(1 + part.str().size / 64);
    const std::string_view text = part.str().view();
    return where.valid && (kEnd ? where.text.ends_with(text) : where.text.starts_with(text));
  };
  if (!given[0].is(Kind::kTuple)) return Value::boolean(matches(given[0]));
  for (const Value& part : given[0].items().span()) {
    if (matches(part)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

template <bool kFromRight>
Value split_method(Runtime& rt, Value self, const Args& args) {
  const char* method = kFromRight ? "rsplit" : "split";
  const auto [separator, limit] = bind(method, args, {"sep", "maxsplit"});
  const Value by = none_as_missing(separator);
  if (!by.is_missing() && !by.is_string()) fail(fmt::format("must be str or None, not {}", type_name(by)));
  if (!by.is_missing() && by.str().size == 0) fail("empty separator");
  const int64_t most = limit.is_missing() ? -1 : to_index(limit);
  return split(rt.heap, self.str(), by.is_missing() ? nullptr : &by.str(), most, kFromRight);
}

Value splitlines(Runtime& rt, Value self, const Args& args) {
  const auto [keep] = bind("splitlines", args, {"keepends"});
  return make_list(rt.heap, split_lines(rt.heap, self.str(), truthy(keep)));
}

template <bool kFromRight>
Value partition(Runtime& rt, Value self, const Args& args) {
  const auto given = positional(kFromRight ? "rpartition" : "partition", args, 1, 1);
  const String &text = self.str(), &separator = text_argument("partition", given[0]);
  if (separator.size == 0) fail("empty separator");
  const size_t at = kFromRight ? rfind_text(rt.heap, text.view(), separator.view())
                               : find_text(rt.heap, text.view(), separator.view());
  const Value empty = make_string(rt.heap, "", text.markup);
  if (at == std::string_view::npos) {
    const Value parts[] = {kFromRight ? empty : self, empty, kFromRight ? self : empty};
    return make_tuple(rt.heap, parts);
  }
  const size_t after = at + separator.size;
  const Value parts[] = {make_piece(rt.heap, text, 0, at), make_piece(rt.heap, text, at, separator.size),
                         make_piece(rt.heap, text, after, text.size - after)};
  return make_tuple(rt.heap, parts);
}

Value replace_method(Runtime& rt, Value self, const Args& args) {
  const auto given = positional("replace", args, 2, 3);
  const int64_t most = given.size() > 2 ? to_index(given[2]) : -1;
  const String& old = text_argument("replace", given[0]);
  const String& fresh = text_argument("replace", given[1]);
  const String& text = self.str();
  return replace(rt.heap, text, old.view(), text.markup ? escape(rt.heap, given[1]) : fresh, most);
}

Value join_method(Runtime& rt, Value self, const Args& args) {
  const auto given = positional("join", args, 1, 1);
  if (given[0].is(Kind::kNone) || given[0].is_number()) fail("can only join an iterable");
  const auto items = collect(rt.heap, given[0]);
  std::pmr::vector<Value> parts(items.begin(), items.end(), &rt.heap);
  rt.heap.visit(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (self.str().markup) parts[i] = &escape(rt.heap, parts[i]);
    else if (!parts[i].is_string()) {
      fail(fmt::format("sequence item {}: expected str instance, {} found", i, type_name(parts[i])));
    }
  }
  return join(rt.heap, self.str(), parts, self.str().markup);
}

Value removeprefix(Runtime& rt, Value self, const Args& args) {
  const String &text = self.str(), &prefix = text_argument("removeprefix", positional("removeprefix", args, 1, 1)[0]);
  rt.heap.scan(prefix.size);
  if (!text.view().starts_with(prefix.view())) return self;
  return make_piece(rt.heap, text, prefix.size, text.size - prefix.size);
}

Value removesuffix(Runtime& rt, Value self, const Args& args) {
  const String &text = self.str(), &suffix = text_argument("removesuffix", positional("removesuffix", args, 1, 1)[0]);
  rt.heap.scan(suffix.size);
  if (!text.view().ends_with(suffix.view())) return self;
  return make_piece(rt.heap, text, 0, text.size - suffix.size);
}

template <char kSide>
Value justify(Runtime& rt, Value self, const Args& args) {
  const char* method = kSide == '<' ? "ljust" : kSide == '>' ? "rjust" : "center";
  const auto given = positional(method, args, 1, 2);
  Value fill = make_literal(rt.heap, " ");
  if (given.size() > 1) {
    if (!given[1].is_string() || given[1].str().code_points != 1) {
      fail("The fill character must be exactly one character long");
    }
    fill = given[1];
  }
  return pad_text(rt.heap, self.str(), to_index(given[0]), fill.str(), kSide);
}

Value zfill(Runtime& rt, Value self, const Args& args) {
  const int64_t width = to_index(positional("zfill", args, 1, 1)[0]);
  const String& text = self.str();
  const bool sign = text.view().starts_with('-') || text.view().starts_with('+');
  const Value zero = make_literal(rt.heap, "0");
  if (!sign) return pad_text(rt.heap, text, width, zero.str(), '>');
  const Value digits = pad_text(rt.heap, make_piece(rt.heap, text, 1, text.size - 1).str(), width - 1, zero.str(), '>');
  return concat_strings(rt.heap, make_piece(rt.heap, text, 0, 1).str(), digits.str(), text.markup);
}

Value expandtabs(Runtime& rt, Value self, const Args& args) {
  const auto [size] = bind("expandtabs", args, {"tabsize"});
  const int64_t every = size.is_missing() ? 8 : to_index(size);
  if (every > 1 << 16) fail("the tab size is too large");
  std::string out;
  int64_t column = 0;
  for (const char c : self.str().view()) {
    rt.heap.step();
    if (c == '\t') {
      const int64_t n = every > 0 ? every - column % every : 0;
      out.append(static_cast<size_t>(n), ' ');
      column += n;
      if (out.size() > rt.heap.bytes_left()) rt.heap.charge(out.size());
      continue;
    }
    out += c;
    if (c == '\n' || c == '\r') column = 0;
    else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++column;
  }
  return derived_string(rt.heap, self.str(), out, self.str().markup);
}

Value format(Runtime& rt, Value self, const Args& args) { return format_braces(rt, self.str(), args); }

Value format_map(Runtime& rt, Value self, const Args& args) {
  const Value mapping = positional("format_map", args, 1, 1)[0];
  if (!mapping.is(Kind::kDict)) fail("format_map() wants a mapping");
  rt.heap.visit(mapping.dict().entries.size());
  std::pmr::vector<Keyword> keywords(&rt.heap);
  for (const auto& [key, value] : mapping.dict().entries) {
    if (key.is_string()) keywords.push_back({key.str().view(), value});
  }
  return format_braces(rt, self.str(), Args{{}, keywords});
}

constexpr MethodEntry kMethods[] = {
    {"center", justify<'^'>},
    {"count", count},
    {"endswith", starts_or_ends_with<true>},
    {"expandtabs", expandtabs},
    {"find", find<false>},
    {"format", format},
    {"format_map", format_map},
    {"index", index<false>},
    {"join", join_method},
    {"ljust", justify<'<'>},
    {"lstrip", strip_method<true, false>},
    {"partition", partition<false>},
    {"removeprefix", removeprefix},
    {"removesuffix", removesuffix},
    {"replace", replace_method},
    {"rfind", find<true>},
    {"rindex", index<true>},
    {"rjust", justify<'>'>},
    {"rpartition", partition<true>},
    {"rsplit", split_method<true>},
    {"rstrip", strip_method<false, true>},
    {"split", split_method<false>},
    {"splitlines", splitlines},
    {"startswith", starts_or_ends_with<false>},
    {"strip", strip_method<true, true>},
    {"zfill", zfill},
};

}  // namespace

std::span<const MethodEntry> string_methods() { return kMethods; }

}  // namespace fieldprint::jinja
