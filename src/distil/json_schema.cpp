#include "distil/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/json.h"
#include "eval/pattern.h"
#include "fieldprint/error.h"
#include "grammar/schema_document.h"

namespace fieldprint::distil {
namespace {

constexpr int kMostSteps = 5'000'000, kMostNested = 2000;
constexpr int64_t kMostExponent = 1'000'000'000'000;  // beyond it all are taken as this one

bool digit(char c) { return c >= '0' && c <= '9'; }

// ---- Numbers

// digits x 10^exponent; digits begins and ends with no zero, and is "" for 0.
struct Number {
  bool negative = false;
  std::string digits;
  int64_t exponent = 0;

  bool whole() const { return exponent >= 0; }
};

// By RFC 8259's grammar; false: this is none.
bool read_number(std::string_view text, Number& number) {
  size_t i = 0;
  const auto take_digits = [&](std::string& into) {
    const size_t begin = i;
    while (i < text.size() && digit(text[i])) into += text[i++];
    return i > begin;
  };
  number.negative = text.starts_with('-');
  i += number.negative;
  const size_t first = i;
  if (!take_digits(number.digits) || (text[first] == '0' && i > first + 1)) return false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    const size_t whole = number.digits.size();
    if (!take_digits(number.digits)) return false;
    number.exponent = -static_cast<int64_t>(number.digits.size() - whole);
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    const bool minus = i < text.size() && text[i] == '-';
    i += i < text.size() && (text[i] == '-' || text[i] == '+');
    std::string power;
    if (!take_digits(power)) return false;
    int64_t value = 0;
    for (const char c : power) value = std::min(value * 10 + (c - '0'), kMostExponent);
    number.exponent += minus ? -value : value;
  }
  number.digits.erase(0, std::min(number.digits.find_first_not_of('0'), number.digits.size()));
  while (number.digits.ends_with('0')) number.digits.pop_back(), ++number.exponent;
  if (number.digits.empty()) number = {};
  return i == text.size();
}

Number number_of(size_t count) {
  Number number;
  read_number(std::to_string(count), number);
  return number;
}

// Below 0, 0 or above it, as a is less than b, equal or more.
int compare(const Number& a, const Number& b) {
  if (a.digits.empty() || b.digits.empty())
    return (a.digits.empty() ? 0 : a.negative ? -1 : 1) - (b.digits.empty() ? 0 : b.negative ? -1 : 1);
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int64_t a_size = static_cast<int64_t>(a.digits.size()) + a.exponent;
  const int64_t b_size = static_cast<int64_t>(b.digits.size()) + b.exponent;
  // Of as many places, digits that begin alike: no zero ends them, so the longer is the larger.
  const int larger = a_size != b_size ? (a_size < b_size ? -1 : 1) : a.digits.compare(b.digits);
  return a.negative ? -larger : larger;
}

constexpr size_t kDivisorDigits = 18;

bool is_multiple(const Number& value, const Number& of) {
  if (value.digits.empty()) return true;
  const int64_t zeros = value.exponent - of.exponent;
  if (zeros < 0) return false;  // it has a place that no multiple has
  const uint64_t divisor = std::stoull(of.digits);
  const auto times = [&](uint64_t a, uint64_t b) {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(a) * b % divisor);
  };
  uint64_t rest = 0, ten = 10 % divisor;
  for (const char c : value.digits) rest = (times(rest, 10) + static_cast<uint64_t>(c - '0')) % divisor;
  for (auto n = static_cast<uint64_t>(zeros); n > 0; n /= 2, ten = times(ten, ten))
    if (n % 2 == 1) rest = times(rest, ten);
  return rest == 0;
}

