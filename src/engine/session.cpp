#include "fieldprint/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "engine/anchor.h"
#include "engine/answer.h"
#include "engine/finite.h"
#include "engine/session_file.h"
#include "engine/speculator.h"
#include "engine/stepper.h"
#include "engine/visible_tokens.h"
#include "fieldprint/error.h"
#include "ops/executors.h"

namespace fieldprint {
namespace {

// The session holds text that is to go before it can go on: State::settle().
struct Revoked : Error {
  Revoked() : Error(ErrorKind::kBadInput, "a source of this text has been revoked") {}
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

struct Session::State {
  // A session and its forks: the anchor is theirs in common.
  struct Family {
    std::mutex mutex;
    std::set<State*> members;
    std::shared_ptr<const Anchor> anchor;  // null: none
  };

  std::shared_ptr<Stepper> stepper;  // shared by the forks: it has their pages
  std::shared_ptr<Family> family;
  std::shared_ptr<const Anchor> anchor;  // the family's, until this one drops it
  std::shared_ptr<Speculator> speculator;
  int clearance = 0;
  bool influence = false;
  Sequence sequence;
  Answer* scored = nullptr;  // whose prompt's log-probabilities are wanted, while it is fed
  std::function<void(const Rollback&)> on_rollback;
  int rollbacks = 0;
  bool working = false;  // on tokens: members that a callback calls see what is there

  State(std::shared_ptr<Stepper> s, std::shared_ptr<Family> f) : stepper(std::move(s)), family(std::move(f)) {
    const std::lock_guard lock(family->mutex);
    family->members.insert(this);
  }
  ~State() {
    const std::lock_guard lock(family->mutex);
    family->members.erase(this);
  }

  int size() const { return static_cast<int>(sequence.tokens.size()); }
  int anchor_size() const { return anchor != nullptr ? static_cast<int>(anchor->sequence().tokens.size()) : 0; }
  Spans& spans() { return sequence.state->spans; }

  // Holds the family's anchor, where there is one, and nothing else.
  void clear() {
    anchor = family->anchor;
    sequence = anchor == nullptr ? stepper->begin() : stepper->fork(anchor->sequence(), anchor_size());
    sequence.logits.clear();
    if (influence) sequence.state->measure_influence(true);
    sequence.state->influence.clear();
  }

  void feed(std::span<const TokenId> added, const Progress& progress) {
    check(added);
    const auto chunk = static_cast<size_t>(scored != nullptr ? stepper->chunk_of_rows() : stepper->chunk());
    for (size_t i = 0; i < added.size(); i += chunk) {
      if (progress && !progress("prompt", i, added.size())) throw Error(ErrorKind::kLimit, "stopped");
      const auto part = added.subspan(i, std::min(chunk, added.size() - i));
      if (scored != nullptr) {
        score(added, i, part);
      } else {
        step(part, i + part.size() == added.size() ? LogitRows::kLast : LogitRows::kNone);
      }
    }
    if (progress && !added.empty()) progress("prompt", added.size(), added.size());
  }

  // A part of the prompt `added` whose log-probabilities are wanted; it begins at added[first].
  void score(std::span<const TokenId> added, size_t first, std::span<const TokenId> part) {
    try {
      step(part, LogitRows::kAll, [&](std::span<const float> rows) {
        scored->add_prompt(first, rows, added.subspan(first + 1, std::min(part.size(), added.size() - first - 1)));
      });
    } catch (const NotFinite&) {
      std::vector<TokenId> tokens = sequence.tokens;
      tokens.insert(tokens.end(), part.begin(), part.end());
      throw not_finite_error(stepper->shared_model(), stepper->options(), tokens);
    }
  }

  // Throws Revoked where the session holds something that is to go first.
  void step(std::span<const TokenId> added, LogitRows rows,
            const std::function<void(std::span<const float>)>& use = {}) {
    for (;;) {
      if (stepper->recheck(sequence)) throw Revoked();
      try {
        return stepper->step(sequence, added, rows, use);
      } catch (const StaleSequence&) {  // something was revoked in between, perhaps not of this session
      }
    }
  }

