#include "grammar/schema_conjunction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fieldprint/error.h"
#include "grammar/regex.h"
#include "grammar/schema_formats.h"

namespace fieldprint {
namespace {

using std::string_view;
constexpr size_t kMaxConjunctions = 400;
constexpr int kMaxNested = 300, kMaxSteps = 30'000;
constexpr size_t kMaxNames = 5000, kMaxCompared = 10'000'000;

unsigned type_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return kNullType;
    case Json::value_t::boolean:
      return kBooleanType;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return kIntegerType;
    case Json::value_t::number_float:
      return std::trunc(value.get<double>()) == value.get<double>() ? kIntegerType : kNumberType;
    case Json::value_t::string:
      return kStringType;
    case Json::value_t::array:
      return kArrayType;
    default:
      return kObjectType;
  }
}

Decimal decimal(const Json& value) {
  if (value.is_number_unsigned()) return Decimal::of(value.get<uint64_t>());
  if (value.is_number_integer()) return Decimal::of(value.get<int64_t>());
  return Decimal::of(value.get<double>());
}

uint32_t characters(const std::string& text) {
  return static_cast<uint32_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void tighten_min(std::optional<Bound>& known, Bound bound) {
  if (!known || known->value < bound.value || (known->value == bound.value && bound.exclusive)) known = bound;
}
void tighten_max(std::optional<Bound>& known, Bound bound) {
  if (!known || bound.value < known->value || (known->value == bound.value && bound.exclusive)) known = bound;
}

bool within(const Decimal& d, const std::optional<Bound>& min, const std::optional<Bound>& max) {
  if (min && (d < min->value || (min->exclusive && d == min->value))) return false;
  return !max || !(max->value < d || (max->exclusive && d == max->value));
}

constexpr unsigned kNumbers = kIntegerType | kNumberType;

[[noreturn]] void too_many() {
  throw Error(ErrorKind::kLimit, "anyOf and oneOf within each other have too many combinations", "schema");
}

struct Nesting {
  int& depth;
  explicit Nesting(int& d) : depth(d) { ++depth; }
  ~Nesting() { --depth; }
};

}  // namespace

struct SchemaReader::Open {
  struct Choice {
    std::vector<Schema> branches;
    bool one;  // and no other
    Schema owner;
  };
  Conjunction c;
  SchemaSet todo;
  std::set<Schema> seen;
  std::vector<Choice> choices;
  std::vector<std::pair<Schema, Schema>> one_of;  // branches that must not hold, and whose oneOf says so
};

const std::vector<Conjunction>& SchemaReader::conjunctions(const SchemaSet& set) {
  if (const auto found = known_.find(set); found != known_.end()) return found->second;
  std::vector<Conjunction> done;
  Open open;
  open.todo.assign(set.rbegin(), set.rend());
  expand(std::move(open), done);
  return known_[set] = std::move(done);
}

void SchemaReader::expand(Open open, std::vector<Conjunction>& done) {
  // Also what refers to itself without an end.
  if (nested_ > kMaxNested || ++steps_ > kMaxSteps) too_many();
  const Nesting nesting(nested_);
  while (!open.todo.empty()) {
    const Schema schema = open.todo.back();
    open.todo.pop_back();
    if (!open.seen.insert(schema).second) continue;
    if (schema->is_boolean()) {
      if (!schema->get<bool>()) return;  // nothing is valid
    } else {
      apply(open, schema);
      if (open.c.types == 0) return;
    }
  }
  if (open.choices.empty()) {
    finish(std::move(open.c), open.one_of, done);
    if (done.size() > kMaxConjunctions) too_many();
    return;
  }
  const Open::Choice choice = std::move(open.choices.back());
  open.choices.pop_back();
  for (const Schema branch : choice.branches) {
    Open next = open;
    next.todo.push_back(branch);
    if (choice.one)
      for (const Schema other : choice.branches)
        if (other != branch) next.one_of.emplace_back(other, choice.owner);
    expand(std::move(next), done);
  }
}