// A text of JSON with its numbers beside it: each stands for itself by its place in `numbers`, since the reader would
// make a double of it and lose digits or refuse it.
std::string set_aside(std::string_view text, std::vector<Number>& numbers) {
  std::string out;
  bool quoted = false;
  for (size_t i = 0; i < text.size();) {
    if (quoted || !(digit(text[i]) || text[i] == '-')) {
      if (quoted && text[i] == '\\' && i + 1 < text.size()) out += text[i++];
      else if (text[i] == '"') quoted = !quoted;
      out += text[i++];
      continue;
    }
    const size_t end = std::min(text.find_first_not_of("0123456789+-.eE", i), text.size());
    const std::string_view token = text.substr(i, end - i);
    Number number;
    if (read_number(token, number)) {
      out += std::to_string(numbers.size());
      numbers.push_back(std::move(number));
    } else {
      (out += '-') += token;  // no number either
    }
    i = end;
  }
  return out;
}

// ---- Formats, as wide as their RFCs at least: what is in doubt is valid

#define FIELDPRINT_DATE                                                                                       \
  "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:" \
  "0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
#define FIELDPRINT_TIME \
  "(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define FIELDPRINT_LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

constexpr std::pair<std::string_view, std::string_view> kFormats[] = {
    {"date", FIELDPRINT_DATE},
    {"time", FIELDPRINT_TIME},
    {"date-time", FIELDPRINT_DATE "[Tt]" FIELDPRINT_TIME},
    {"duration",
     "P(?=[0-9T])(?:[0-9]+W|(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:["
     "0-9]+S)?)?)"},
    {"uuid", "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"},
    {"ipv4", "(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\\.(?!\\z)|\\z)){4}"},
    {"ipv6", "(?=.*:.*:)[0-9a-fA-F:]{2,39}(?:[0-9]{1,3}(?:\\.[0-9]{1,3}){3})?"},
    {"email", "[^@\\s]+@[^@\\s]+|\"[^\\n]+\"@[^@\\s]+"},
    {"hostname", FIELDPRINT_LABEL "(?:\\." FIELDPRINT_LABEL ")*"},
    {"uri", "[A-Za-z][A-Za-z0-9+.-]*:[^\\s<>\"{}|\\\\^`]*"},
};

// ---- Keywords

const Json* find(Schema schema, std::string_view keyword) {
  const auto found = schema->find(std::string(keyword));
  return found == schema->end() ? nullptr : &*found;
}

constexpr const char* kTypes[] = {"null", "boolean", "integer", "number", "string", "array", "object", "any"};
constexpr const char* kLists[] = {"allOf", "anyOf", "oneOf"};
constexpr const char* kSchemas[] = {
    "not", "if", "then", "else", "contains", "additionalProperties", "propertyNames", "unevaluatedProperties"};
constexpr const char* kMaps[] = {"properties", "patternProperties", "dependentSchemas", "dependencies"};
constexpr const char* kCounts[] = {"minLength",   "maxLength",   "minItems",      "maxItems",
                                   "minContains", "maxContains", "minProperties", "maxProperties"};

// \uABCD of JavaScript is \x{ABCD} of PCRE2.
std::string pcre_of(const std::string& regex) {
  std::string out;
  for (size_t i = 0; i < regex.size(); ++i) {
    const bool escape = regex[i] == '\\' && i + 1 < regex.size();
    const bool code =
        escape && regex[i + 1] == 'u' && i + 6 <= regex.size() &&
        std::all_of(regex.begin() + static_cast<ptrdiff_t>(i) + 2, regex.begin() + static_cast<ptrdiff_t>(i) + 6,
                    [](unsigned char c) { return std::isxdigit(c) != 0; });
    if (code) out += "\\x{" + regex.substr(i + 2, 4) + "}", i += 5;
    else if (escape) (out += regex[i]) += regex[i + 1], ++i;
    else out += regex[i];
  }
  return out;
}

}  // namespace

struct JsonSchema::Compiled {
  std::vector<Number> numbers;
  SchemaDocument document;
  std::unordered_map<Schema, Schema> references;
  std::unordered_map<std::string, Pattern> patterns;  // by what the schema says
  std::unordered_map<std::string, Pattern> formats;

