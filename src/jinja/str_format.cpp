#include "jinja/str_format.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "jinja/builtins.h"
#include "jinja/operators.h"
#include "jinja/repr.h"
#include "jinja/unicode.h"

namespace fieldprint::jinja {
namespace {

constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxPrecision = 400;  // of a number; more digits mean nothing

// [[fill]align][sign][#][0][width][,][.precision][type]
struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  char grouping = '\0';
  int64_t width = 0, precision = -1;
  char type = '\0';
};

std::string pad(const Spec& spec, const std::string& sign, const std::string& body, char default_align) {
  const int64_t missing = spec.width - static_cast<int64_t>(count_code_points(sign) + count_code_points(body));
  if (missing <= 0) return sign + body;
  const auto fill = [&](int64_t n) {
    std::string out;
    for (; n > 0; --n) out += spec.fill;
    return out;
  };
  switch (spec.align ? spec.align : default_align) {
    case '<':
      return sign + body + fill(missing);
    case '^':
      return fill(missing / 2) + sign + body + fill(missing - missing / 2);
    case '=':
      return sign + fill(missing) + body;
    default:
      return fill(missing) + sign + body;
  }
}

std::string group(std::string digits, char separator, size_t every) {
  size_t end = digits.find_first_not_of("0123456789abcdefABCDEF");
  if (end == digits.npos) end = digits.size();
  for (size_t i = end; i > every;) {
    i -= every;
    digits.insert(i, 1, separator);
  }
  return digits;
}

std::string sign_of(const Spec& spec, bool negative) {
  if (negative) return "-";
  return spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
}

std::string format_integer(const Spec& spec, Value value) {
  if (value.is(Kind::kBigInt)) {
    std::string digits(value.big().digits);
    const bool negative = digits.front() == '-';
    if (negative) digits.erase(0, 1);
    if (spec.grouping) digits = group(digits, spec.grouping, 3);
    return pad(spec, sign_of(spec, negative), digits, '>');
  }
  const int64_t number = value.as_int();
  const uint64_t magnitude = number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  if (spec.precision >= 0) fail("Precision not allowed in integer format specifier");
  if (spec.type == 'c') {
    if (number < 0 || number > 0x10FFFF || (number >= 0xD800 && number < 0xE000)) fail("%c arg not in range(0x110000)");
    std::string character;
    append_utf8(character, static_cast<uint32_t>(number));
    return pad(spec, "", character, '<');
  }
  std::string prefix = sign_of(spec, number < 0), digits;
  switch (spec.type) {
    case 'x':
      digits = fmt::format("{:x}", magnitude);
      break;
    case 'X':
      digits = fmt::format("{:X}", magnitude);
      break;
    case 'o':
      digits = fmt::format("{:o}", magnitude);
      break;
    case 'b':
      digits = fmt::format("{:b}", magnitude);
      break;
    default:
      digits = fmt::format("{}", magnitude);
  }
  const bool decimal = spec.type == '\0' || spec.type == 'd' || spec.type == 'n';
  if (spec.alternate && !decimal) prefix += std::string("0") + spec.type;
  if (spec.grouping) digits = group(digits, spec.grouping, decimal ? 3 : 4);
  return pad(spec, prefix, digits, '>');
}

std::string format_float(const Spec& spec, double number) {
  const std::string sign = sign_of(spec, std::signbit(number) && !std::isnan(number));
  const double magnitude = std::fabs(number);
  const bool upper = spec.type == 'F' || spec.type == 'E' || spec.type == 'G';
  std::string body;
  if (!std::isfinite(magnitude)) {
    body = std::isnan(magnitude) ? (upper ? "NAN" : "nan") : upper ? "INF" : "inf";
    if (spec.type == '%') body += '%';
    return pad(spec, sign, body, '>');
  }
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : std::min(spec.precision, kMaxPrecision));
  switch (spec.type) {
    case 'f':
    case 'F':
      body = fmt::format("{:.{}f}", magnitude, precision);
      break;
    case 'e':
      body = fmt::format("{:.{}e}", magnitude, precision);
      break;
    case 'E':
      body = fmt::format("{:.{}E}", magnitude, precision);
      break;
    case '%':
      body = fmt::format("{:.{}f}%", magnitude * 100, precision);
      break;
    case 'g':
      body = fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
      break;
    case 'G':
      body = fmt::format("{:.{}G}", magnitude, std::max(precision, 1));
      break;
    default:  // as repr(), or like g with a digit behind the point
      if (spec.precision < 0) {
        body = float_repr(magnitude);
      } else {
        body = fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
        if (body.find_first_of(".en") == body.npos) body += ".0";
      }
  }
  if (spec.grouping) body = group(body, spec.grouping, 3);
  return pad(spec, sign, body, '>');
}