// Adds what the keywords of one schema ask for.
void SchemaReader::apply(Open& open, Schema schema) {
  Conjunction& c = open.c;
  const auto where = [&](string_view keyword) { return document_.path(schema, keyword); };
  const auto bad = [&](string_view keyword, const std::string& what) {
    return Error(ErrorKind::kBadInput, fmt::format("\"{}\" must be {}", keyword, what), where(keyword));
  };
  const auto find = [&](string_view keyword) -> const Json* {
    const auto found = schema->find(std::string(keyword));
    return found == schema->end() ? nullptr : &*found;
  };
  const auto part = [&](const Json& value, const std::string& step) { return document_.part(schema, value, step); };
  const auto count = [&](string_view keyword, unsigned type, auto use) {
    const Json* value = find(keyword);
    if (value == nullptr) return;
    const bool whole = value->is_number() && value->get<double>() >= 0 && type_of(*value) == kIntegerType;
    if (!whole) throw bad(keyword, "a whole number of at least 0");
    c.implied |= type;
    use(static_cast<uint32_t>(std::min(value->get<double>(), 2e9)));
  };
  const auto list = [&](string_view keyword, auto use) {
    const Json* value = find(keyword);
    if (value == nullptr) return;
    if (!value->is_array() || value->empty()) throw bad(keyword, "a list of at least one schema");
    SchemaSet parts;
    for (size_t i = 0; i < value->size(); ++i) parts.push_back(part((*value)[i], fmt::format("{}/{}", keyword, i)));
    use(parts);
  };
  const auto refuse = [&](string_view keyword, unsigned types) {
    c.refusals.push_back({types, fmt::format("\"{}\" is not supported", keyword), where(keyword)});
  };

  if (const Json* ref = find("$ref")) {
    if (!ref->is_string()) throw bad("$ref", "a string");
    open.todo.push_back(document_.referred(schema, ref->get_ref<const std::string&>()));
  }
  for (const char* keyword : {"$dynamicRef", "$recursiveRef", "not", "if"})
    if (find(keyword) != nullptr) refuse(keyword, kAnyType);
  list("allOf", [&](const SchemaSet& parts) { open.todo.insert(open.todo.end(), parts.rbegin(), parts.rend()); });
  list("anyOf", [&](SchemaSet parts) { open.choices.push_back({std::move(parts), false, schema}); });
  list("oneOf", [&](SchemaSet parts) { open.choices.push_back({std::move(parts), true, schema}); });

  if (const Json* type = find("type")) {
    const Json names = type->is_array() ? *type : Json::array({*type});
    unsigned types = 0;
    for (const Json& name : names) {
      if (!name.is_string()) throw bad("type", "a name or a list of names");
      const auto& n = name.get_ref<const std::string&>();
      const unsigned bits = n == "null"      ? kNullType
                            : n == "boolean" ? kBooleanType
                            : n == "integer" ? kIntegerType
                            : n == "number"  ? kNumbers
                            : n == "string"  ? kStringType
                            : n == "array"   ? kArrayType
                            : n == "object"  ? kObjectType
                            : n == "any"     ? kAnyType
                                             : 0u;
      if (bits == 0) throw Error(ErrorKind::kBadInput, fmt::format("there is no type \"{}\"", n), where("type"));
      types |= bits;
    }
    const Json* nullable = find("nullable");
    if (nullable != nullptr && nullable->is_boolean() && nullable->get<bool>()) types |= kNullType;
    c.types &= types;
    c.typed = true;
  }
  if (const Json* value = find("const")) {
    std::vector<Json> both;
    if (!c.values || std::find(c.values->begin(), c.values->end(), *value) != c.values->end()) both.push_back(*value);
    c.values = std::move(both);
  }
  if (const Json* values = find("enum")) {
    if (!values->is_array()) throw bad("enum", "a list of values");
    if (c.values && c.values->size() * values->size() > kMaxCompared)
      throw Error(ErrorKind::kLimit, "lists of so many values cannot be compared", where("enum"));
    std::vector<Json> both;
    for (const Json& value : *values)
      if (!c.values || std::find(c.values->begin(), c.values->end(), value) != c.values->end()) both.push_back(value);
    c.values = std::move(both);
  }

  const auto number = [&](string_view keyword) -> const Json* {
    const Json* value = find(keyword);
    if (value == nullptr) return nullptr;
    if (!value->is_number()) throw bad(keyword, "a number");
    c.implied |= kNumbers;
    return value;
  };
  // In draft 4 the exclusive ones are booleans beside the others.
  const auto exclusive = [&](string_view keyword) {
    const Json* value = find(keyword);
    return value != nullptr && value->is_boolean() && value->get<bool>();
  };
  const auto separate = [&](string_view keyword) {
    const Json* value = find(keyword);
    return value != nullptr && !value->is_boolean() ? number(keyword) : nullptr;
  };
  if (const Json* value = number("minimum")) tighten_min(c.min, {decimal(*value), exclusive("exclusiveMinimum")});
  if (const Json* value = number("maximum")) tighten_max(c.max, {decimal(*value), exclusive("exclusiveMaximum")});
  if (const Json* value = separate("exclusiveMinimum")) tighten_min(c.min, {decimal(*value), true});
  if (const Json* value = separate("exclusiveMaximum")) tighten_max(c.max, {decimal(*value), true});
  if (const Json* value = number("multipleOf")) {
    if (value->get<double>() <= 0) throw bad("multipleOf", "more than 0");
    if (type_of(*value) == kIntegerType && value->get<double>() <= 1000 && c.multiple_of == 1) {
      c.multiple_of = value->get<uint64_t>();
      c.types &= ~static_cast<unsigned>(kNumberType);
    } else {
      refuse("multipleOf", kNumbers);
    }
  }

  count("minLength", kStringType, [&](uint32_t n) { c.min_length = std::max(c.min_length, n); });
  count("maxLength", kStringType, [&](uint32_t n) { c.max_length = std::min(c.max_length, n); });
  if (const Json* pattern = find("pattern")) {
    if (!pattern->is_string()) throw bad("pattern", "a regular expression");
    c.patterns.push_back({pattern->get<std::string>(), where("pattern")});
    c.implied |= kStringType;
  }
  if (const Json* format = find("format"); format != nullptr && format->is_string()) {
    const string_view pattern = format_pattern(format->get_ref<const std::string&>());
    if (!pattern.empty()) {
      c.patterns.push_back({std::string(pattern), where("format")});
      c.implied |= kStringType;
    }
  }

  count("minItems", kArrayType, [&](uint32_t n) { c.min_items = std::max(c.min_items, n); });
  count("maxItems", kArrayType, [&](uint32_t n) { c.max_items = std::min(c.max_items, n); });
  Conjunction::Items items;
  const Json* rest = find("items");
  const char* prefix = rest != nullptr && rest->is_array() ? "items" : "prefixItems";  // until draft 2019-09
  if (const Json* value = find(prefix)) {
    if (!value->is_array()) throw bad(prefix, "a list of schemas");
    for (size_t i = 0; i < value->size(); ++i)
      items.prefix.push_back(part((*value)[i], fmt::format("{}/{}", prefix, i)));
    c.implied |= kArrayType;
  }
  if (rest != nullptr && rest->is_array()) rest = find("additionalItems");
  if (rest != nullptr) {
    items.rest = part(*rest, "items");
    c.implied |= kArrayType;
  }
  if (!items.prefix.empty() || items.rest != nullptr) c.items.push_back(std::move(items));
  if (const Json* unique = find("uniqueItems"); unique != nullptr && *unique == true)
    c.unique_items = where("uniqueItems");
  for (const char* keyword : {"contains", "unevaluatedItems"})
    if (find(keyword) != nullptr && *find(keyword) != true) refuse(keyword, kArrayType);

  count("minProperties", kObjectType, [&](uint32_t n) {
    c.min_properties = std::max(c.min_properties, n);
    c.min_properties_where = where("minProperties");
  });
  count("maxProperties", kObjectType, [&](uint32_t n) { c.max_properties = std::min(c.max_properties, n); });
  if (const Json* required = find("required"); required != nullptr && !required->is_boolean()) {
    if (!required->is_array()) throw bad("required", "a list of names");
    for (const Json& name : *required) {
      if (!name.is_string()) throw bad("required", "a list of names");
      if (std::find(c.required.begin(), c.required.end(), name.get_ref<const std::string&>()) == c.required.end())
        c.required.push_back(name.get<std::string>());
    }
    c.implied |= kObjectType;
  }
  Conjunction::Properties properties;
  const auto object = [&](string_view keyword, auto use) {
    const Json* value = find(keyword);
    if (value == nullptr) return false;
    if (!value->is_object()) throw bad(keyword, "an object");
    for (const auto& item : value->items()) use(item.key(), item.value());
    c.implied |= kObjectType;
    return true;
  };
  bool any = object("properties", [&](const std::string& name, const Json& value) {
    properties.named.emplace_back(name, part(value, "properties/" + name));
  });
  any |= object("patternProperties", [&](const std::string& regex, const Json& value) {
    properties.patterned.push_back({{regex, where("patternProperties")}, part(value, "patternProperties/" + regex)});
  });
  if (const Json* additional = find("additionalProperties")) {
    properties.additional = part(*additional, "additionalProperties");
    if (properties.additional->is_boolean() && properties.additional->get<bool>()) properties.additional = nullptr;
    c.additional_given = any = true;
    c.implied |= kObjectType;
  }
  if (any) c.properties.push_back(std::move(properties));
  if (const Json* names = find("propertyNames")) {
    c.property_names.push_back(part(*names, "propertyNames"));
    c.implied |= kObjectType;
  }
  if (const Json* unevaluated = find("unevaluatedProperties"); unevaluated != nullptr && *unevaluated != true) {
    if (*unevaluated == false) c.evaluated_only = true;
    else refuse("unevaluatedProperties", kObjectType);
  }
  // Without the one, or with what it asks for.
  const auto dependent = [&](const std::string& name, const Json& asked, const std::string& step) {
    const Schema without = document_.made(Json::object({{"properties", Json::object({{name, false}})}}), where(step));
    const Schema with =
        asked.is_array() ? document_.made(Json::object({{"required", asked}}), where(step)) : part(asked, step);
    open.choices.push_back({{with, without}, false, schema});
  };
  for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"})
    object(keyword, [&](const std::string& name, const Json& asked) {
      dependent(name, asked, fmt::format("{}/{}", keyword, name));
    });
}