  explicit Compiled(std::string_view schema) : document(set_aside(schema, numbers)) {
    std::vector<Schema> todo{document.root()};
    std::unordered_set<Schema> seen;
    while (!todo.empty()) {
      const Schema next = todo.back();
      todo.pop_back();
      if (next->is_object() && seen.insert(next).second) look(next, todo);
    }
  }

  const Number& number(const Json& value) const { return numbers.at(value.get<size_t>()); }

  // Whether the keywords of a schema are what they should be; those below it go into `todo`.
  void look(Schema schema, std::vector<Schema>& todo) {
    const auto bad = [&](std::string_view keyword, std::string_view what) {
      return Error(ErrorKind::kBadInput, fmt::format("\"{}\" must be {}", keyword, what),
                   document.path(schema, keyword));
    };
    const auto part = [&](const Json& value, const std::string& step) {
      todo.push_back(document.part(schema, value, step));
    };
    const auto names = [&](std::string_view keyword, const Json& list) {
      if (!list.is_array() || !std::all_of(list.begin(), list.end(), [](const Json& name) { return name.is_string(); }))
        throw bad(keyword, "a list of names");
    };
    for (const char* keyword : {"$dynamicRef", "$recursiveRef", "unevaluatedItems"})
      if (const Json* value = find(schema, keyword); value != nullptr && *value != true)
        throw Error(ErrorKind::kUnsupported, fmt::format("\"{}\" is not supported", keyword),
                    document.path(schema, keyword));
    if (const Json* ref = find(schema, "$ref")) {
      if (!ref->is_string()) throw bad("$ref", "a string");
      const Schema to = document.referred(schema, ref->get_ref<const std::string&>());
      references[schema] = to;
      todo.push_back(to);
    }
    for (const char* keyword : kLists)
      if (const Json* list = find(schema, keyword)) {
        if (!list->is_array() || list->empty()) throw bad(keyword, "a list of at least one schema");
        for (size_t i = 0; i < list->size(); ++i) part((*list)[i], fmt::format("{}/{}", keyword, i));
      }
    for (const char* keyword : kSchemas)
      if (const Json* value = find(schema, keyword)) part(*value, keyword);
    for (const char* keyword : kMaps)
      if (const Json* map = find(schema, keyword)) {
        if (!map->is_object()) throw bad(keyword, "an object");
        for (const auto& [name, value] : map->items()) {
          if (std::string_view(keyword) == "dependencies" && value.is_array()) names(keyword, value);
          else part(value, fmt::format("{}/{}", keyword, name));
          if (std::string_view(keyword) == "patternProperties") pattern(name, document.path(schema, keyword));
        }
      }
    if (const Json* map = find(schema, "dependentRequired")) {
      if (!map->is_object()) throw bad("dependentRequired", "an object");
      for (const auto& [name, list] : map->items()) names("dependentRequired", list);
    }
    for (const char* keyword : {"prefixItems", "items", "additionalItems"})
      if (const Json* value = find(schema, keyword)) {
        const bool list = value->is_array() && std::string_view(keyword) != "additionalItems";
        if (!list && std::string_view(keyword) == "prefixItems") throw bad(keyword, "a list of schemas");
        if (!list) part(*value, keyword);
        else
          for (size_t i = 0; i < value->size(); ++i) part((*value)[i], fmt::format("{}/{}", keyword, i));
      }
    if (const Json* type = find(schema, "type")) {
      for (const Json& name : type->is_array() ? *type : Json::array({*type})) {
        if (!name.is_string()) throw bad("type", "a name or a list of names");
        if (std::find(std::begin(kTypes), std::end(kTypes), name.get_ref<const std::string&>()) == std::end(kTypes))
          throw Error(ErrorKind::kBadInput, fmt::format("there is no type \"{}\"", name.get<std::string>()),
                      document.path(schema, "type"));
      }
    }
    if (const Json* values = find(schema, "enum"); values != nullptr && !values->is_array())
      throw bad("enum", "a list of values");
    if (const Json* list = find(schema, "required"); list != nullptr && !list->is_boolean()) names("required", *list);
    for (const char* keyword : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
      if (const Json* value = find(schema, keyword);
          value != nullptr && !value->is_number() && !(value->is_boolean() && keyword[0] == 'e'))
        throw bad(keyword, "a number");
    if (const Json* value = find(schema, "multipleOf")) {
      if (!value->is_number() || compare(number(*value), {}) <= 0) throw bad("multipleOf", "a number above 0");
      if (number(*value).digits.size() > kDivisorDigits)
        throw Error(ErrorKind::kUnsupported, "\"multipleOf\" of so many digits is not supported",
                    document.path(schema, "multipleOf"));
    }
    for (const char* keyword : kCounts)
      if (const Json* value = find(schema, keyword);
          value != nullptr && (!value->is_number() || !number(*value).whole() || compare(number(*value), {}) < 0))
        throw bad(keyword, "a whole number of at least 0");
    if (const Json* regex = find(schema, "pattern")) {
      if (!regex->is_string()) throw bad("pattern", "a regular expression");
      pattern(regex->get<std::string>(), document.path(schema, "pattern"));
    }
    if (const Json* format = find(schema, "format"); format != nullptr && format->is_string())
      for (const auto& [name, regex] : kFormats)
        if (name == format->get_ref<const std::string&>())
          formats.try_emplace(std::string(name), fmt::format("\\A(?:{})\\z", regex));
  }

  void pattern(const std::string& regex, const std::string& where) {
    if (patterns.contains(regex)) return;
    try {
      patterns.emplace(regex, Pattern(pcre_of(regex)));
    } catch (const Error& error) {
      throw Error(ErrorKind::kBadInput, error.what(), where);
    }
  }
};

namespace {

// One text under one schema.
template <class Compiled>
class Check {
 public:
  Check(const Compiled& compiled, const std::vector<Number>& numbers) : c_(compiled), numbers_(numbers) {}

