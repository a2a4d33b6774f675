#include "grammar/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "fieldprint/error.h"
#include "grammar/json_text.h"
#include "grammar/regex.h"
#include "grammar/schema_conjunction.h"

namespace fieldprint {
namespace {

// Calls in each other; an object or an array takes one or two. Readers in Python give up at some 100 levels.
constexpr uint32_t kMaxDepth = 128;
constexpr size_t kMaxRules = 50'000;

class Writer {
 public:
  Writer(std::string_view schema, const JsonGrammarOptions& options)
      : document_(schema), reader_(document_), options_(options), text_(p_, options.compact) {}

  Program write() {
    p_.max_depth = kMaxDepth;
    p_.root = rule_of({document_.root()});
    while (!work_.empty()) {
      const auto [set, rule] = std::move(work_.front());
      work_.pop_front();
      const auto [start, end] = std::pair(p_.rules[rule].start, p_.rules[rule].end);
      if (set.empty()) {
        p_.call(start, text_.any_value(), end);
        continue;
      }
      for (const Conjunction& c : reader_.conjunctions(set)) value(start, c, end);
    }
    return std::move(p_);
  }

 private:
  // Values that are valid under all of `set`; what is asked for twice is one rule, so that schemas may refer to
  // themselves.
  RuleId rule_of(SchemaSet set) {
    SchemaSet key;
    for (const Schema schema : set)
      if (std::find(key.begin(), key.end(), schema) == key.end()) key.push_back(schema);
    const auto [found, added] = rules_.emplace(key, kAbsent);
    if (added) {
      if (rules_.size() > kMaxRules) throw Error(ErrorKind::kLimit, "the schema has too many parts", "schema");
      found->second = p_.rule(set.empty() ? "" : document_.path(set[0]));
      work_.emplace_back(std::move(key), found->second);
    }
    return found->second;
  }

  void value(NodeId from, const Conjunction& c, NodeId end) {
    if (c.values) {
      for (const Json& value : *c.values) p_.empty(text_.constant(from, value), end);
      return;
    }
    if ((c.types & kNullType) != 0) p_.empty(p_.literal(from, "null"), end);
    if ((c.types & kBooleanType) != 0)
      for (const char* word : {"true", "false"}) p_.empty(p_.literal(from, word), end);
    if ((c.types & (kIntegerType | kNumberType)) != 0) p_.empty(number(from, c), end);
    if ((c.types & kStringType) != 0) p_.empty(string(from, c), end);
    if ((c.types & kArrayType) != 0) p_.empty(array(from, c), end);
    if ((c.types & kObjectType) != 0) p_.empty(object(from, c), end);
  }

  NodeId number(NodeId from, const Conjunction& c) {
    if ((c.types & kNumberType) == 0) {
      const Expression integers = integers_between(c.min, c.max);
      if (c.multiple_of == 1) return append(p_, from, integers);
      const auto divisor = static_cast<uint32_t>(c.multiple_of);
      return Language::of(integers).both(Language::of_multiples(divisor)).append(p_, from, {});
    }
    if (!c.min && !c.max) return append(p_, from, any_number());
    const auto numbers = numbers_between(c.min, c.max);
    if (!numbers)
      throw Error(ErrorKind::kUnsupported,
                  "bounds of so many digits are not supported for numbers that are no integers",
                  "\"minimum\", \"maximum\"");
    return append(p_, from, *numbers);
  }

  NodeId string(NodeId from, const Conjunction& c) {
    if (c.patterns.empty()) return text_.string(from, c.min_length, c.max_length);
    const auto& pattern = c.patterns[0];
    const Expression e = parse_regex(pattern.regex, true, pattern.where);
    const Lengths l = lengths(e);
    const NodeId open = p_.literal(from, "\"");
    if (c.patterns.size() == 1 && l.min >= c.min_length && l.max <= c.max_length)
      return p_.literal(append(p_, open, e, Names::kNone, JsonText::write), "\"");
    try {
      return p_.literal(reader_.strings(c).append(p_, open, JsonText::write), "\"");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kLimit) throw;
      throw Error(ErrorKind::kUnsupported, "\"pattern\" is too large to be combined with lengths or another pattern",
                  pattern.where);
    }
  }

