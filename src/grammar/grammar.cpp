#include "fieldprint/grammar.h"

#include "fieldprint/error.h"
#include "grammar/expression.h"
#include "grammar/free_text.h"
#include "grammar/gbnf.h"
#include "grammar/grammar_state.h"
#include "grammar/json_schema.h"
#include "grammar/matcher.h"
#include "grammar/regex.h"

namespace fieldprint {

namespace {

GrammarPtr made(Program program) {
  return std::make_shared<const Grammar>(std::make_unique<Grammar::State>(std::move(program)));
}

// A program of one rule, which `fill` appends to the node that it is given; it returns the last one.
template <typename Fill>
GrammarPtr made_of(Fill fill) {
  Program program;
  const RuleId root = program.rule("root");
  const NodeId last = fill(program, program.rules[root].start);
  program.empty(last, program.rules[root].end);
  program.root = root;
  return made(std::move(program));
}

}  // namespace

Grammar::Grammar(std::unique_ptr<State> state) : state_(std::move(state)) {}
Grammar::~Grammar() = default;

GrammarPtr Grammar::from_gbnf(std::string_view text, std::string_view root) { return made(parse_gbnf(text, root)); }

GrammarPtr Grammar::from_json_schema(std::string_view schema, const JsonSchemaOptions& options) {
  return made(parse_json_schema(schema, {options.compact, options.additional_properties}));
}

GrammarPtr Grammar::json_object(const JsonSchemaOptions& options) {
  return made(json_object_program({options.compact, options.additional_properties}));
}

GrammarPtr Grammar::from_regex(std::string_view expression) {
  const Expression parsed = parse_regex(expression, false);
  return made_of([&](Program& p, NodeId from) { return append(p, from, parsed); });
}

GrammarPtr Grammar::text(std::string_view literal) {
  return made_of([&](Program& p, NodeId from) { return p.literal(from, literal, Names::kLiteral); });
}

GrammarPtr Grammar::sequence(std::span<const GrammarPtr> parts) {
  return made_of([&](Program& p, NodeId from) {
    for (const GrammarPtr& part : parts) from = p.call(from, p.add(part->state().program));
    return from;
  });
}

GrammarPtr Grammar::any_of(std::span<const GrammarPtr> choices) {
  return made_of([&](Program& p, NodeId from) {
    const NodeId end = p.node();
    for (const GrammarPtr& choice : choices) p.call(from, p.add(choice->state().program), end);
    return end;
  });
}

GrammarPtr Grammar::repeat(const GrammarPtr& part, int min, int max) {
  if (min < 0 || (max >= 0 && max < min))
    throw Error(ErrorKind::kUsage, "a repetition's bounds are the wrong way round");
  return made_of([&](Program& p, NodeId from) {
    return p.repeat(from, p.add(part->state().program), static_cast<uint32_t>(min),
                    max < 0 ? kUnbounded : static_cast<uint32_t>(max));
  });
}

GrammarPtr Grammar::until(std::string_view mark) {
  if (mark.empty()) throw Error(ErrorKind::kUsage, "a mark needs some text");
  return made_of([&](Program& p, NodeId from) { return append_until(p, from, mark); });
}

GrammarPtr Grammar::with_triggers(std::span<const std::pair<std::string, GrammarPtr>> triggers) {
  return made_of([&](Program& p, NodeId from) {
    std::vector<std::pair<std::string, RuleId>> marks;
    for (const auto& [text, grammar] : triggers) {
      if (text.empty()) throw Error(ErrorKind::kUsage, "a trigger needs some text");
      marks.emplace_back(text, p.add(grammar->state().program));
    }
    return append_with_marks(p, from, marks);
  });
}

GrammarPtr Grammar::after_thought(const GrammarPtr& answer, bool open) {
  return made_of([&](Program& p, NodeId from) {
    const NodeId begin = p.node();
    const NodeId thought = open ? from : p.literal(from, "<think>", Names::kLiteral);
    if (!open) p.empty(from, begin);
    NodeId at = append_until(p, thought, "</think>");
    for (int lines = 0; lines < 2; ++lines) {
      p.empty(at, begin);
      at = p.literal(at, "\n");
    }
    p.empty(at, begin);
    return p.call(begin, p.add(answer->state().program));
  });
}

bool Grammar::matches(std::string_view text) const {
  Matcher matcher(state_->automaton);
  StateId state = matcher.start();
  for (size_t at = 0; at < text.size(); ++at) {
    matcher.begin_work();
    state = matcher.next(state, text.substr(at, 1));
  }
  return matcher.may_end(state);
}

size_t Grammar::bytes() const {
  const Program& p = state_->program;
  return p.nodes.size() * sizeof(Program::Node) + p.edges.size() * sizeof(Program::Edge) +
         p.rules.size() * sizeof(Program::Rule) + state_->automaton.memory_bytes();
}

}  // namespace fieldprint
