// Filters from text to text.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/builtins.h"
#include "jinja/json.h"
#include "jinja/repr.h"
#include "jinja/str_format.h"
#include "jinja/text.h"
#include "jinja/text_builder.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

// A filter without arguments that maps text to text.
template <std::string (*kMap)(std::string_view)>
Value mapped(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("filter", args);
  const String& text = to_soft_str(rt.heap, subject);
  rt.heap.walk(text.size);
  return derived_string(rt.heap, text, kMap(text.view()), text.markup);
}

Value trim(Runtime& rt, Value subject, const Args& args) {
  const auto [chars] = bind("do_trim", args, {"chars"});
  const bool given = !chars.is_missing() && !chars.is_none();
  if (given && !chars.is_string()) fail("strip arg must be None or str");
  return strip(rt.heap, to_soft_str(rt.heap, subject), given ? &chars.str() : nullptr, true, true);
}

// Words begin behind white space, hyphens and opening brackets.
Value title(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_title", args);
  const String& subject_text = to_soft_str(rt.heap, subject);
  const std::string_view text = subject_text.view();
  rt.heap.walk(text.size());
  const auto splits = [](uint32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    size_t end = pos;
    const uint32_t first = decode_at(text, end);
    append_upper(out, first);
    if (splits(first)) {
      pos = end;
      continue;
    }
    const size_t rest = end;
    for (size_t next = end; next < text.size(); end = next) {
      if (splits(decode_at(text, next))) break;
    }
    out += to_lower(text.substr(rest, end - rest));
    pos = end;
  }
  return derived_string(rt.heap, subject_text, out, false);
}

Value replace_filter(Runtime& rt, Value subject, const Args& args) {
  const auto [old, fresh, count] = bind("do_replace", args, {"old", "new", "count"}, 2);
  const int64_t most = count.is_missing() || count.is_none() ? -1 : to_index(count);
  return replace(rt.heap, to_str(rt.heap, subject), to_str(rt.heap, old).view(), to_str(rt.heap, fresh), most);
}

Value indent(Runtime& rt, Value subject, const Args& args) {
  const auto [width, first, blank] = bind("do_indent", args, {"width", "first", "blank"});
  Heap& heap = rt.heap;
  if (!subject.is_string()) {
    if (subject.is_undefined()) fail_undefined(heap, subject);
    fail(fmt::format("unsupported operand type(s) for +=: '{}' and 'str'", type_name(subject)));
  }
  const String& text = subject.str();
  Value margin = width;
  if (!width.is_string()) {
    const int64_t spaces = width.is_missing() ? 4 : to_index(width);
    margin = pad_text(heap, make_literal(heap, "").str(), spaces, make_literal(heap, " ").str(), '<');
  }
  const String& by = text.markup ? escape(heap, margin) : margin.str();
  const Value with_end = concat_strings(heap, text, make_literal(heap, "\n").str(), text.markup);
  const auto lines = split_lines(heap, with_end.str(), false);
  if (lines.size() > heap.bytes_left() / (by.size + 1)) heap.charge(UINT64_MAX);
  heap.step(lines.size());
  TextBuilder out(heap);
  if (truthy(first)) out.add(by);
  for (size_t i = 0; i < lines.size(); ++i) {
    const String& line = lines[i].str();
    if (i > 0) {
      out.literal("\n");
      if (truthy(blank) || line.size > 0) out.add(by);
    }
    out.add(line);
  }
  return out.finish(text.markup);
}

Value format(Runtime& rt, Value subject, const Args& args) {
  if (!args.positional.empty() && !args.keywords.empty()) {
    fail("can't handle positional and keyword arguments at the same time");
  }
  const String& text = to_soft_str(rt.heap, subject);
  if (args.keywords.empty()) return format_percent(rt.heap, text, make_tuple(rt.heap, args.positional));
  Dict* named = rt.heap.make<Dict>(rt.heap);
  rt.heap.step(args.keywords.size());
  for (const Keyword& keyword : args.keywords) named->set(make_string(rt.heap, keyword.name), keyword.value);
  return format_percent(rt.heap, text, named);
}

Value center(Runtime& rt, Value subject, const Args& args) {
  const auto [width] = bind("do_center", args, {"width"});
  return pad_text(rt.heap, to_soft_str(rt.heap, subject), width.is_missing() ? 80 : to_index(width),
                  make_literal(rt.heap, " ").str(), '^');
}

