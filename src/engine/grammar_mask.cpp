#include "fieldprint/grammar_mask.h"

#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

#include "grammar/grammar_state.h"

namespace fieldprint {

struct GrammarVocabulary::State {
  std::shared_ptr<const VocabularyTexts> texts;
};

namespace {

constexpr size_t kMaxVocabularies = 4;

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

GrammarVocabulary::GrammarVocabulary(const Tokenizer& tokenizer)
    : state_(std::make_unique<State>(State{std::make_shared<const VocabularyTexts>(tokenizer)})) {}
GrammarVocabulary::~GrammarVocabulary() = default;

std::function<std::unique_ptr<TokenMask>()> grammar_mask(GrammarPtr grammar, GrammarVocabularyPtr vocabulary) {
  const Grammar::State& state = grammar->state();
  const auto& texts = vocabulary->state().texts;
  const std::lock_guard lock(state.mutex);
  auto known =
      std::find_if(state.masks.begin(), state.masks.end(), [&](const auto& m) { return m->vocabulary == texts; });
  if (known == state.masks.end()) {
    if (state.masks.size() == kMaxVocabularies) state.masks.erase(state.masks.begin());
    state.masks.push_back(std::make_shared<Grammar::State::OfVocabulary>(state.automaton, texts));
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
