#include "fieldprint/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/sha256.h"
#include "engine/loaded_model.h"
#include "engine/sampler.h"
#include "engine/session_file.h"
#include "engine/stop_strings.h"
#include "fieldprint/error.h"
#include "ops/reference_ops.h"
#include "ops/run_ops.h"

namespace fieldprint {
namespace {

constexpr int kMaxChunk = 8192;
constexpr int64_t kMaxLogits = 16 << 20;  // floats of logits that one step may return

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void require(bool ok, const char* flag, int value, const std::string& expected) {
  if (!ok) throw Error(ErrorKind::kUsage, fmt::format("{} is out of range", value), flag, "expected " + expected);
}

}  // namespace

struct Session::State {
  std::shared_ptr<const LoadedModel> model;
  SessionOptions options;
  int context = 0;
  std::shared_ptr<Ops> ops;  // shared by the forks: it has their pages
  RunOps* run = nullptr;     // the same as ops, where it counts bytes
  std::unique_ptr<SequenceState> sequence;
  std::vector<TokenId> tokens;
  int replay = 0;             // of the last tokens, how many must pass again before the next
  std::vector<float> logits;  // [vocabulary] or none

  ~State() {
    if (sequence == nullptr) return;
    const std::lock_guard lock(model->step_mutex());  // gives pages back
    sequence.reset();
  }

  uint64_t bytes_read() const { return run != nullptr ? run->bytes_read() : 0; }

  // One pass over the weights; use(the logits of the rows) while nobody else steps. On an exception (memory) the
  // sequence is as before.
  template <class Use>
  void step(std::span<const TokenId> added, LogitRows rows, Use&& use) {
    const std::lock_guard lock(model->step_mutex());
    const int before = static_cast<int>(tokens.size());
    logits.clear();
    try {
      if (replay > 0) {
        forward(before - replay, std::span(tokens).last(static_cast<size_t>(replay)), LogitRows::kNone, true);
        replay = 0;
      }
      tokens.insert(tokens.end(), added.begin(), added.end());
      const auto result = forward(before, std::span(tokens).last(added.size()), rows, false);
      if (rows != LogitRows::kNone) {
        const auto last = result.last(static_cast<size_t>(model->info().vocabulary));
        logits.assign(last.begin(), last.end());
      }
      use(result);
    } catch (...) {
      tokens.resize(static_cast<size_t>(before));
      replay = sequence->truncate(before);
      throw;
    }
  }

  void step(std::span<const TokenId> added, LogitRows rows) {
    step(added, rows, [](std::span<const float>) {});
  }

  std::span<const float> forward(int first, std::span<const TokenId> part, LogitRows rows, bool again) {
    const StepSequence sequence_part{sequence.get(), first, part, rows, again};
    ops->begin({&sequence_part, 1});
    return ops->finish(model->architecture().forward(*ops));
  }

  void check(std::span<const TokenId> added) const {
    check_size(tokens.size() + added.size());
    check_ids(added);
  }

  void check_size(size_t count) const {
    if (count > static_cast<size_t>(context)) {
      throw Error(ErrorKind::kLimit, fmt::format("{} tokens do not fit a context of {}", count, context), {},
                  context < model->info().context ? "a larger --context (the model allows " +
                                                        std::to_string(model->info().context) + ") or a shorter text"
                                                  : "shorten the text: the model was trained for no more");
    }
  }