Value truncate(Runtime& rt, Value subject, const Args& args) {
  const auto [length_, killwords, end, leeway] = bind("do_truncate", args, {"length", "killwords", "end", "leeway"});
  Heap& heap = rt.heap;
  const int64_t limit = length_.is_missing() ? 255 : to_index(length_);
  const Value tail = end.is_missing() ? make_literal(heap, "...") : end;
  const int64_t slack = leeway.is_missing() || leeway.is_none() ? 5 : to_index(leeway);
  const int64_t tail_length = length(heap, tail);
  if (limit < tail_length) fail(fmt::format("expected length >= {}, got {}", tail_length, limit));
  if (slack < 0) fail(fmt::format("expected leeway >= 0, got {}", slack));
  if (length(heap, subject) <= limit + slack) return subject;
  const Value kept = slice(heap, subject, Value(), Value::integer(limit - tail_length), Value());
  if (!kept.is_string()) fail("truncate wants text");
  if (truthy(killwords)) return binary(heap, BinaryOp::kAdd, kept, tail);
  const size_t space = rfind_text(heap, kept.str().view(), " ");
  const Value words = space == std::string_view::npos ? kept : make_piece(heap, kept.str(), 0, space);
  return binary(heap, BinaryOp::kAdd, words, tail);
}

Value wordcount(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_wordcount", args);
  const std::string_view text = to_soft_str(rt.heap, subject).view();
  rt.heap.walk(text.size());
  int64_t words = 0;
  bool inside = false;
  for (size_t pos = 0; pos < text.size();) {
    const bool word = is_word(decode_at(text, pos));
    words += word && !inside;
    inside = word;
  }
  return Value::integer(words);
}

std::string percent_encode(std::string_view text, bool for_query) {
  std::string out;
  for (const char c : text) {
    const unsigned char byte = static_cast<unsigned char>(c);
    const bool plain = byte < 128 && (is_alnum(byte) || c == '_' || c == '.' || c == '-' || c == '~');
    if (plain || (c == '/' && !for_query)) out += c;
    else if (c == ' ' && for_query) out += '+';
    else out += '%', out += "0123456789ABCDEF"[byte >> 4], out += "0123456789ABCDEF"[byte & 15];
  }
  return out;
}

Value urlencode(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_urlencode", args);
  Heap& heap = rt.heap;
  const auto encode = [&](Value value, bool for_query) {
    const String& text = to_str(heap, value);
    heap.walk(text.size);
    return percent_encode(text.view(), for_query);
  };
  const bool iterable = is_iterable(subject);
  if (subject.is_string() || !iterable) {
    return derived_string(heap, to_soft_str(heap, subject), encode(subject, false), false);
  }
  std::string out;
  const auto add = [&](Value key, Value value) {
    heap.step();
    if (!out.empty()) out += '&';
    out += encode(key, true) + "=" + encode(value, true);
  };
  if (subject.is(Kind::kDict)) {
    for (const auto& [key, value] : subject.dict().entries) add(key, value);
  } else {
    for (const Value& item : collect(heap, subject)) {
      const auto pair = collect(heap, item);
      if (pair.size() != 2) fail(fmt::format("not enough values to unpack (expected 2, got {})", pair.size()));
      add(pair[0], pair[1]);
    }
  }
  return make_string(heap, out);
}