  bool valid(Schema s, const Json& v) {
    if (s->is_boolean()) return s->template get<bool>();
    step();
    if (++nested_ > kMostNested) throw Error(ErrorKind::kLimit, "the schema refers to itself without an end");
    const bool good = of_any(s, v) && of_number(s, v) && of_string(s, v) && of_array(s, v) && of_object(s, v);
    --nested_;
    return good;
  }

 private:
  void step() {
    if (++steps_ > kMostSteps) throw Error(ErrorKind::kLimit, "the answer takes too many steps to check");
  }

  bool is_type(const std::string& name, const Json& v) const {
    if (name == "any") return true;
    if (name == "null") return v.is_null();
    if (name == "boolean") return v.is_boolean();
    if (name == "number") return v.is_number();
    if (name == "integer") return v.is_number() && number(v).whole();
    if (name == "string") return v.is_string();
    return name == "array" ? v.is_array() : v.is_object();
  }

  const Number& number(const Json& v) const { return numbers_.at(v.get<size_t>()); }

  // `a` with the numbers of `of_a`, `b` one of the text's.
  bool equal(const Json& a, const std::vector<Number>& of_a, const Json& b) {
    step();
    if (a.type() != b.type()) return false;
    if (a.is_number()) return compare(of_a.at(a.get<size_t>()), number(b)) == 0;
    if (!a.is_structured()) return a == b;
    if (a.size() != b.size()) return false;
    if (a.is_array()) {
      for (size_t i = 0; i < a.size(); ++i)
        if (!equal(a[i], of_a, b[i])) return false;
      return true;
    }
    for (const auto& [name, value] : a.items()) {
      const auto other = b.find(name);
      if (other == b.end() || !equal(value, of_a, *other)) return false;
    }
    return true;
  }