  void check_ids(std::span<const TokenId> ids) const {
    for (const TokenId token : ids) {
      if (token < 0 || token >= model->info().vocabulary) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("token {} is not in the vocabulary of {}", token, model->info().vocabulary));
      }
    }
  }
};

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.model = std::static_pointer_cast<const LoadedModel>(std::move(model));
  s.options = options;
  const int trained = s.model->info().context;
  require(options.context >= 0 && options.context <= trained, "--context", options.context,
          fmt::format("1 to {}, what the model was trained for", trained));
  require(options.chunk >= 1 && options.chunk <= kMaxChunk, "--chunk", options.chunk,
          fmt::format("1 to {}", kMaxChunk));
  require(options.page_size >= 1 && options.page_size <= 4096, "--page-size", options.page_size, "1 to 4096");
  s.context = options.context > 0 ? options.context : trained;
  const auto& layers = s.model->architecture().hyperparameters().kv;
  if (options.executor == Executor::kReference) {
    s.ops = make_reference_ops(layers);
  } else {
    auto run = make_run_ops(s.model->kernels(), s.model->pool(),
                            KvLayout(layers, options.page_size, kv_type(options.kv_type)));
    s.run = run.get();
    s.ops = std::move(run);
  }
  s.sequence = s.ops->new_sequence();
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::append(std::span<const TokenId> tokens, const Progress& progress) {
  State& s = *state_;
  s.check(tokens);
  const auto chunk = static_cast<size_t>(s.options.chunk);
  for (size_t i = 0; i < tokens.size(); i += chunk) {
    if (progress && !progress("prompt", i, tokens.size())) throw Error(ErrorKind::kLimit, "stopped");
    const auto part = tokens.subspan(i, std::min(chunk, tokens.size() - i));
    s.step(part, i + part.size() == tokens.size() ? LogitRows::kLast : LogitRows::kNone);
  }
  if (progress && !tokens.empty()) progress("prompt", tokens.size(), tokens.size());
}

void Session::append(std::span<const TokenId> tokens, const std::function<void(int, std::span<const float>)>& each) {
  State& s = *state_;
  s.check(tokens);
  const auto vocabulary = static_cast<size_t>(s.model->info().vocabulary);
  const auto chunk =
      std::clamp<size_t>(static_cast<size_t>(kMaxLogits) / vocabulary, 1, static_cast<size_t>(s.options.chunk));
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
  const auto common =
      std::mismatch(s.tokens.begin(), s.tokens.end(), tokens.begin(), tokens.end()).second - tokens.begin();
  const int kept = static_cast<int>(
      std::min<std::ptrdiff_t>(common, std::max<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(tokens.size()) - 1)));
  if (tokens.size() > static_cast<size_t>(s.context)) {  // said before anything is dropped
    throw Error(ErrorKind::kLimit, fmt::format("the prompt is {} tokens, the context {}", tokens.size(), s.context), {},
                "a shorter prompt or a larger --context");
  }
  truncate(kept);
  append(tokens.subspan(static_cast<size_t>(kept)), progress);
  return kept;
}

void Session::truncate(int size) {
  State& s = *state_;
  if (size < 0 || size >= static_cast<int>(s.tokens.size())) return;
  const std::lock_guard lock(s.model->step_mutex());
  s.tokens.resize(static_cast<size_t>(size));
  s.replay = s.sequence->truncate(size);
  s.logits.clear();
}

Session Session::fork() const {
  const State& s = *state_;
  auto copy = std::make_unique<State>();
  const std::lock_guard lock(s.model->step_mutex());
  copy->model = s.model;
  copy->options = s.options;
  copy->context = s.context;
  copy->ops = s.ops;
  copy->run = s.run;
  copy->sequence = s.sequence->fork();
  copy->tokens = s.tokens;
  copy->replay = s.replay;
  copy->logits = s.logits;
  return Session(std::move(copy));
}

void Session::save(const std::string& path) const {
  const State& s = *state_;
  const KvSequence* kv = s.sequence->kv();
  if (kv == nullptr) throw Error(ErrorKind::kUnsupported, "the reference executor's sessions cannot be saved");
  save_session(path, s.model->fingerprint(), s.tokens, *kv);
}