void SchemaReader::finish(Conjunction c, const std::vector<std::pair<Schema, Schema>>& one_of,
                          std::vector<Conjunction>& done) {
  c.possible = c.types;
  // Who says what a property's value is means an object.
  if (!c.typed && !c.values && c.implied != 0) c.types &= c.implied;
  if (c.min_length > c.max_length) c.types &= ~static_cast<unsigned>(kStringType);
  if (c.min_items > c.max_items) c.types &= ~static_cast<unsigned>(kArrayType);
  if (c.min_properties > c.max_properties) c.types &= ~static_cast<unsigned>(kObjectType);
  if (c.values) {
    std::erase_if(*c.values, [&](const Json& value) { return !valid_but_for_values(value, c); });
    if (c.values->empty()) return;
    unsigned types = 0;
    for (const Json& value : *c.values) types |= type_of(value);
    c.types &= types;
  }
  if (c.types == 0) return;
  for (const auto& refusal : c.refusals)
    if ((c.types & refusal.types) != 0) throw Error(ErrorKind::kUnsupported, refusal.what, refusal.where);
  for (const auto& [branch, owner] : one_of) {
    for (const Conjunction& other : conjunctions({branch})) {
      if (!keep_apart(c, other, true)) {
        throw Error(
            ErrorKind::kUnsupported,
            fmt::format("more than one branch of \"oneOf\" may hold ({} beside another)", document_.path(branch)),
            document_.path(owner, "oneOf"), "anyOf, or a property in each that tells them apart by a const");
      }
    }
  }
  done.push_back(std::move(c));
}

