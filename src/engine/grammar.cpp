#include "fieldprint/grammar.h"

#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

#include "fieldprint/error.h"
#include "grammar/automaton.h"
#include "grammar/expression.h"
#include "grammar/free_text.h"
#include "grammar/gbnf.h"
#include "grammar/masks.h"
#include "grammar/matcher.h"
#include "grammar/regex.h"

namespace fieldprint {

struct GrammarVocabulary::State {
  VocabularyTexts texts;
};

struct Grammar::State {
  // Over one vocabulary, which is kept alive by it.
  struct OfVocabulary {
    GrammarVocabularyPtr vocabulary;
    Masks masks;

    OfVocabulary(const Automaton& automaton, GrammarVocabularyPtr v)
        : vocabulary(std::move(v)), masks(automaton, vocabulary->state().texts) {}
  };

  Program program;  // for larger grammars
  Automaton automaton;
  mutable std::mutex mutex;
  mutable std::vector<std::shared_ptr<OfVocabulary>> masks;  // the last used at the end

  explicit State(Program p) : program(std::move(p)), automaton(program) {}
};

namespace {

constexpr size_t kMaxVocabularies = 4;

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

class GrammarMask final : public TokenMask {
 public:
  GrammarMask(GrammarPtr grammar, std::shared_ptr<Grammar::State::OfVocabulary> shared)
      : grammar_(std::move(grammar)), shared_(std::move(shared)) {}

  void allow(std::span<const TokenId> answer, TokenSet& allowed) override {
    const auto mask = shared_->masks.after(answer, progress_);
    if (!mask->words.empty()) allowed.add(mask->words);
    for (const TokenId token : mask->few) allowed.add(token);
  }

 private:
  GrammarPtr grammar_;  // the masks work on its automaton
  std::shared_ptr<Grammar::State::OfVocabulary> shared_;
  Masks::Progress progress_;
};

}  // namespace

Grammar::Grammar(std::unique_ptr<State> state) : state_(std::move(state)) {}
Grammar::~Grammar() = default;

GrammarPtr Grammar::from_gbnf(std::string_view text, std::string_view root) { return made(parse_gbnf(text, root)); }

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

bool Grammar::matches(std::string_view text) const {
  Matcher matcher(state_->automaton);
  StateId state = matcher.start();
  for (const char c : text) {
    matcher.begin_work();
    state = matcher.next(state, static_cast<uint8_t>(c));
  }
  return matcher.may_end(state);
}

size_t Grammar::bytes() const {
  const Program& p = state_->program;
  return p.nodes.size() * sizeof(Program::Node) + p.edges.size() * sizeof(Program::Edge) +
         p.rules.size() * sizeof(Program::Rule) + state_->automaton.memory_bytes();
}

GrammarVocabulary::GrammarVocabulary(const Tokenizer& tokenizer)
    : state_(std::make_unique<State>(State{VocabularyTexts(tokenizer)})) {}
GrammarVocabulary::~GrammarVocabulary() = default;

std::function<std::unique_ptr<TokenMask>()> grammar_mask(GrammarPtr grammar, GrammarVocabularyPtr vocabulary) {
  const Grammar::State& state = grammar->state();
  const std::lock_guard lock(state.mutex);
  auto known =
      std::find_if(state.masks.begin(), state.masks.end(), [&](const auto& m) { return m->vocabulary == vocabulary; });
  if (known == state.masks.end()) {
    if (state.masks.size() == kMaxVocabularies) state.masks.erase(state.masks.begin());
    state.masks.push_back(std::make_shared<Grammar::State::OfVocabulary>(state.automaton, std::move(vocabulary)));
    known = state.masks.end() - 1;
  }
  return [grammar, shared = *known] { return std::make_unique<GrammarMask>(grammar, shared); };
}

struct GrammarCache::State {
  std::mutex mutex;
  size_t capacity;
  std::list<std::pair<std::string, GrammarPtr>> recent;  // the last used first
  std::unordered_map<std::string_view, decltype(recent)::iterator> by_source;
};

GrammarCache::GrammarCache(size_t capacity) : state_(std::make_unique<State>()) {
  state_->capacity = std::max<size_t>(capacity, 1);
}
GrammarCache::~GrammarCache() = default;

GrammarPtr GrammarCache::get(const std::string& source, const std::function<GrammarPtr()>& make) {
  State& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    if (const auto found = s.by_source.find(source); found != s.by_source.end()) {
      s.recent.splice(s.recent.begin(), s.recent, found->second);
      return found->second->second;
    }
  }
  GrammarPtr grammar = make();  // others need not wait for it
  const std::lock_guard lock(s.mutex);
  if (const auto found = s.by_source.find(source); found != s.by_source.end()) return found->second->second;
  s.recent.emplace_front(source, grammar);
  s.by_source.emplace(s.recent.front().first, s.recent.begin());
  if (s.recent.size() > s.capacity) {
    s.by_source.erase(s.recent.back().first);
    s.recent.pop_back();
  }
  return grammar;
}

}  // namespace fieldprint
