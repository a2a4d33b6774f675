// Grammars of tool calls: what a format (tool_format.h) builds the grammar of its answers from, so that every call is
// whole and its arguments are those of the function's schema.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fieldprint/chat.h"
#include "fieldprint/grammar.h"

namespace fieldprint {

struct CallFunction {
  std::string name;
  GrammarPtr arguments = {};  // a JSON object of its schema
  struct Property {
    std::string name;
    std::string type = {};                // "string", "boolean" ...; "" = of several
    std::vector<std::string> texts = {};  // of an enumeration of strings; none: any
    GrammarPtr value = {};                // in JSON
    bool required = false;
  };
  std::vector<Property> properties = {};  // in the order of the schema
};

// What is to be constrained: an answer in which calls may stand, or one that is calls.
struct CallRules {
  std::vector<CallFunction> functions = {};
  bool required = false;
  bool parallel = true;
};

// Throws Error kUnsupported for a function that is `strict` and whose schema cannot be held to; of another the
// arguments are any object then. kBadInput where `only` is no function of `tools`.
CallRules call_rules(std::string_view tools, const CallGrammarOptions& options);

// {"name": "f", "arguments": {...}}; `key`: in place of "arguments".
GrammarPtr json_call_grammar(const CallRules& rules, std::string_view key = "arguments");
GrammarPtr json_call_list_grammar(const CallRules& rules);  // [{...}, ...]

// ---- Short forms.

GrammarPtr in_order(std::vector<GrammarPtr> parts);
GrammarPtr one_of(std::vector<GrammarPtr> choices);
GrammarPtr maybe(const GrammarPtr& part);
GrammarPtr word(std::string_view text);
// part, or several with `between` between them where the rules allow that.
GrammarPtr listed(const GrammarPtr& part, std::string_view between, bool parallel);

// The whole answer where calls stand between marks: free text with `body` behind each `begin`, or only such.
GrammarPtr marked_answer(const CallRules& rules, std::string_view begin, const GrammarPtr& body,
                         std::string_view between);

}  // namespace fieldprint
