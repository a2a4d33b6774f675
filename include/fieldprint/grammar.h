// Grammars: which texts an answer may be. grammar_mask.h keeps answers to one; docs/grammar.md has the languages and
// what of JSON Schema is covered.
//
// A grammar works on bytes and knows no tokens: it is a pushdown automaton whose states are sets of stacks, made into a
// deterministic automaton as far as answers need it. Every text that it lets through is whole UTF-8.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fieldprint {

class Grammar;
using GrammarPtr = std::shared_ptr<const Grammar>;

struct JsonSchemaOptions {
  bool compact = false;               // no white space between tokens; else single spaces, or newlines with an indent
  bool additional_properties = true;  // what a schema without `additionalProperties` means; the specification says true
};

// A set of texts. Immutable; any thread. Making one takes time and memory in proportion to its source, with bounds:
// what is too large throws Error kLimit, what no finite text matches kBadInput.
class Grammar {
 public:
  // GBNF as in llama.cpp; `root` is the rule to begin with. A control token stands for its name in a literal, as in
  // "<|tool_call_end|>". Throws kBadInput with line and column; kUnsupported for rules that are left-recursive in a
  // roundabout way (directly is fine).
  static GrammarPtr from_gbnf(std::string_view text, std::string_view root = "root");

  // JSON that is valid under `schema`, itself a JSON text; properties in the order of the schema, additional ones last.
  // Throws kBadInput for what is no JSON or no schema, or where nothing can be valid; kUnsupported names the keyword
  // that cannot be held to, with its place in the schema ("#/properties/a: ...").
  static GrammarPtr from_json_schema(std::string_view schema, const JsonSchemaOptions& options = {});
  static GrammarPtr json_object(const JsonSchemaOptions& options = {});  // any object

  // What matches the expression as a whole: ECMAScript's syntax without look-around, back-references and \b, which
  // throw kUnsupported. The dot is any character but a newline; \d \w \s are ASCII's.
  static GrammarPtr from_regex(std::string_view expression);

  // Larger ones out of smaller ones. Control tokens count in text() and as marks.
  static GrammarPtr text(std::string_view literal);
  static GrammarPtr sequence(std::span<const GrammarPtr> parts);
  static GrammarPtr any_of(std::span<const GrammarPtr> choices);            // at least one
  static GrammarPtr repeat(const GrammarPtr& part, int min, int max = -1);  // -1: without end
  // Any text up to `mark` and with it, where that stands for the first time: free thinking,
  // sequence({until("</think>"), answer}). No answer ends before the mark.
  static GrammarPtr until(std::string_view mark);
  // Free text in which each trigger begins its grammar: what follows the trigger is bound by it. When that grammar may
  // end the text is free again, and so several can follow. With triggers that are marks of a model's tool calls, calls
  // are always whole and valid. Of triggers that begin alike the one that is complete first counts.
  static GrammarPtr with_triggers(std::span<const std::pair<std::string, GrammarPtr>> triggers);

  // `answer` behind a thought: free text up to "</think>", and the line breaks after it. `open`: the prompt has written
  // the "<think>"; else an answer may begin with it, or do without a thought.
  static GrammarPtr after_thought(const GrammarPtr& answer, bool open);

  bool matches(std::string_view text) const;  // the whole of it, control tokens as their names
  size_t bytes() const;                       // memory held, roughly, without what masks add

  ~Grammar();
  Grammar(const Grammar&) = delete;
  Grammar& operator=(const Grammar&) = delete;

  struct State;
  explicit Grammar(std::unique_ptr<State> state);
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