void Session::load(const std::string& path) {
  State& s = *state_;
  if (s.sequence->kv() == nullptr)
    throw Error(ErrorKind::kUnsupported, "the reference executor cannot take up a saved session");
  const SavedSession saved(path);
  saved.check(s.model->fingerprint(), s.sequence->kv()->layout());
  s.check_size(saved.tokens().size());
  s.check_ids(saved.tokens());
  const std::lock_guard lock(s.model->step_mutex());
  auto sequence = s.ops->new_sequence();
  saved.fill(*sequence->kv());
  s.sequence = std::move(sequence);
  s.tokens.assign(saved.tokens().begin(), saved.tokens().end());
  s.replay = s.sequence->truncate(static_cast<int>(s.tokens.size()));  // the convolutions' inputs are not in the file
  s.logits.clear();
}

std::span<const float> Session::logits() const { return state_->logits; }
std::span<const TokenId> Session::tokens() const { return state_->tokens; }
int Session::context() const { return state_->context; }
uint64_t Session::bytes_read() const { return state_->bytes_read(); }
uint64_t Session::kv_bytes() const { return static_cast<uint64_t>(state_->sequence->bytes()); }
const Model& Session::model() const { return *state_->model; }

Generation Session::generate(std::span<const TokenId> prompt, const SamplingOptions& sampling,
                             const std::function<void(std::string_view)>& on_text, const std::atomic<bool>* cancel,
                             const Progress& progress) {
  State& s = *state_;
  if (prompt.empty())
    throw Error(ErrorKind::kBadInput, "the prompt is empty", {}, "at least one token is needed to begin");
  Sampler sampler(sampling, s.model->info().vocabulary);
  const Tokenizer& tokenizer = s.model->tokenizer();
  StreamDecoder decoder(tokenizer, sampling.special);
  StopStrings stops(sampling.stop);
  Generation out;
  const auto emit = [&](std::string_view text) {
    if (text.empty()) return;
    out.text += text;
    if (on_text) on_text(text);
  };
  const auto cancelled = [&] { return cancel != nullptr && cancel->load(std::memory_order_relaxed); };

  auto start = std::chrono::steady_clock::now();
  try {
    out.stats.reused_tokens = assign(prompt, [&](std::string_view what, uint64_t done, uint64_t total) {
      return !cancelled() && (!progress || progress(what, done, total));
    });
  } catch (const Error&) {
    if (!cancelled()) throw;
    out.reason = FinishReason::kCancelled;
    return out;
  }
  out.stats.prefill_tokens = static_cast<int>(prompt.size()) - out.stats.reused_tokens;
  out.stats.prefill_seconds = seconds_since(start);

  start = std::chrono::steady_clock::now();
  const uint64_t bytes_before = s.bytes_read();
  for (;;) {
    if (cancelled()) {
      out.reason = FinishReason::kCancelled;
      break;
    }
    if (sampling.max_tokens >= 0 && static_cast<int>(out.tokens.size()) >= sampling.max_tokens) {
      out.reason = FinishReason::kLength;
      break;
    }
    const TokenId token = sampler.sample(s.logits, s.tokens);
    out.tokens.push_back(token);
    if (tokenizer.ends_generation(token)) {
      out.reason = FinishReason::kEndToken;
      break;
    }
    emit(stops.push(decoder.push(token)));
    if (stops.met()) {
      out.reason = FinishReason::kStop;
      break;
    }
    if (static_cast<int>(s.tokens.size()) >= s.context) {
      out.reason = FinishReason::kContext;
      break;
    }
    s.step({&token, 1}, LogitRows::kLast);
    ++out.stats.decode_tokens;
  }
  if (!stops.met()) {
    emit(stops.push(decoder.finish()));
    if (!stops.met()) emit(stops.rest());
  }
  out.stats.decode_seconds = seconds_since(start);
  out.stats.decode_bytes = s.bytes_read() - bytes_before;
  out.stats.logits_hash = sha256_hex(std::as_bytes(std::span(s.logits))).substr(0, 16);
  return out;
}

}  // namespace fieldprint
