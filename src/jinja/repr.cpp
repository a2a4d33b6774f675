#include "jinja/repr.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "jinja/loop.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

void append_string_repr(Heap& heap, TextBuilder& out, const String& string) {
  const std::string_view text = string.view();
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  out.literal({&quote, 1});
  each_origin(string, 0, string.size, [&](size_t begin, size_t size, Origin origin) {
    std::string piece;
    for (size_t pos = begin; pos < begin + size;) {
      const size_t start = pos;
      const uint32_t c = decode_at(text, pos);
      if (c == static_cast<uint32_t>(quote) || c == '\\') piece += '\\', piece += static_cast<char>(c);
      else if (c == '\n') piece += "\\n";
      else if (c == '\r') piece += "\\r";
      else if (c == '\t') piece += "\\t";
      else if (is_printable(c)) piece += text.substr(start, pos - start);
      else if (c < 0x100) piece += fmt::format("\\x{:02x}", c);
      else if (c < 0x10000) piece += fmt::format("\\u{:04x}", c);
      else piece += fmt::format("\\U{:08x}", c);
    }
    heap.step();
    out.add(piece, origin);
  });
  out.literal({&quote, 1});
}

void append_items(Heap& heap, TextBuilder& out, std::span<const Value> items) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out.literal(", ");
    first = false;
    append_repr(heap, out, item);
  }
}

void append_dict(Heap& heap, TextBuilder& out, const Dict& dict) {
  out.literal("{");
  for (size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) out.literal(", ");
    append_repr(heap, out, dict.entries[i].key);
    out.literal(": ");
    append_repr(heap, out, dict.entries[i].value);
  }
  out.literal("}");
}

void append_view(Heap& heap, TextBuilder& out, const View& view) {
  const bool keys = view.part == View::Part::kKeys, items = view.part == View::Part::kItems;
  out.literal(keys ? "dict_keys([" : items ? "dict_items([" : "dict_values([");
  bool first = true;
  for (const auto& [key, value] : view.dict->entries) {
    if (!first) out.literal(", ");
    first = false;
    if (items) out.literal("("), append_repr(heap, out, key), out.literal(", ");
    append_repr(heap, out, keys ? key : value);
    if (items) out.literal(")");
  }
  out.literal("])");
}

}  // namespace

std::string float_repr(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  if (d == 0) return std::signbit(d) ? "-0.0" : "0.0";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), d, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  std::string out;
  if (text.front() == '-') out += '-', text.remove_prefix(1);
  const size_t e = text.find('e');
  std::string digits(1, text[0]);
  if (e > 1) digits += text.substr(2, e - 2);
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(), exponent);
  const int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) out += '.', out += digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

void append_repr(Heap& heap, TextBuilder& out, Value value) {
  const Nesting nesting(heap);
  heap.step();
  // What is printed twice takes memory twice: a nested list may print far longer than it is stored.
  if (out.size() > heap.bytes_left()) heap.charge(out.size());
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      out.literal("Undefined");
      return;
    case Kind::kNone:
      out.literal("None");
      return;
    case Kind::kBool:
      out.literal(value.as_bool() ? "True" : "False");
      return;
    case Kind::kInt:
      out.literal(fmt::format_int(value.as_int()).c_str());
      return;
    case Kind::kBigInt:
      heap.scan(value.big().digits.size());
      out.literal(value.big().digits);
      return;
    case Kind::kFloat:
      out.literal(float_repr(value.as_float()));
      return;
    case Kind::kString:
      heap.walk(value.str().size);
      if (value.str().markup) out.literal("Markup(");
      append_string_repr(heap, out, value.str());
      if (value.str().markup) out.literal(")");
      return;
    case Kind::kList:
      out.literal("[");
      append_items(heap, out, value.items().span());
      out.literal("]");
      return;
    case Kind::kTuple:
      out.literal("(");
      append_items(heap, out, value.items().span());
      out.literal(value.items().size == 1 ? ",)" : ")");
      return;
    case Kind::kDict:
      append_dict(heap, out, value.dict());
      return;
    case Kind::kView:
      append_view(heap, out, value.view());
      return;
    case Kind::kRange:
      out.literal(fmt::format("range({}, {}", value.range().start, value.range().stop));
      if (value.range().step != 1) out.literal(fmt::format(", {}", value.range().step));
      out.literal(")");
      return;
    case Kind::kNamespace:
      out.literal("<Namespace ");
      append_dict(heap, out, *value.space().attributes);
      out.literal(">");
      return;
    case Kind::kMacro:
      out.literal("<Macro ");
      if (value.macro().name.empty()) out.literal("anonymous");
      else append_string_repr(heap, out, make_literal(heap, value.macro().name).str());
      out.literal(">");
      return;
    case Kind::kLoop:
      out.literal(fmt::format("<LoopContext {}/{}>", value.loop().index0 + 1, loop_length(heap, value.loop())));
      return;
    // Python prints an address as well, which no template can mean.
    case Kind::kIterator:
      out.literal(fmt::format("<{} object>", type_name(value)));
      return;
    case Kind::kMethod:
      out.literal(
          fmt::format("<built-in method {} of {} object>", value.method().name, type_name(value.method().self)));
      return;
    case Kind::kFunction:
      out.literal(fmt::format("<function {}>", value.function().name));
      return;
    case Kind::kCycler:
    case Kind::kJoiner:
      out.literal(fmt::format("<jinja2.utils.{} object>", type_name(value)));
      return;
  }
}

void append_str(Heap& heap, TextBuilder& out, Value value) {
  if (value.is_string()) heap.scan(value.str().size), out.add(value.str());
  else if (!value.is_undefined()) append_repr(heap, out, value);
  else require_defined(heap, value);
}

std::string repr(Heap& heap, Value value) { return std::string(to_repr(heap, value).view()); }

const String& to_repr(Heap& heap, Value value) {
  TextBuilder out(heap);
  append_repr(heap, out, value);
  return out.finish().str();
}

const String& to_str(Heap& heap, Value value) {
  if (value.is_string()) return as_markup(heap, value.str(), false).str();
  return to_soft_str(heap, value);
}

const String& to_soft_str(Heap& heap, Value value) {
  if (value.is_string()) return value.str();
  TextBuilder text(heap);
  append_str(heap, text, value);
  return text.finish().str();
}

const String& escape(Heap& heap, Value value) {
  const String& text = to_soft_str(heap, value);
  if (text.markup) return text;
  heap.walk(text.size);
  if (text.view().find_first_of("&<>'\"") == std::string_view::npos) return as_markup(heap, text, true).str();
  TextBuilder out(heap);
  each_origin(text, 0, text.size, [&](size_t begin, size_t size, Origin origin) {
    std::string piece;
    for (const char c : text.view().substr(begin, size)) {
      switch (c) {
        case '&':
          piece += "&amp;";
          break;
        case '<':
          piece += "&lt;";
          break;
        case '>':
          piece += "&gt;";
          break;
        case '\'':
          piece += "&#39;";
          break;
        case '"':
          piece += "&#34;";
          break;
        default:
          piece += c;
      }
    }
    out.add(piece, origin);
  });
  return out.finish(true).str();
}

}  // namespace fieldprint::jinja
