#include "fieldprint/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/answer.h"
#include "engine/session_file.h"
#include "engine/stepper.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr int64_t kMaxLogits = 16 << 20;  // floats of logits that one step may return

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

struct Session::State {
  std::shared_ptr<Stepper> stepper;  // shared by the forks: it has their pages
  Sequence sequence;

  void check(std::span<const TokenId> added) const {
    stepper->check_size(sequence.tokens.size() + added.size());
    stepper->check_ids(added);
  }
};

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : state_(std::make_unique<State>()) {
  state_->stepper = std::make_shared<Stepper>(std::static_pointer_cast<const LoadedModel>(std::move(model)), options);
  state_->sequence = state_->stepper->begin();
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::append(std::span<const TokenId> tokens, const Progress& progress) {
  State& s = *state_;
  s.check(tokens);
  const auto chunk = static_cast<size_t>(s.stepper->options().chunk);
  for (size_t i = 0; i < tokens.size(); i += chunk) {
    if (progress && !progress("prompt", i, tokens.size())) throw Error(ErrorKind::kLimit, "stopped");
    const auto part = tokens.subspan(i, std::min(chunk, tokens.size() - i));
    s.stepper->step(s.sequence, part, i + part.size() == tokens.size() ? LogitRows::kLast : LogitRows::kNone);
  }
  if (progress && !tokens.empty()) progress("prompt", tokens.size(), tokens.size());
}

void Session::append(std::span<const TokenId> tokens, const std::function<void(int, std::span<const float>)>& each) {
  State& s = *state_;
  s.check(tokens);
  const auto vocabulary = static_cast<size_t>(model().info().vocabulary);
  const auto chunk = std::clamp<size_t>(static_cast<size_t>(kMaxLogits) / vocabulary, 1,
                                        static_cast<size_t>(s.stepper->options().chunk));
  for (size_t i = 0; i < tokens.size(); i += chunk) {
    const auto part = tokens.subspan(i, std::min(chunk, tokens.size() - i));
    s.stepper->step(s.sequence, part, LogitRows::kAll, [&](std::span<const float> logits) {
      for (size_t t = 0; t < part.size(); ++t)
        each(static_cast<int>(i + t), logits.subspan(t * vocabulary, vocabulary));
    });
  }
}

int Session::assign(std::span<const TokenId> tokens, const Progress& progress) {
  State& s = *state_;
  const auto common =
      std::mismatch(s.sequence.tokens.begin(), s.sequence.tokens.end(), tokens.begin(), tokens.end()).second -
      tokens.begin();
  const int kept = static_cast<int>(
      std::min<std::ptrdiff_t>(common, std::max<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(tokens.size()) - 1)));
  if (tokens.size() > static_cast<size_t>(context())) {  // said before anything is dropped
    throw Error(ErrorKind::kLimit, fmt::format("the prompt is {} tokens, the context {}", tokens.size(), context()), {},
                "a shorter prompt or a larger --context");
  }
  truncate(kept);
  append(tokens.subspan(static_cast<size_t>(kept)), progress);
  return kept;
}

void Session::truncate(int size) { state_->stepper->truncate(state_->sequence, size); }

Session Session::fork() const {
  auto copy = std::make_unique<State>();
  copy->stepper = state_->stepper;
  copy->sequence = state_->stepper->fork(state_->sequence, static_cast<int>(state_->sequence.tokens.size()));
  return Session(std::move(copy));
}

void Session::save(const std::string& path) const {
  const State& s = *state_;
  const KvSequence* kv = s.sequence.state->kv();
  if (kv == nullptr) throw Error(ErrorKind::kUnsupported, "the reference executor's sessions cannot be saved");
  save_session(path, s.stepper->model().fingerprint(), s.sequence.tokens, *kv);
}

void Session::load(const std::string& path) {
  State& s = *state_;
  if (s.sequence.state->kv() == nullptr)
    throw Error(ErrorKind::kUnsupported, "the reference executor cannot take up a saved session");
  const SavedSession saved(path);
  saved.check(s.stepper->model().fingerprint(), s.sequence.state->kv()->layout());
  s.stepper->check_size(saved.tokens().size());
  s.stepper->check_ids(saved.tokens());
  Sequence sequence = s.stepper->begin();
  {
    const std::lock_guard lock(s.stepper->model().step_mutex());
    saved.fill(*sequence.state->kv());
    // The convolutions' inputs are not in the file.
    sequence.replay = sequence.state->truncate(static_cast<int>(saved.tokens().size()));
  }
  sequence.tokens.assign(saved.tokens().begin(), saved.tokens().end());
  s.sequence = std::move(sequence);
}

std::span<const float> Session::logits() const { return state_->sequence.logits; }
std::span<const TokenId> Session::tokens() const { return state_->sequence.tokens; }
int Session::context() const { return state_->stepper->context(); }
uint64_t Session::bytes_read() const { return state_->stepper->work().bytes; }
uint64_t Session::kv_bytes() const { return static_cast<uint64_t>(state_->sequence.state->bytes()); }
const Model& Session::model() const { return state_->stepper->model(); }

Generation Session::generate(std::span<const TokenId> prompt, const SamplingOptions& sampling,
                             const std::function<void(std::string_view)>& on_text, const std::atomic<bool>* cancel,
                             const Progress& progress) {
  State& s = *state_;
  if (prompt.empty())
    throw Error(ErrorKind::kBadInput, "the prompt is empty", {}, "at least one token is needed to begin");
  Answer answer(model(), sampling, on_text);
  RunStats& stats = answer.generation.stats;
  const auto cancelled = [&] { return cancel != nullptr && cancel->load(std::memory_order_relaxed); };

  auto start = std::chrono::steady_clock::now();
  try {
    stats.reused_tokens = assign(prompt, [&](std::string_view what, uint64_t done, uint64_t total) {
      return !cancelled() && (!progress || progress(what, done, total));
    });
  } catch (const Error&) {
    if (!cancelled()) throw;
    answer.cancel();
    return std::move(answer.generation);
  }
  stats.prefill_tokens = static_cast<int>(prompt.size()) - stats.reused_tokens;
  stats.prefill_seconds = seconds_since(start);

  start = std::chrono::steady_clock::now();
  const uint64_t bytes_before = bytes_read();
  for (;;) {
    if (cancelled()) {
      answer.cancel();
      break;
    }
    if (!answer.wants_token()) break;
    TokenId token = 0;
    {
      const OpScope<Stepper> scope(s.stepper->profiler(), *s.stepper, "sample");
      token = answer.sample(s.sequence.logits, s.sequence.tokens);
    }
    if (!answer.push(token, static_cast<int>(s.sequence.tokens.size()) < context())) break;
    s.stepper->step(s.sequence, {&token, 1}, LogitRows::kLast);
    ++stats.decode_tokens;
  }
  answer.finish(s.sequence.logits);
  stats.decode_seconds = seconds_since(start);
  stats.decode_bytes = bytes_read() - bytes_before;
  return std::move(answer.generation);
}

}  // namespace fieldprint
