#include "jinja/repr.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "jinja/loop.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

void append_string_repr(std::string& out, std::string_view text) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  out += quote;
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const uint32_t c = decode_at(text, pos);
    if (c == static_cast<uint32_t>(quote) || c == '\\') out += '\\', out += static_cast<char>(c);
    else if (c == '\n') out += "\\n";
    else if (c == '\r') out += "\\r";
    else if (c == '\t') out += "\\t";
    else if (is_printable(c)) out += text.substr(start, pos - start);
    else if (c < 0x100) out += fmt::format("\\x{:02x}", c);
    else if (c < 0x10000) out += fmt::format("\\u{:04x}", c);
    else out += fmt::format("\\U{:08x}", c);
  }
  out += quote;
}

void append_items(Heap& heap, std::string& out, std::span<const Value> items) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out += ", ";
    first = false;
    append_repr(heap, out, item);
  }
}

void append_dict(Heap& heap, std::string& out, const Dict& dict) {
  out += '{';
  for (size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) out += ", ";
    append_repr(heap, out, dict.entries[i].key);
    out += ": ";
    append_repr(heap, out, dict.entries[i].value);
  }
  out += '}';
}

void append_view(Heap& heap, std::string& out, const View& view) {
  const bool keys = view.part == View::Part::kKeys, items = view.part == View::Part::kItems;
  out += keys ? "dict_keys([" : items ? "dict_items([" : "dict_values([";
  bool first = true;
  for (const auto& [key, value] : view.dict->entries) {
    if (!first) out += ", ";
    first = false;
    if (items) out += '(', append_repr(heap, out, key), out += ", ";
    append_repr(heap, out, keys ? key : value);
    if (items) out += ')';
  }
  out += "])";
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

void append_repr(Heap& heap, std::string& out, Value value) {
  const Nesting nesting(heap);
  heap.step();
  // What is printed twice takes memory twice: a nested list may print far longer than it is stored.
  if (out.size() > heap.bytes_left()) heap.charge(out.size());
  switch (value.kind()) {
    case Kind::kMissing:
    case Kind::kUndefined:
      out += "Undefined";
      return;
    case Kind::kNone:
      out += "None";
      return;
    case Kind::kBool:
      out += value.as_bool() ? "True" : "False";
      return;
    case Kind::kInt:
      out += fmt::format_int(value.as_int()).c_str();
      return;
    case Kind::kBigInt:
      out += value.big().digits;
      return;
    case Kind::kFloat:
      out += float_repr(value.as_float());
      return;
    case Kind::kString:
      heap.scan(value.str().size);
      if (value.str().markup) out += "Markup(";
      append_string_repr(out, value.str().view());
      if (value.str().markup) out += ')';
      return;
    case Kind::kList:
      out += '[';
      append_items(heap, out, value.items().span());
      out += ']';
      return;
    case Kind::kTuple:
      out += '(';
      append_items(heap, out, value.items().span());
      out += value.items().size == 1 ? ",)" : ")";
      return;
    case Kind::kDict:
      append_dict(heap, out, value.dict());
      return;
    case Kind::kView:
      append_view(heap, out, value.view());
      return;
    case Kind::kRange:
      out += fmt::format("range({}, {}", value.range().start, value.range().stop);
      if (value.range().step != 1) out += fmt::format(", {}", value.range().step);
      out += ')';
      return;
    case Kind::kNamespace:
      out += "<Namespace ";
      append_dict(heap, out, *value.space().attributes);
      out += '>';
      return;
    case Kind::kMacro:
      out += "<Macro ";
      if (value.macro().name.empty()) out += "anonymous";
      else append_string_repr(out, value.macro().name);
      out += '>';
      return;
    case Kind::kLoop:
      out += fmt::format("<LoopContext {}/{}>", value.loop().index0 + 1, loop_length(heap, value.loop()));
      return;
    // Python prints an address as well, which no template can mean.
    case Kind::kIterator:
      out += fmt::format("<{} object>", type_name(value));
      return;
    case Kind::kMethod:
      out += fmt::format("<built-in method {} of {} object>", value.method().name, type_name(value.method().self));
      return;
    case Kind::kFunction:
      out += fmt::format("<function {}>", value.function().name);
      return;
    case Kind::kCycler:
    case Kind::kJoiner:
      out += fmt::format("<jinja2.utils.{} object>", type_name(value));
      return;
  }
}

void append_str(Heap& heap, std::string& out, Value value) {
  if (value.is_string()) out += value.str().view();
  else if (!value.is_undefined()) append_repr(heap, out, value);
}

std::string repr(Heap& heap, Value value) {
  std::string out;
  append_repr(heap, out, value);
  return out;
}

const String& to_str(Heap& heap, Value value) {
  if (value.is_string()) return as_markup(heap, value.str(), false).str();
  return to_soft_str(heap, value);
}

const String& to_soft_str(Heap& heap, Value value) {
  if (value.is_string()) return value.str();
  std::string text;
  append_str(heap, text, value);
  return make_string(heap, text).str();
}

const String& escape(Heap& heap, Value value) {
  const String& text = to_soft_str(heap, value);
  if (text.markup) return text;
  heap.scan(text.size);
  if (text.view().find_first_of("&<>'\"") == std::string_view::npos) return as_markup(heap, text, true).str();
  std::string out;
  for (const char c : text.view()) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return make_string(heap, out, true).str();
}

}  // namespace fieldprint::jinja