  NodeId array(NodeId from, const Conjunction& c) {
    if (!c.unique_items.empty() && c.max_items > 1) return unique_array(from, c);
    const NodeId close = p_.node();
    const NodeId open = text_.gap(p_.literal(from, "["));
    if (c.min_items == 0) p_.empty(open, close);
    size_t listed = 0;
    for (const auto& items : c.items) listed = std::max(listed, items.prefix.size());
    NodeId at = open;
    size_t count = 0;
    const auto item = [&](size_t index) {
      if (index > 0) at = text_.gap(p_.literal(at, ","));
      at = p_.call(at, rule_of(reader_.of_item(c, index)));
      count = index + 1;
    };
    // The first of the others, too, since no comma stands before it.
    for (size_t i = 0; i < std::max<size_t>(listed, 1) && i < c.max_items; ++i) {
      item(i);
      if (count >= c.min_items && i + 1 < listed) p_.empty(text_.gap(at), close);
    }
    if (count < c.max_items) {
      const RuleId other = rule_of(reader_.of_item(c, listed));
      const RuleId more = p_.rule();
      p_.call(text_.gap(p_.literal(p_.rules[more].start, ",")), other, p_.rules[more].end);
      const auto left = [&](uint32_t bound) { return bound > count ? bound - static_cast<uint32_t>(count) : 0; };
      at = p_.repeat(at, more, left(c.min_items), c.max_items == kUnbounded ? kUnbounded : left(c.max_items));
    }
    if (count > 0 && (count >= c.min_items || count < c.max_items)) p_.empty(text_.gap(at), close);
    return p_.literal(close, "]");
  }