  bool of_any(Schema s, const Json& v) {
    if (const auto ref = c_.references.find(s); ref != c_.references.end() && !valid(ref->second, v)) return false;
    if (const Json* type = find(s, "type")) {
      bool good = false;
      for (const Json& name : type->is_array() ? *type : Json::array({*type}))
        good |= is_type(name.get_ref<const std::string&>(), v);
      const Json* nullable = find(s, "nullable");
      if (!good && !(v.is_null() && nullable != nullptr && *nullable == true)) return false;
    }
    if (const Json* value = find(s, "const"); value != nullptr && !equal(*value, c_.numbers, v)) return false;
    if (const Json* values = find(s, "enum"))
      if (std::none_of(values->begin(), values->end(), [&](const Json& value) { return equal(value, c_.numbers, v); }))
        return false;
    const auto count_valid = [&](const Json& list, int64_t most) {
      int64_t count = 0;
      for (const Json& each : list)
        if (count < most) count += valid(&each, v);
      return count;
    };
    if (const Json* list = find(s, "allOf"))
      for (const Json& each : *list)
        if (!valid(&each, v)) return false;
    if (const Json* list = find(s, "anyOf"); list != nullptr && count_valid(*list, 1) == 0) return false;
    if (const Json* list = find(s, "oneOf"); list != nullptr && count_valid(*list, 2) != 1) return false;
    if (const Json* no = find(s, "not"); no != nullptr && valid(no, v)) return false;
    if (const Json* condition = find(s, "if")) {
      const Json* then = find(s, valid(condition, v) ? "then" : "else");
      if (then != nullptr && !valid(then, v)) return false;
    }
    return true;
  }

  bool of_number(Schema s, const Json& v) const {
    if (!v.is_number()) return true;
    const Number& n = number(v);
    // In draft 4 the exclusive ones are booleans beside the others.
    const auto outside = [&](const char* keyword, const char* exclusive, int direction) {
      const Json *bound = find(s, keyword), *open = find(s, exclusive);
      if (bound != nullptr) {
        const int beyond = compare(n, c_.number(*bound)) * direction;
        if (beyond > 0 || (beyond == 0 && open != nullptr && *open == true)) return true;
      }
      return open != nullptr && open->is_number() && compare(n, c_.number(*open)) * direction >= 0;
    };
    if (outside("minimum", "exclusiveMinimum", -1) || outside("maximum", "exclusiveMaximum", 1)) return false;
    const Json* of = find(s, "multipleOf");
    return of == nullptr || is_multiple(n, c_.number(*of));
  }

  bool within(Schema s, const char* least, const char* most, size_t count) const {
    const Json *low = find(s, least), *high = find(s, most);
    return (low == nullptr || compare(number_of(count), c_.number(*low)) >= 0) &&
           (high == nullptr || compare(number_of(count), c_.number(*high)) <= 0);
  }

  bool of_string(Schema s, const Json& v) const {
    if (!v.is_string()) return true;
    const auto& text = v.get_ref<const std::string&>();
    const auto length = static_cast<size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
    if (!within(s, "minLength", "maxLength", length)) return false;
    if (const Json* regex = find(s, "pattern"))
      if (!c_.patterns.at(regex->get<std::string>()).search(text)) return false;
    if (const Json* format = find(s, "format"); format != nullptr && format->is_string()) {
      const auto known = c_.formats.find(format->get<std::string>());
      if (known != c_.formats.end() && !known->second.search(text)) return false;
    }
    return true;
  }

  bool of_array(Schema s, const Json& v) {
    if (!v.is_array()) return true;
    if (!within(s, "minItems", "maxItems", v.size())) return false;
    const Json *rest = find(s, "items"), *prefix = find(s, "prefixItems");
    if (rest != nullptr && rest->is_array()) prefix = rest, rest = find(s, "additionalItems");  // until draft 2019-09
    const size_t listed = prefix == nullptr ? 0 : prefix->size();
    for (size_t i = 0; i < v.size(); ++i) {
      const Json* item = i < listed ? &(*prefix)[i] : rest;
      if (item != nullptr && !valid(item, v[i])) return false;
    }
    if (const Json* item = find(s, "contains")) {
      size_t count = 0;
      for (const Json& each : v) count += valid(item, each);
      if ((count == 0 && find(s, "minContains") == nullptr) || !within(s, "minContains", "maxContains", count))
        return false;
    }
    if (const Json* unique = find(s, "uniqueItems"); unique != nullptr && *unique == true)
      for (size_t i = 0; i < v.size(); ++i)
        for (size_t j = 0; j < i; ++j)
          if (equal(v[i], numbers_, v[j])) return false;
    return true;
  }