// Whether no value of `c` is valid under `other`; where that helps, by leaving out a property that `other` requires.
bool SchemaReader::keep_apart(Conjunction& c, const Conjunction& other, bool may_forbid) {
  const auto merged = [](unsigned types) { return (types & kNumbers) != 0 ? types | kNumbers : types; };
  const unsigned common = merged(c.types) & merged(other.possible);
  if (common == 0) return true;
  if (c.values) return std::none_of(c.values->begin(), c.values->end(), [&](const Json& v) { return valid(v, other); });
  if (other.values) {
    // What c writes must be none of them; only a few can be told.
    return std::none_of(other.values->begin(), other.values->end(), [&](const Json& v) { return valid(v, c); });
  }
  if ((common & (kNullType | kBooleanType)) != 0) return false;
  if ((common & kNumbers) != 0) {
    const auto below = [](const std::optional<Bound>& max, const std::optional<Bound>& min) {
      if (!max || !min) return false;
      return max->value < min->value || (max->value == min->value && (max->exclusive || min->exclusive));
    };
    if (!below(c.max, other.min) && !below(other.max, c.min)) return false;
  }
  if ((common & kStringType) != 0) {
    try {
      if (!strings(c).both(strings(other)).empty()) return false;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kLimit) throw;
      return false;
    }
  }
  if ((common & kArrayType) != 0 && c.min_items <= other.max_items && other.min_items <= c.max_items) return false;
  if ((common & kObjectType) != 0) {
    bool apart = c.min_properties > other.max_properties || other.min_properties > c.max_properties;
    for (const std::string& name : c.required) {
      if (apart) break;
      apart = true;
      const auto theirs = conjunctions(of_property(other, name));
      for (Conjunction own : conjunctions(of_property(c, name)))
        for (const Conjunction& their : theirs) apart = apart && keep_apart(own, their, false);
    }
    for (const std::string& name : other.required) {
      if (apart || !may_forbid) break;
      if (std::find(c.required.begin(), c.required.end(), name) != c.required.end()) continue;
      c.forbidden.insert(name);
      apart = true;
    }
    if (!apart) return false;
  }
  return true;
}