  // Items that differ can only be told for lists of values: each at most once, in their order.
  NodeId unique_array(NodeId from, const Conjunction& c) {
    std::vector<Json> values;
    bool listed = std::all_of(c.items.begin(), c.items.end(), [](const auto& items) { return items.prefix.empty(); });
    for (const Conjunction& item : reader_.conjunctions(reader_.of_item(c, 0))) {
      listed &= item.values.has_value();
      if (item.values)
        for (const Json& value : *item.values)
          if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
    if (!listed)
      throw Error(ErrorKind::kUnsupported, "\"uniqueItems\" is not supported but for an enum", c.unique_items);
    const NodeId close = p_.node();
    std::map<uint32_t, NodeId> places{{0, text_.gap(p_.literal(from, "["))}};  // by how many items there are
    for (const Json& value : values) {
      std::map<uint32_t, NodeId> next;
      for (const auto& [count, node] : places) {
        p_.empty(node, place(next, count));
        if (count == c.max_items) continue;
        const NodeId at = count == 0 ? node : text_.gap(p_.literal(node, ","));
        p_.empty(text_.constant(at, value), place(next, count + 1));
      }
      places = std::move(next);
    }
    for (const auto& [count, node] : places)
      if (count >= c.min_items) p_.empty(count == 0 ? node : text_.gap(node), close);
    return p_.literal(close, "]");
  }

  NodeId place(std::map<uint32_t, NodeId>& places, uint32_t count) {
    const auto [found, added] = places.emplace(count, kAbsent);
    if (added) found->second = p_.node();
    return found->second;
  }

  // Properties in the order of the schema, then others.
  NodeId object(NodeId from, const Conjunction& c) {
    const std::vector<std::string> names = reader_.names(c);
    const RuleId other = other_member(c, names);
    if (c.min_properties > names.size() + (other == kAbsent ? 0 : 1)) {
      throw Error(ErrorKind::kUnsupported, "\"minProperties\" of more properties than have names is not supported",
                  c.min_properties_where, "names below \"properties\"");
    }
    // How many there are is counted where it matters, else only whether there is one.
    const bool counted = c.min_properties > c.required.size() || c.max_properties != kUnbounded;
    const auto more = [&](uint32_t count) { return counted ? count + 1 : 1; };
    const NodeId close = p_.node();
    std::map<uint32_t, NodeId> places{{0, text_.gap(p_.literal(from, "{"))}};
    for (const std::string& name : names) {
      SchemaSet set = reader_.of_property(c, name);
      if (!c.property_names.empty() && !reader_.valid(Json(name), c.property_names)) set.push_back(document_.never());
      const RuleId rule = rule_of(std::move(set));
      const bool required = std::find(c.required.begin(), c.required.end(), name) != c.required.end();
      std::map<uint32_t, NodeId> next;
      for (const auto& [count, node] : places) {
        if (!required) p_.empty(node, place(next, count));
        if (count >= c.max_properties) continue;
        const NodeId at = count == 0 ? node : text_.gap(p_.literal(node, ","));
        p_.call(text_.name(at, name), rule, place(next, more(count)));
      }
      places = std::move(next);
    }
    for (const auto& [count, node] : places) {
      if (!counted || count >= c.min_properties) p_.empty(count == 0 ? node : text_.gap(node), close);
      if (other == kAbsent || count >= c.max_properties) continue;
      NodeId at = p_.call(count == 0 ? node : text_.gap(p_.literal(node, ",")), other);
      const RuleId another = p_.rule();
      p_.call(text_.gap(p_.literal(p_.rules[another].start, ",")), other, p_.rules[another].end);
      at = p_.repeat(at, another, 0, c.max_properties == kUnbounded ? kUnbounded : c.max_properties - count - 1);
      // Two others may have one name: they count as one.
      if (!counted || count + 1 >= c.min_properties) p_.empty(text_.gap(at), close);
    }
    return p_.literal(close, "}");
  }

  // A property whose name the schema does not list; kAbsent where there may be none.
  RuleId other_member(const Conjunction& c, const std::vector<std::string>& names) {
    std::vector<const std::pair<Conjunction::Pattern, Schema>*> patterns;
    bool open = !c.evaluated_only;
    bool listed = false;
    for (const auto& properties : c.properties) {
      for (const auto& patterned : properties.patterned) patterns.push_back(&patterned);
      listed |= !properties.named.empty();
      if (properties.additional != nullptr && *properties.additional == false) open = false;
    }
    if (!options_.additional_properties && !c.additional_given && listed) open = false;
    if (!open && patterns.empty()) return kAbsent;

    std::vector<std::string> taken = names;
    taken.insert(taken.end(), c.forbidden.begin(), c.forbidden.end());
    Language free = Language::of_lengths(1, kUnbounded);
    if (!taken.empty()) free = free.minus(Language::of(taken));
    if (!c.property_names.empty()) {
      // A union is written as alternatives below.
      return named_like(c, patterns, open, free);
    }
    return members(c, patterns, open, {free});
  }

  RuleId named_like(const Conjunction& c, const std::vector<const std::pair<Conjunction::Pattern, Schema>*>& patterns,
                    bool open, const Language& free) {
    std::vector<Language> allowed;
    for (const Conjunction& name : reader_.conjunctions(c.property_names))
      if ((name.types & kStringType) != 0) allowed.push_back(free.both(reader_.strings(name)));
    return members(c, patterns, open, allowed);
  }

  RuleId members(const Conjunction& c, const std::vector<const std::pair<Conjunction::Pattern, Schema>*>& patterns,
                 bool open, const std::vector<Language>& names) {
    std::vector<Language> languages;
    for (const auto* pattern : patterns)
      languages.push_back(Language::of(parse_regex(pattern->first.regex, true, pattern->first.where)));
    const RuleId member = p_.rule();
    bool any = false;
    const auto add = [&](const Language& allowed, SchemaSet set) {
      if (allowed.empty()) return;
      any = true;
      const NodeId name = allowed.append(p_, p_.literal(p_.rules[member].start, "\""), JsonText::write);
      p_.call(text_.colon(p_.literal(name, "\"")), rule_of(std::move(set)), p_.rules[member].end);
    };
    for (const Language& free : names) {
      // A name that matches two patterns is left out.
      for (size_t i = 0; i < patterns.size(); ++i) {
        Language own = free.both(languages[i]);
        for (size_t j = 0; j < patterns.size(); ++j)
          if (j != i && !(patterns[j]->first.regex == patterns[i]->first.regex)) own = own.minus(languages[j]);
        SchemaSet set;
        for (const auto& properties : c.properties) {
          bool matched = false;
          for (const auto& [pattern, schema] : properties.patterned)
            if (pattern.regex == patterns[i]->first.regex) set.push_back(schema), matched = true;
          if (!matched && properties.additional != nullptr) set.push_back(properties.additional);
        }
        add(own, std::move(set));
      }
      if (!open) continue;
      Language rest = free;
      for (const Language& language : languages) rest = rest.minus(language);
      SchemaSet set;
      for (const auto& properties : c.properties)
        if (properties.additional != nullptr) set.push_back(properties.additional);
      add(rest, std::move(set));
    }
    return any ? member : kAbsent;
  }

  SchemaDocument document_;
  SchemaReader reader_;
  JsonGrammarOptions options_;
  Program p_;
  JsonText text_;
  std::map<SchemaSet, RuleId> rules_;
  std::deque<std::pair<SchemaSet, RuleId>> work_;
};

}  // namespace

Program parse_json_schema(std::string_view schema, const JsonGrammarOptions& options) {
  return Writer(schema, options).write();
}

Program json_object_program(const JsonGrammarOptions& options) {
  Program p;
  p.max_depth = kMaxDepth;
  p.root = p.rule("object");
  const NodeId last = JsonText(p, options.compact).any_object(p.rules[p.root].start);
  p.empty(last, p.rules[p.root].end);
  return p;
}

}  // namespace fieldprint