  bool of_object(Schema s, const Json& v) {
    if (!v.is_object()) return true;
    if (!within(s, "minProperties", "maxProperties", v.size())) return false;
    if (const Json* names = find(s, "required"); names != nullptr && names->is_array() && !has_all(v, *names))
      return false;
    const Json *names = find(s, "propertyNames"), *additional = find(s, "additionalProperties"),
               *unevaluated = find(s, "unevaluatedProperties"), *properties = find(s, "properties"),
               *patterned = find(s, "patternProperties");
    for (const auto& [name, value] : v.items()) {
      bool own = false;
      if (properties != nullptr) {
        const auto found = properties->find(name);
        if (found != properties->end()) {
          own = true;
          if (!valid(&*found, value)) return false;
        }
      }
      if (patterned != nullptr)
        for (const auto& [regex, schema] : patterned->items())
          if (c_.patterns.at(regex).search(name)) {
            own = true;
            if (!valid(&schema, value)) return false;
          }
      if (!own && additional != nullptr && !valid(additional, value)) return false;
      if (names != nullptr && !valid(names, Json(name))) return false;
      if (unevaluated != nullptr && !evaluated(s, v, name, false) && !valid(unevaluated, value)) return false;
    }
    for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"})
      if (const Json* map = find(s, keyword))
        for (const auto& [name, asked] : map->items())
          if (v.contains(name) && !(asked.is_array() ? has_all(v, asked) : valid(&asked, v))) return false;
    return true;
  }

  static bool has_all(const Json& v, const Json& names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const Json& name) { return v.contains(name.get_ref<const std::string&>()); });
  }

  // Whether `s`, under which `v` is valid, says something about the property: itself, or by what it refers to.
  bool evaluated(Schema s, const Json& v, const std::string& name, bool below) {
    if (!s->is_object()) return false;
    step();
    if (find(s, "additionalProperties") != nullptr || (below && find(s, "unevaluatedProperties") != nullptr))
      return true;
    if (const Json* properties = find(s, "properties"); properties != nullptr && properties->contains(name))
      return true;
    if (const Json* patterned = find(s, "patternProperties"))
      for (const auto& [regex, schema] : patterned->items())
        if (c_.patterns.at(regex).search(name)) return true;
    const auto by = [&](Schema other) { return valid(other, v) && evaluated(other, v, name, true); };
    if (const auto ref = c_.references.find(s); ref != c_.references.end() && by(ref->second)) return true;
    for (const char* keyword : kLists)
      if (const Json* list = find(s, keyword))
        for (const Json& each : *list)
          if (by(&each)) return true;
    if (const Json* condition = find(s, "if")) {
      if (by(condition)) return true;
      const Json* then = find(s, valid(condition, v) ? "then" : "else");
      if (then != nullptr && by(then)) return true;
    }
    if (const Json* map = find(s, "dependentSchemas"))
      for (const auto& [present, schema] : map->items())
        if (v.contains(present) && by(&schema)) return true;
    return false;
  }

  const Compiled& c_;
  const std::vector<Number>& numbers_;
  int steps_ = 0, nested_ = 0;
};

}  // namespace

JsonSchema::JsonSchema(std::string_view schema) : compiled_(std::make_shared<Compiled>(schema)) {}

bool JsonSchema::valid(std::string_view text) const {
  std::vector<Number> numbers;
  JsonRules rules;
  rules.unique_names = true;  // of two equal names no two readers take the same
  const Json value = parse_ordered_json(set_aside(text, numbers), "answer", rules);
  return Check<Compiled>(*compiled_, numbers).valid(compiled_->document.root(), value);
}

}  // namespace fieldprint::distil