Value format_text(Heap& heap, const Spec& spec, const String& text) {
  Value cut = &text;
  if (spec.precision >= 0) {
    cut = make_piece(heap, text, 0, advance_code_points(text.view(), 0, static_cast<size_t>(spec.precision)));
  }
  const std::string padded = pad(spec, "", std::string(cut.str().view()), '<');
  return padded.size() == cut.str().size ? cut : derived_string(heap, cut.str(), padded, false);
}

bool is_float_type(char type) {
  return type != '\0' && std::string_view("eEfFgG%").find(type) != std::string_view::npos;
}

// Of a number: its text.
std::optional<std::string> format_number(const Spec& spec, Value value) {
  if (value.is_number() && !value.is(Kind::kBool) && is_float_type(spec.type))
    return format_float(spec, to_double(value));
  if (value.is(Kind::kInt) || value.is(Kind::kBigInt) || (value.is(Kind::kBool) && spec.type != '\0')) {
    if (spec.type == 's') fail("Unknown format code 's' for object of type 'int'");
    if (is_float_type(spec.type)) return format_float(spec, to_double(value));
    return format_integer(spec, value);
  }
  if (value.is(Kind::kFloat)) {
    if (spec.type != '\0' && spec.type != 'n') {
      fail(fmt::format("Unknown format code '{}' for object of type 'float'", spec.type));
    }
    return format_float(spec, value.as_float());
  }
  return std::nullopt;
}

Value format_value(Heap& heap, const Spec& spec, Value value) {
  if (const auto number = format_number(spec, value)) {
    return spec.type == 'c' ? make_string(heap, *number) : make_literal(heap, *number);
  }
  if (spec.type != '\0' && spec.type != 's') {
    fail(fmt::format("Unknown format code '{}' for object of type '{}'", spec.type, type_name(value)));
  }
  if (spec.align == '=') fail("'=' alignment not allowed in string format specifier");
  const String& text = to_str(heap, value);
  heap.scan(text.size);
  return format_text(heap, spec, text);
}

int64_t take_number(std::string_view& text) {
  int64_t number = 0;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    number = number * 10 + (text[0] - '0');
    if (number > kMaxWidth) fail("Too many decimal digits in format string");
    text.remove_prefix(1);
  }
  return number;
}

Spec parse_spec(std::string_view text) {
  Spec spec;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!text.empty()) {
    size_t next = 0;
    decode_at(text, next);
    if (next < text.size() && is_align(text[next])) {
      spec.fill = std::string(text.substr(0, next));
      spec.align = text[next];
      text.remove_prefix(next + 1);
    } else if (is_align(text[0])) {
      spec.align = text[0];
      text.remove_prefix(1);
    }
  }
  const auto skip = [&](char c) { return !text.empty() && text[0] == c && (text.remove_prefix(1), true); };
  for (const char sign : {'+', '-', ' '}) {
    if (skip(sign)) {
      spec.sign = sign;
      break;
    }
  }
  spec.alternate = skip('#');
  if (skip('0')) {
    if (!spec.align) spec.align = '=', spec.fill = std::string(1, '0');
    else if (spec.fill == " ") spec.fill = std::string(1, '0');
  }
  spec.width = take_number(text);
  if (skip(',')) spec.grouping = ',';
  else if (skip('_')) spec.grouping = '_';
  if (skip('.')) {
    if (text.empty() || text[0] < '0' || text[0] > '9') fail("Format specifier missing precision");
    spec.precision = take_number(text);
  }
  if (text.size() > 1) fail("Invalid format specifier");
  if (!text.empty()) spec.type = text[0];
  return spec;
}