// &name; and &#number; to what they mean.
std::string unescape_html(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kNamed[] = {
      {"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}, {"nbsp", "\xC2\xA0"}};
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = text[pos] == '&' ? text.substr(0, pos + 12).find(';', pos) : text.npos;
    if (end == text.npos) {
      out += text[pos++];
      continue;
    }
    const std::string_view name = text.substr(pos + 1, end - pos - 1);
    const size_t length_before = out.size();
    for (const auto& [known, meaning] : kNamed) {
      if (name == known) out += meaning;
    }
    if (name.size() > 1 && name[0] == '#') {
      const bool hex = (name[1] | 32) == 'x';
      const std::string digits(name.substr(hex ? 2 : 1));
      const bool valid =
          !digits.empty() && digits.find_first_not_of(hex ? "0123456789abcdefABCDEF" : "0123456789") == digits.npos;
      const unsigned long c = valid ? std::strtoul(digits.c_str(), nullptr, hex ? 16 : 10) : 0;
      if (c >= 32 && c <= 0x10FFFF && (c < 0xD800 || c >= 0xE000)) append_utf8(out, static_cast<uint32_t>(c));
    }
    if (out.size() == length_before) out += text.substr(pos, end - pos + 1);
    pos = end + 1;
  }
  return out;
}

Value striptags(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_striptags", args);
  const String& whole = to_str(rt.heap, subject);
  const std::string_view text = whole.view();
  rt.heap.walk(text.size());
  TextBuilder bare(rt.heap);
  size_t pos = 0;
  for (size_t start = text.find('<'); start != text.npos; start = text.find('<', pos)) {
    const bool comment = text.substr(start).starts_with("<!--");
    const size_t end = comment ? text.find("-->", start + 4) : text.find('>', start);
    if (end == text.npos) break;
    bare.add(whole, pos, start - pos);
    pos = end + (comment ? 3 : 1);
  }
  bare.add(whole, pos, text.size() - pos);
  const Value words = split(rt.heap, bare.finish().str(), nullptr, -1, false);
  const Value spaced = join(rt.heap, make_literal(rt.heap, " ").str(), words.items().span(), false);
  return derived_string(rt.heap, spaced.str(), unescape_html(spaced.str().view()), false);
}

Value safe(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_mark_safe", args);
  return as_markup(rt.heap, to_soft_str(rt.heap, subject), true);
}

Value escape_filter(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("escape", args);
  return &escape(rt.heap, subject);
}

Value forceescape(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("do_forceescape", args);
  return &escape(rt.heap, &to_str(rt.heap, subject));
}

Value string(Runtime& rt, Value subject, const Args& args) {
  expect_no_arguments("soft_str", args);
  return &to_soft_str(rt.heap, subject);
}

Value tojson(Runtime& rt, Value subject, const Args& args) {
  const auto [ascii, indent_by, separators, sort] =
      bind("tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"});
  Heap& heap = rt.heap;
  JsonStyle style;
  style.ensure_ascii = truthy(ascii);
  style.sort_keys = truthy(sort);
  if (!indent_by.is_missing() && !indent_by.is_none()) {
    style.indented = true;
    style.item_separator = std::string(1, ',');
    if (indent_by.is_string()) {
      style.indent = indent_by.str().view();
    } else {
      const int64_t spaces = to_index(indent_by);
      if (spaces > 1000) fail("tojson: the indent is too large");
      style.indent.assign(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' ');
    }
  }
  if (!separators.is_missing() && !separators.is_none()) {
    const auto both = collect(heap, separators);
    if (both.size() != 2 || !both[0].is_string() || !both[1].is_string()) fail("tojson: separators are two strings");
    style.item_separator = both[0].str().view();
    style.key_separator = both[1].str().view();
  }
  return dump_json(heap, subject, style);
}

Value xmlattr(Runtime& rt, Value subject, const Args& args) {
  const auto [autospace] = bind("do_xmlattr", args, {"autospace"});
  if (!subject.is(Kind::kDict)) fail(fmt::format("'{}' object has no attribute 'items'", type_name(subject)));
  TextBuilder out(rt.heap);
  if (autospace.is_missing() || truthy(autospace)) out.literal(" ");
  const size_t mark = out.size();
  for (const auto& [key, value] : subject.dict().entries) {
    rt.heap.step();
    if (value.is_none() || value.is_undefined()) continue;
    if (!key.is_string()) fail(fmt::format("expected string or bytes-like object, got '{}'", type_name(key)));
    rt.heap.walk(key.str().size);
    if (key.str().view().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      fail(fmt::format("Invalid character in attribute name: {}", repr(rt.heap, key)));
    }
    if (out.size() > mark) out.literal(" ");
    out.add(escape(rt.heap, key));
    out.literal("=\"");
    out.add(escape(rt.heap, value));
    out.literal("\"");
  }
  return out.size() > mark ? out.finish() : make_literal(rt.heap, "");
}

constexpr FilterEntry kFilters[] = {
    {"capitalize", mapped<to_capital>},
    {"center", center},
    {"e", escape_filter},
    {"escape", escape_filter},
    {"forceescape", forceescape},
    {"format", format},
    {"indent", indent},
    {"lower", mapped<to_lower>},
    {"pprint", pprint},
    {"replace", replace_filter},
    {"safe", safe},
    {"string", string},
    {"striptags", striptags},
    {"title", title},
    {"tojson", tojson},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", mapped<to_upper>},
    {"urlencode", urlencode},
    {"urlize", urlize},
    {"wordcount", wordcount},
    {"wordwrap", wordwrap},
    {"xmlattr", xmlattr},
};

}  // namespace

std::span<const FilterEntry> text_filters() { return kFilters; }

}  // namespace fieldprint::jinja