  // What was revoked goes, and what was computed while it was visible. With `again` the rest is computed anew, as far
  // as the model has not written it; else the session holds what comes before, and the caller says what follows.
  // `answer`: what was being given out. True where something went.
  bool settle(bool again, const Answer* answer = nullptr) {
    const auto hit = stepper->recheck(sequence);
    if (!hit) return false;
    VisibleTokens rest{std::span<const TokenId>()};
    for (const Spans::Span& span : spans().all()) {
      const int begin = std::max(span.begin, hit->position), end = std::min(span.end, size());
      if (begin >= end) continue;
      rest.labels.set(static_cast<int>(rest.tokens.size()), span.label);
      rest.tokens.insert(rest.tokens.end(), sequence.tokens.begin() + begin, sequence.tokens.begin() + end);
    }
    Rollback info{
        .source = hit->label.source, .count = ++rollbacks, .from = size(), .to = std::min(hit->position, size())};
    if (answer != nullptr) {
      info.tokens = static_cast<int>(answer->generation.tokens.size());
      info.text_bytes = answer->generation.text.size();
    }
    std::vector<PageRange> pages;
    sequence.state->page_ranges(info.to, pages);
    info.pages = static_cast<int>(pages.size());
    if (info.to < anchor_size()) leave_anchor();
    stepper->truncate(sequence, info.to);
    sequence.state->influence.clear();
    spans().set(size(), {});
    if (on_rollback) on_rollback(info);
    if (again) append(std::move(rest), true, {});
    return true;
  }

  // The anchor was revoked: it goes as its forks come to know of it.
  void leave_anchor() {
    const std::lock_guard lock(family->mutex);
    if (family->anchor == anchor) family->anchor = nullptr;
    anchor = nullptr;
  }

  // `seen`: what the model has written in `text` had read something that is gone.
  void append(VisibleTokens text, bool seen, const Progress& progress) {
    append([&](bool lost) {
      seen |= lost;
      stepper->revocations().leave_out(text, false, seen);
      feed(text, 0, progress);
    });
  }

  // feed(whether the session has lost something meanwhile), again where something is revoked.
  template <class Feed>
  void append(Feed&& feed) {
    const Working work(*this);
    settle(true);
    for (bool lost = false;; lost |= settle(true)) {
      const int before = size();
      try {
        return feed(lost);
      } catch (const Revoked&) {
        stepper->truncate(sequence, before);
        spans().set(size(), {});
      }
    }
  }

  // While it lives, members of the session that are called meanwhile leave it alone.
  struct Working {
    State& state;
    const bool before;
    explicit Working(State& s) : state(s), before(std::exchange(s.working, true)) {}
    ~Working() { state.working = before; }
  };

  // The tokens from `from` on, with their labels.
  void feed(const VisibleTokens& visible, size_t from, const Progress& progress) {
    visible.label(spans(), static_cast<int>(from), size() - static_cast<int>(from));
    feed(std::span(visible.tokens).subspan(from), progress);
  }

  void truncate(int size) {
    if (size < 0 || size >= this->size()) return;
    stepper->truncate(sequence, std::max(size, anchor_size()));
    sequence.state->influence.clear();
  }

  // Of a prompt whose first `common` tokens are here already, how many are kept: its last one is always computed.
  int keep(size_t common, size_t prompt) const {
    const size_t room = static_cast<size_t>(stepper->context()) - static_cast<size_t>(anchor_size());
    if (prompt > room) {  // said before anything is dropped
      throw Error(ErrorKind::kLimit, fmt::format("the prompt is {} tokens, the context {}", prompt, room), {},
                  "a shorter prompt or a larger --context");
    }
    if (scored != nullptr) return 0;
    return static_cast<int>(std::min(common, prompt > 0 ? prompt - 1 : 0));
  }