// A str.format() in progress: its arguments and how far automatic numbering has come.
class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const String& format, const Args& args)
      : runtime_(runtime), format_(format), args_(args), markup_(format.markup) {}

  // `text` is a part of the format string.
  void format(std::string_view text, int depth, TextBuilder& out) {
    const Nesting nesting(runtime_.heap);
    if (depth < 0) fail("Max string recursion exceeded");
    const auto copy = [&](size_t i) { out.add(format_, static_cast<size_t>(text.data() - format_.data) + i, 1); };
    size_t i = 0;
    while (i < text.size()) {
      const char c = text[i++];
      if (c != '{' && c != '}') {
        copy(i - 1);
        continue;
      }
      if (i < text.size() && text[i] == c) {
        copy(i++);
        continue;
      }
      if (c == '}') fail("Single '}' encountered in format string");
      const size_t end = field_end(text, i);
      format_field(text.substr(i, end - i), depth, out);
      i = end + 1;
      if (out.size() > runtime_.heap.bytes_left()) runtime_.heap.charge(out.size());
    }
  }

 private:
  static size_t field_end(std::string_view text, size_t i) {
    int open = 1;
    for (; i < text.size(); ++i) {
      if (text[i] == '{') ++open;
      if (text[i] == '}' && --open == 0) return i;
    }
    fail("expected '}' before end of string");
  }

  void format_field(std::string_view field, int depth, TextBuilder& out) {
    Heap& heap = runtime_.heap;
    heap.step();
    size_t name_end = 0;
    for (bool bracket = false; name_end < field.size(); ++name_end) {
      if (field[name_end] == '[') bracket = true;
      if (field[name_end] == ']') bracket = false;
      if (!bracket && (field[name_end] == '!' || field[name_end] == ':')) break;
    }
    Value value = look_up(field.substr(0, name_end));
    std::string_view rest = field.substr(name_end);
    if (rest.starts_with('!')) {
      if (rest.size() < 2) fail("end of string while looking for conversion specifier");
      if (rest[1] == 'r' || rest[1] == 'a') value = &to_repr(heap, value);
      else if (rest[1] == 's') value = &to_str(heap, value);
      else fail(fmt::format("Unknown conversion specifier {}", rest[1]));
      rest.remove_prefix(2);
      if (!rest.empty() && rest[0] != ':') fail("expected ':' after conversion specifier");
    }
    if (!rest.empty()) rest.remove_prefix(1);
    if (value.is_undefined() && !rest.empty()) fail("unsupported format string passed to Undefined.__format__");
    const bool plain = value.is_string() || value.is_number() || value.is_undefined();
    TextBuilder spec_text(heap);
    format(rest, depth - 1, spec_text);
    const std::string_view spec = spec_text.view();
    if (!plain && !spec.empty()) {
      fail(fmt::format("unsupported format string passed to {}.__format__", type_name(value)));
    }
    if (value.is_string()) heap.scan(value.str().size);
    if (markup_ && value.is_string() && value.str().markup) return out.add(value.str());
    const Value shown = spec.empty() ? Value(&to_str(heap, value)) : format_value(heap, parse_spec(spec), value);
    out.add(markup_ ? escape(heap, shown) : shown.str());
  }

  Value look_up(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    Value value = first(name.substr(0, end));
    name.remove_prefix(end);
    while (!name.empty()) {
      if (name[0] == '.') {
        const size_t next = std::min(name.find_first_of(".[", 1), name.size());
        if (next == 1) fail("Empty attribute in format string");
        value = get_attribute(runtime_, value, make_string(runtime_.heap, name.substr(1, next - 1)));
        name.remove_prefix(next);
      } else {
        const size_t close = name.find(']');
        if (name[0] != '[' || close == name.npos) fail("Missing ']' in format string");
        const std::string_view key = name.substr(1, close - 1);
        if (key.empty()) fail("Empty attribute in format string");
        value = get_item(runtime_, value, index_or_name(key));
        name.remove_prefix(close + 1);
      }
    }
    return value;
  }

  Value index_or_name(std::string_view key) {
    int64_t index = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
    if (error == std::errc() && end == key.data() + key.size() && key[0] != '-') return Value::integer(index);
    return make_string(runtime_.heap, key);
  }

  Value first(std::string_view name) {
    int64_t index = -1;
    if (name.empty()) {
      if (numbering_ == Numbering::kManual) {
        fail("cannot switch from manual field specification to automatic field numbering");
      }
      numbering_ = Numbering::kAutomatic;
      index = next_++;
    } else if (const Value key = index_or_name(name); key.is(Kind::kInt)) {
      if (numbering_ == Numbering::kAutomatic) {
        fail("cannot switch from manual field specification to automatic field numbering");
      }
      numbering_ = Numbering::kManual;
      index = key.as_int();
    }
    if (index >= 0) {
      if (index < static_cast<int64_t>(args_.positional.size())) return args_.positional[static_cast<size_t>(index)];
      fail("tuple index out of range");
    }
    runtime_.heap.visit(args_.keywords.size());
    for (const Keyword& keyword : args_.keywords) {
      if (keyword.name == name) return keyword.value;
    }
    fail(fmt::format("'{}'", name));
  }

  enum class Numbering : uint8_t { kUnknown, kAutomatic, kManual };
  Runtime& runtime_;
  const String& format_;
  const Args& args_;
  bool markup_;
  Numbering numbering_ = Numbering::kUnknown;
  int64_t next_ = 0;
};

}  // namespace