bool SchemaReader::valid(const Json& value, const SchemaSet& set) {
  const auto& all = conjunctions(set);
  return std::any_of(all.begin(), all.end(), [&](const Conjunction& c) { return valid(value, c); });
}

bool SchemaReader::valid(const Json& value, const Conjunction& c) {
  if (c.values && std::find(c.values->begin(), c.values->end(), value) == c.values->end()) return false;
  return valid_but_for_values(value, c);
}

bool SchemaReader::valid_but_for_values(const Json& value, const Conjunction& c) {
  const unsigned type = type_of(value);
  if ((c.possible & type) == 0) return false;
  if ((type & kNumbers) != 0) {
    if (!within(decimal(value), c.min, c.max)) return false;
    return c.multiple_of == 1 || std::fmod(value.get<double>(), static_cast<double>(c.multiple_of)) == 0;
  }
  if (type == kStringType) {
    const auto& text = value.get_ref<const std::string&>();
    const uint32_t length = characters(text);
    if (length < c.min_length || length > c.max_length) return false;
    return std::all_of(c.patterns.begin(), c.patterns.end(), [&](const auto& p) { return matches(p, text); });
  }
  if (type == kArrayType) {
    if (value.size() < c.min_items || value.size() > c.max_items) return false;
    for (size_t i = 0; i < value.size(); ++i) {
      if (!valid(value[i], of_item(c, i))) return false;
      if (!c.unique_items.empty() && std::find(value.begin(), value.begin() + static_cast<long>(i), value[i]) !=
                                         value.begin() + static_cast<long>(i))
        return false;
    }
  }
  if (type == kObjectType) {
    if (value.size() < c.min_properties || value.size() > c.max_properties) return false;
    for (const std::string& name : c.required)
      if (!value.contains(name)) return false;
    for (const auto& item : value.items()) {
      if (!valid(item.value(), of_property(c, item.key()))) return false;
      if (!c.property_names.empty() && !valid(Json(item.key()), c.property_names)) return false;
    }
  }
  return true;
}

SchemaSet SchemaReader::of_property(const Conjunction& c, const std::string& name) {
  SchemaSet set;
  bool known = false;
  for (const auto& properties : c.properties) {
    bool own = false;
    for (const auto& [property, schema] : properties.named)
      if (property == name) set.push_back(schema), own = true;
    for (const auto& [pattern, schema] : properties.patterned)
      if (matches(pattern, name)) set.push_back(schema), own = true;
    if (!own && properties.additional != nullptr) set.push_back(properties.additional);
    known |= own;
  }
  if (c.forbidden.contains(name) || (c.evaluated_only && !known)) set.push_back(document_.never());
  return set;
}

SchemaSet SchemaReader::of_item(const Conjunction& c, size_t index) const {
  SchemaSet set;
  for (const auto& items : c.items) {
    const Schema schema = index < items.prefix.size() ? items.prefix[index] : items.rest;
    if (schema != nullptr) set.push_back(schema);
  }
  return set;
}

std::vector<std::string> SchemaReader::names(const Conjunction& c) const {
  std::vector<std::string> all;
  std::set<std::string_view> seen;
  std::vector<const std::string*> found;
  for (const auto& properties : c.properties)
    for (const auto& named : properties.named) found.push_back(&named.first);
  for (const std::string& name : c.required) found.push_back(&name);
  if (found.size() > kMaxNames)
    throw Error(ErrorKind::kLimit, "an object of the schema has too many properties", "schema");
  for (const std::string* name : found)
    if (seen.insert(*name).second) all.push_back(*name);
  return all;
}

Language SchemaReader::strings(const Conjunction& c) {
  if (c.values) {
    std::vector<std::string> words;
    for (const Json& value : *c.values)
      if (value.is_string()) words.push_back(value.get<std::string>());
    return Language::of(words);
  }
  Language all = Language::of_lengths(c.min_length, c.max_length);
  for (const auto& pattern : c.patterns) all = Language::of(parse_regex(pattern.regex, true, pattern.where)).both(all);
  return all;
}

bool SchemaReader::matches(const Conjunction::Pattern& pattern, const std::string& text) {
  auto known = languages_.find(pattern.regex);
  if (known == languages_.end())
    known = languages_.emplace(pattern.regex, Language::of(parse_regex(pattern.regex, true, pattern.where))).first;
  return known->second.contains(text);
}

}  // namespace fieldprint