  void check(std::span<const TokenId> added) const {
    stepper->check_size(sequence.tokens.size() + added.size());
    stepper->check_ids(added);
  }
};

std::vector<std::string> executor_names() {
  std::vector<std::string> names;
  for (const ExecutorRow& row : executors()) names.emplace_back(row.name);
  return names;
}

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options) {
  state_ = std::make_unique<State>(std::make_shared<Stepper>(loaded(std::move(model)), options),
                                   std::make_shared<State::Family>());
  state_->clearance = options.clearance;
  state_->influence = options.influence;
  state_->speculator = std::make_shared<Speculator>(*state_->stepper);
  state_->clear();
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Session::State& Session::settled() const {
  if (!state_->working) state_->settle(true);
  return *state_;
}

void Session::revoke(std::span<const std::string> sources) { state_->stepper->revocations().add(sources); }

void Session::on_rollback(std::function<void(const Rollback&)> callback) { state_->on_rollback = std::move(callback); }

void Session::append(std::span<const TokenId> tokens, const Progress& progress) {
  State& s = *state_;
  s.append([&](bool) {
    s.spans().set(s.size(), {});
    s.feed(tokens, progress);
  });
}

void Session::append(std::span<const LabelledTokens> spans, const Progress& progress) {
  state_->append(VisibleTokens(spans, state_->clearance), false, progress);
}

void Session::append(std::span<const TokenId> tokens, const std::function<void(int, std::span<const float>)>& each) {
  State& s = settled();
  s.check(tokens);
  s.spans().set(s.size(), {});
  const auto vocabulary = static_cast<size_t>(model().info().vocabulary);
  const auto chunk = static_cast<size_t>(s.stepper->chunk_of_rows());
  for (size_t i = 0; i < tokens.size(); i += chunk) {
    const auto part = tokens.subspan(i, std::min(chunk, tokens.size() - i));
    s.step(part, LogitRows::kAll, [&](std::span<const float> logits) {
      for (size_t t = 0; t < part.size(); ++t)
        each(static_cast<int>(i + t), logits.subspan(t * vocabulary, vocabulary));
    });
  }
}

int Session::assign(std::span<const TokenId> tokens, const Progress& progress) {
  State& s = *state_;
  const State::Working work(s);
  for (;;) {
    s.settle(false);
    const int anchor = s.anchor_size();
    const auto held = std::span(s.sequence.tokens).subspan(static_cast<size_t>(anchor));
    const auto common = std::mismatch(held.begin(), held.end(), tokens.begin(), tokens.end()).second - tokens.begin();
    const int kept = s.keep(static_cast<size_t>(common), tokens.size());
    // What was here and is computed again keeps its label.
    const SpanLabel label = kept < common ? s.spans().at(anchor + kept).label : SpanLabel{};
    s.truncate(anchor + kept);
    s.spans().set(s.size(), label);
    try {
      s.feed(tokens.subspan(static_cast<size_t>(kept)), progress);
      return kept;
    } catch (const Revoked&) {
    }
  }
}

int Session::assign(std::span<const LabelledTokens> spans, const Progress& progress) {
  State& s = *state_;
  const State::Working work(s);
  VisibleTokens visible(spans, s.clearance);
  for (;;) {
    s.settle(false);
    s.stepper->revocations().leave_out(visible, true);
    const auto held = std::span(s.sequence.tokens).subspan(static_cast<size_t>(s.anchor_size()));
    const int kept = s.keep(visible.common(held, s.spans(), s.anchor_size()), visible.tokens.size());
    s.truncate(s.anchor_size() + kept);
    try {
      s.feed(visible, static_cast<size_t>(kept), progress);
      return kept;
    } catch (const Revoked&) {
    }
  }
}

void Session::truncate(int size) { settled().truncate(size); }

Session Session::fork() const {
  const State& s = settled();
  auto copy = std::make_unique<State>(s.stepper, s.family);
  copy->clearance = s.clearance;
  copy->influence = s.influence;
  copy->anchor = s.anchor;
  copy->speculator = s.speculator;
  copy->sequence = s.stepper->fork(s.sequence, s.size());
  return Session(std::move(copy));
}

Session Session::branch(int clearance, const Progress& progress) const {
  const int own = settled().clearance;
  if (clearance > own) {
    throw Error(ErrorKind::kUsage, fmt::format("clearance {} is above the session's, which is {}", clearance, own), {},
                "what it has left out cannot be shown: begin from a session of a higher clearance");
  }
  Session branch = fork();
  branch.state_->clearance = clearance;
  std::vector<LabelledTokens> all = spans();
  if (anchor_size() > 0) all.erase(all.begin());
  const bool hides = std::any_of(all.begin(), all.end(), [&](const auto& s) { return s.label.clearance > clearance; });
  if (hides) branch.assign(all, progress);  // the first hidden token differs in its label: nothing behind it is kept
  return branch;
}

void Session::set_anchor(std::span<const TokenId> tokens, const std::string& source, const Progress& progress) {
  State& s = *state_;
  s.stepper->check_size(tokens.size());
  s.stepper->check_ids(tokens);
  const SpanLabel label{SpanKind::kAnchor, source, 0};
  Spans labels;
  labels.set(0, label);
  if (s.stepper->revocations().find(labels)) throw Revoked();
  remove_anchor();
  if (tokens.empty()) return;
  s.spans().set(0, label);
  s.feed(tokens, progress);
  const std::lock_guard family_lock(s.family->mutex);
  s.anchor = s.family->anchor = std::make_shared<const Anchor>(s.stepper->fork(s.sequence, s.size()));
  for (State* member : s.family->members) {
    if (member != &s) member->clear();
  }
}

void Session::remove_anchor() {
  const std::lock_guard lock(state_->family->mutex);
  state_->family->anchor = nullptr;
  for (State* member : state_->family->members) member->clear();
}

int Session::anchor_size() const { return settled().anchor_size(); }

std::vector<LabelledTokens> Session::spans() const {
  const State& s = settled();
  const auto& tokens = s.sequence.tokens;
  std::vector<LabelledTokens> all;
  for (const Spans::Span& span : s.sequence.state->spans.all()) {
    if (span.begin >= s.size()) break;
    all.push_back({span.label, {tokens.begin() + span.begin, tokens.begin() + std::min(span.end, s.size())}});
  }
  return all;
}

std::vector<PageInfo> Session::pages() const {
  const State& s = settled();
  return s.sequence.state->pages(s.stepper->model().fingerprint(), s.sequence.tokens);
}

std::span<const float> Session::influence() const { return settled().sequence.state->influence; }

void Session::save(const std::string& path) const {
  State& s = settled();
  if (s.sequence.state->format(s.size()).recurrent_bytes > 0) s.stepper->replay(s.sequence);
  save_session(path, s.stepper->model().fingerprint(), s.sequence.tokens, *s.sequence.state);
}

void Session::load(const std::string& path) {
  State& s = *state_;
  s.settle(false);
  s.sequence.state->format(0);  // or says that there is none
  const SavedSession saved(path);
  saved.check(s.stepper->model().fingerprint(), s.sequence.state->format(static_cast<int>(saved.tokens().size())));
  s.stepper->check_size(saved.tokens().size());
  s.stepper->check_ids(saved.tokens());
  for (const Spans::Span& span : saved.spans().all()) {
    if (span.label.clearance <= s.clearance) continue;
    throw Error(ErrorKind::kBadInput,
                fmt::format("the session has seen text of clearance {}, this one may see {} at most",
                            span.label.clearance, s.clearance),
                path, "another file for what is decoded under a clearance");
  }
  if (const auto hit = s.stepper->revocations().find(saved.spans()))
    throw Error(ErrorKind::kBadInput, fmt::format("the session holds text of {}, which was revoked", hit->label.source),
                path);
  const auto anchor = std::span(s.sequence.tokens).first(static_cast<size_t>(s.anchor_size()));
  if (saved.tokens().size() < anchor.size() || !std::equal(anchor.begin(), anchor.end(), saved.tokens().begin()))
    throw Error(ErrorKind::kBadInput, "the session was saved without this anchor", path);
  Sequence sequence = s.stepper->begin();
  sequence.replay = saved.fill(*sequence.state, s.stepper->model().step_mutex());
  if (s.influence) sequence.state->measure_influence(true);
  sequence.tokens.assign(saved.tokens().begin(), saved.tokens().end());
  s.sequence = std::move(sequence);
}

std::span<const float> Session::logits() const { return settled().sequence.logits; }
std::span<const TokenId> Session::tokens() const { return settled().sequence.tokens; }
int Session::context() const { return state_->stepper->context(); }
uint64_t Session::bytes_read() const { return state_->stepper->work().bytes; }
uint64_t Session::kv_bytes() const { return static_cast<uint64_t>(state_->sequence.state->bytes()); }
const Model& Session::model() const { return state_->stepper->model(); }

Generation Session::generate(std::span<const TokenId> prompt, const SamplingOptions& sampling,
                             const std::function<void(std::string_view)>& on_text, const std::atomic<bool>* cancel,
                             const Progress& progress) {
  return answer(
      prompt.empty(), [&](const Progress& each) { return assign(prompt, each); }, sampling, on_text, cancel, progress);
}

Generation Session::generate(std::span<const LabelledTokens> prompt, const SamplingOptions& sampling,
                             const std::function<void(std::string_view)>& on_text, const std::atomic<bool>* cancel,
                             const Progress& progress) {
  return answer(
      VisibleTokens(prompt, state_->clearance).tokens.empty(),
      [&](const Progress& each) { return assign(prompt, each); }, sampling, on_text, cancel, progress);
}

// `assign` makes the session hold the prompt and returns how many tokens of it were here already.
Generation Session::answer(bool prompt_empty, const std::function<int(const Progress&)>& assign,
                           const SamplingOptions& sampling, const std::function<void(std::string_view)>& on_text,
                           const std::atomic<bool>* cancel, const Progress& progress) {
  State& s = *state_;
  const State::Working work(s);
  if (prompt_empty)
    throw Error(ErrorKind::kBadInput, "the prompt is empty", {}, "at least one token is needed to begin");
  for (int begun_anew = 0;; ++begun_anew) {
    Answer answer(s.stepper->model(), sampling, on_text);
    try {
      attempt(answer, assign, cancel, progress);
      return std::move(answer.generation);
    } catch (const Revoked&) {
      s.settle(false, &answer);
      if (begun_anew == kMaxRollbacks)
        throw Error(ErrorKind::kLimit, "sources were revoked again and again: the answer has begun anew too often");
    }
  }
}

// Throws Revoked where what the answer has read is to go.
void Session::attempt(Answer& answer, const std::function<int(const Progress&)>& assign,
                      const std::atomic<bool>* cancel, const Progress& progress) {
  State& s = *state_;
  RunStats& stats = answer.generation.stats;
  stats.executor = s.stepper->executor().name();
  const auto cancelled = [&] { return cancel != nullptr && cancel->load(std::memory_order_relaxed); };

  auto start = std::chrono::steady_clock::now();
  struct Scoring {
    State& state;
    Scoring(State& s, Answer* answer) : state(s) { state.scored = answer; }
    ~Scoring() { state.scored = nullptr; }
  };
  try {
    const Scoring scoring(s, answer.scores_prompt() ? &answer : nullptr);
    stats.reused_tokens = assign([&](std::string_view what, uint64_t done, uint64_t total) {
      return !cancelled() && (!progress || progress(what, done, total));
    });
  } catch (const Error&) {
    if (!cancelled()) throw;
    answer.cancel();
    return;
  }
  if (s.sequence.logits.empty()) throw Error(ErrorKind::kBadInput, "all of the prompt has been revoked");
  stats.prefill_tokens = s.size() - s.anchor_size() - stats.reused_tokens;
  stats.prefill_seconds = seconds_since(start);

  start = std::chrono::steady_clock::now();
  s.spans().set(s.size(), {.kind = SpanKind::kGenerated});
  const uint64_t bytes_before = bytes_read();
  // However it ends, the session holds what was fed and confirmed.
  struct Drafts : DraftedSteps {
    Sequence& sequence;
    Drafts(Sequence& of, std::unique_ptr<Draft> draft) : DraftedSteps(std::move(draft)), sequence(of) {}
    ~Drafts() { settle(sequence); }
  } drafts(s.sequence, s.influence ? nullptr : s.speculator->draft());
  StepOutcome outcome;
  for (;;) {
    if (cancelled()) {
      answer.cancel();
      break;
    }
    if (!answer.wants_token()) break;
    if (s.stepper->recheck(s.sequence)) throw Revoked();
    const auto history = drafts.history(s.sequence);
    TokenId token = 0;
    try {
      const OpScope scope(s.stepper->executor(), "sample");
      token = answer.sample(drafts.logits(s.sequence), history);
    } catch (const NotFinite&) {
      throw not_finite_error(s.stepper->shared_model(), s.stepper->options(), {history.begin(), history.end()});
    }
    const bool feed = answer.push(token, static_cast<int>(history.size()) < context());
    if (s.influence) answer.add_influence(influence());
    if (!feed) break;
    ++stats.decode_tokens;
    if (drafts.confirm(token)) {
      ++outcome.accepted;
      continue;
    }
    drafts.settle(s.sequence);
    stats.accepted_tokens += outcome.accepted;
    s.speculator->judged(outcome);
    const auto begin = std::chrono::steady_clock::now();
    const int room = std::min(context() - s.size(), answer.tokens_left()) - 1;
    const auto part = drafts.propose(s.sequence, token, std::min(s.speculator->most(1), room));
    outcome = {
        .answers = 1, .drafted = drafts.drafted(), .replayed = s.sequence.replay > 0, .counts = !drafts.reading()};
    stats.drafted_tokens += outcome.drafted;
    if (outcome.drafted == 0) s.step(part, LogitRows::kLast);
    else s.step(part, LogitRows::kAll, [&](std::span<const float> rows) { drafts.take(rows); });
    outcome.seconds = seconds_since(begin);
  }
  stats.accepted_tokens += outcome.accepted;
  drafts.settle(s.sequence);
  answer.finish(s.sequence.logits);
  stats.logits_hash = answer.logits_hash();
  stats.decode_seconds = seconds_since(start);
  answer.widen_influence(spans().size() + 1);
  stats.decode_bytes = bytes_read() - bytes_before;
}

}  // namespace fieldprint
