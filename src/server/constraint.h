// What an answer has to look like: the fields response_format, grammar, tools and tool_choice, as one thing that can be
// written down and made a mask again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fieldprint/chat.h"
#include "fieldprint/sampling.h"
#include "server/fields.h"

namespace fieldprint::server {

struct Constraint {
  enum class Kind { kNone, kJsonObject, kJsonSchema, kGbnf, kRegex };
  Kind kind = Kind::kNone;
  std::string text = {};  // the schema, grammar or expression

  // Tool calls, which are always whole and valid.
  std::string tools = {};        // of tools_from_json(); "" = no calls
  std::string tool_format = {};  // of tool_call_format()
  enum class Calls { kAuto, kRequired } calls = Calls::kAuto;
  std::string function = {};  // the only one that may be called; "" = any
  bool parallel = true;       // several calls in one answer

  enum class Thought { kNone, kMay, kOpen } thought = Thought::kNone;  // what may come before: <think>...</think>

  bool any() const { return kind != Kind::kNone || !tools.empty(); }
};

// The texts that answers may be. Throws Error as Grammar's members do.
GrammarPtr constraint_grammar(const Constraint& constraint);

Json constraint_json(const Constraint& constraint);
Constraint constraint_from_json(const Fields& fields);

}  // namespace fieldprint::server