Value format_braces(Runtime& runtime, const String& format, const Args& args) {
  runtime.heap.walk(format.size);
  TextBuilder out(runtime.heap);
  BraceFormatter(runtime, format, args).format(format.view(), 2, out);
  return out.finish(format.markup);
}

Value format_percent(Heap& heap, const String& format, Value arguments) {
  heap.walk(format.size);
  // Python takes whatever has [] for a mapping, and a mapping need not be used up.
  const bool is_mapping =
      arguments.is(Kind::kDict) || arguments.is(Kind::kList) || arguments.is(Kind::kRange) || arguments.is_undefined();
  const Value single[] = {arguments};
  const std::span<const Value> values = arguments.is(Kind::kTuple) ? arguments.items().span() : std::span(single);
  size_t next = 0;
  const auto take = [&] {
    if (next >= values.size()) fail("not enough arguments for format string");
    return values[next++];
  };
  TextBuilder out(heap);
  std::string_view text = format.view();
  const auto at = [&] { return static_cast<size_t>(text.data() - format.data); };
  bool named = false;
  while (!text.empty()) {
    heap.step();
    const size_t out_before = out.size();
    const size_t percent = std::min(text.find('%'), text.size());
    out.add(format, at(), percent);
    if (percent == text.size()) break;
    text.remove_prefix(percent + 1);
    Value value;
    if (text.starts_with('(')) {
      const size_t close = text.find(')');
      if (close == text.npos) fail("incomplete format key");
      if (!arguments.is(Kind::kDict)) fail("format requires a mapping");
      const Value* found = arguments.dict().find(text.substr(1, close - 1));
      if (!found) fail(fmt::format("'{}'", text.substr(1, close - 1)));
      value = *found;
      named = true;
      text.remove_prefix(close + 1);
    }
    Spec spec;
    bool zero = false;
    for (; !text.empty(); text.remove_prefix(1)) {
      if (text[0] == '-') spec.align = '<';
      else if (text[0] == '+') spec.sign = '+';
      else if (text[0] == ' ') spec.sign = spec.sign == '+' ? '+' : ' ';
      else if (text[0] == '#') spec.alternate = true;
      else if (text[0] == '0') zero = true;
      else break;
    }
    const auto number_or_star = [&] {
      if (!text.starts_with('*')) return take_number(text);
      text.remove_prefix(1);
      const Value star = take();
      if (!star.is_integral()) fail("* wants int");
      if (std::abs(star.as_int()) > kMaxWidth) fail("width too big");
      return star.as_int();
    };
    spec.width = number_or_star();
    if (spec.width < 0) spec.width = -spec.width, spec.align = '<';
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      spec.precision = std::max<int64_t>(number_or_star(), 0);
    }
    while (!text.empty() && (text[0] == 'l' || text[0] == 'h' || text[0] == 'L')) text.remove_prefix(1);
    if (text.empty()) fail("incomplete format");
    char type = text[0];
    text.remove_prefix(1);
    if (type == '%') {
      out.add(format, at() - 1, 1);
      continue;
    }
    if (value.is_missing()) value = take();
    if (type == 's' || type == 'r' || type == 'a') {
      if (type == 's' && value.is_string()) heap.scan(value.str().size);
      const String* body = type == 's' ? &to_str(heap, value) : &to_repr(heap, value);
      if (format.markup) body = &escape(heap, type == 's' ? value : Value(body));
      if (!spec.align) spec.align = '>';
      out.add(format_text(heap, spec, *body).str());
    } else if (std::string_view("diuxXo").find(type) != std::string_view::npos) {
      if (value.is_undefined()) fail_undefined(heap, value);
      const bool decimal = type == 'd' || type == 'i' || type == 'u';
      if (!value.is_number() || (!decimal && value.is(Kind::kFloat))) {
        fail(fmt::format("%{} format: {} is required, not {}", type, decimal ? "a real number" : "an integer",
                         type_name(value)));
      }
      if (value.is(Kind::kFloat)) {
        if (!(std::fabs(value.as_float()) < 9.2e18)) fail("cannot convert float to integer");
        value = Value::integer(static_cast<int64_t>(value.as_float()));
      }
      if (value.is(Kind::kBool)) value = Value::integer(value.as_int());
      if (zero && !spec.align) spec.align = '=', spec.fill = std::string(1, '0');
      const int64_t precision = std::exchange(spec.precision, -1);
      spec.type = decimal ? 'd' : type;
      if (precision > 0) {  // at least so many digits
        Spec digits;
        digits.type = spec.type, digits.fill = std::string(1, '0'), digits.align = '=', digits.width = precision,
        digits.sign = spec.sign;
        digits.width += value.as_int() < 0 || spec.sign != '-';
        out.literal(pad(spec, "", format_integer(digits, value), '>'));
      } else {
        out.literal(format_integer(spec, value));
      }
    } else if (std::string_view("eEfFgG").find(type) != std::string_view::npos) {
      if (value.is_undefined()) fail_undefined(heap, value);
      if (!value.is_number()) fail(fmt::format("must be real number, not {}", type_name(value)));
      if (zero && !spec.align) spec.align = '=', spec.fill = std::string(1, '0');
      spec.type = type;
      out.literal(format_float(spec, to_double(value)));
    } else if (type == 'c') {
      if (value.is_string() && value.str().code_points == 1) {
        out.add(derived_string(heap, value.str(), pad(spec, "", std::string(value.str().view()), '>'), false).str());
      } else if (value.is(Kind::kInt)) {
        spec.type = 'c';
        if (!spec.align) spec.align = '>';
        out.add(format_integer(spec, value), Origin::kContent);  // the number may have come with the variables
      } else {
        fail("%c requires int or char");
      }
    } else {
      fail(fmt::format("unsupported format character '{}'", type));
    }
    if (out.size() > heap.bytes_left()) heap.charge(out.size());
    heap.scan(out.size() - out_before);
  }
  if (!named && !is_mapping && next < values.size()) fail("not all arguments converted during string formatting");
  return out.finish(format.markup);
}

}  // namespace fieldprint::jinja
