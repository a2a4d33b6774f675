#include "engine/stepper.h"

#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "ops/executors.h"
#include "ops/ops.h"

namespace fieldprint {
namespace {

constexpr int kMaxChunk = 8192;
constexpr int kReplayAlong = 64;  // tokens that may pass again in one step with new ones

void require(bool ok, const char* flag, int value, const std::string& expected) {
  if (!ok) throw Error(ErrorKind::kUsage, fmt::format("{} is out of range", value), flag, "expected " + expected);
}

// What of the part's replay passes in one step with its new tokens: all or nothing.
int replayed_along(const StepPart& part) {
  const Sequence& s = *part.sequence;
  const bool along = part.replay == 0 && !part.added.empty() && s.replay <= kReplayAlong && s.state->replays_exactly();
  return along ? s.replay : 0;
}

}  // namespace

Sequence& Sequence::operator=(Sequence&& other) noexcept {
  Sequence old(std::move(*this));
  stepper = std::move(other.stepper);
  state = std::move(other.state);
  tokens = std::move(other.tokens);
  replay = other.replay;
  logits = std::move(other.logits);
  keeps_hidden = other.keeps_hidden;
  hidden = std::move(other.hidden);
  epoch = other.epoch;
  return *this;
}

Sequence::~Sequence() {
  if (state == nullptr) return;
  const std::lock_guard lock(stepper->model().step_mutex());
  state.reset();
}

Stepper::Stepper(std::shared_ptr<const LoadedModel> model, const SessionOptions& options, Use use)
    : model_(std::move(model)), options_(options), revocations_(options.revoked) {
  if (model_->architecture().hyperparameters().encoder && use == Use::kSequences) {
    throw Error(ErrorKind::kUnsupported, "the model makes vectors of texts, it writes none", model_->info().path,
                "`fieldprint embed` uses it");
  }
  const int trained = model_->info().context;
  require(options.context >= 0 && options.context <= trained, "--context", options.context,
          fmt::format("1 to {}, what the model was trained for", trained));
  require(options.chunk >= 0 && options.chunk <= kMaxChunk, "--chunk", options.chunk,
          fmt::format("0 to {}", kMaxChunk));
  require(options.page_size >= 1 && options.page_size <= 4096, "--page-size", options.page_size, "1 to 4096");
  context_ = options.context > 0 ? options.context : trained;
  executor_ = make_executor(options.executor, {.kernels = model_->kernels(),
                                               .pool = model_->pool(),
                                               .layers = model_->architecture().hyperparameters().kv,
                                               .page_size = options.page_size,
                                               .kv_type = options.kv_type});
  executor_->profile(static_cast<Profiler*>(options.profile.get()));
}

Sequence Stepper::begin() {
  Sequence sequence;
  sequence.stepper = shared_from_this();
  sequence.state = executor_->new_sequence();
  sequence.epoch = revocations_.epoch();
  return sequence;
}

Sequence Stepper::fork(const Sequence& of, int size) {
  Sequence copy;
  copy.stepper = shared_from_this();
  {
    const std::lock_guard lock(model_->step_mutex());
    copy.state = of.state->fork();
  }
  copy.tokens = of.tokens;
  copy.replay = of.replay;
  copy.logits = of.logits;
  copy.hidden = of.hidden;
  copy.keeps_hidden = of.keeps_hidden;
  copy.epoch = of.epoch;
  truncate(copy, size);
  return copy;
}

void Stepper::truncate(Sequence& sequence, int size) {
  if (size < 0 || size >= static_cast<int>(sequence.tokens.size())) return;
  const std::lock_guard lock(model_->step_mutex());
  sequence.tokens.resize(static_cast<size_t>(size));
  sequence.replay = sequence.state->truncate(size);
  sequence.logits.clear();
  sequence.hidden.clear();
}

std::optional<Revocations::Hit> Stepper::check(Sequence& sequence) {
  const uint64_t epoch = revocations_.epoch();
  auto hit = revocations_.find(sequence.tokens, sequence.state->spans, sequence.epoch);
  sequence.epoch = hit ? std::min(sequence.epoch, epoch - 1) : epoch;
  return hit;
}

void Stepper::step(std::span<const StepPart> parts, const std::function<void(std::span<const float>)>& use) {
  const std::lock_guard lock(model_->step_mutex());
  for (const StepPart& part : parts) refuse_stale(*part.sequence);
  if (Profiler* profiler = executor_->profiler()) {
    profiler->phase(
        std::any_of(parts.begin(), parts.end(), [](const StepPart& part) { return part.added.size() > 1; }));
    profiler->forget_layer();
  }
  const OpScope scope(*executor_, "step");
  for (const StepPart& part : parts) {
    part.sequence->logits.clear();
    part.sequence->hidden.clear();
  }
  try {
    replay_due(parts);
    step_.clear();
    for (const StepPart& part : parts) {
      auto& tokens = part.sequence->tokens;
      if (part.replay > 0) {
        const auto due = std::span<const TokenId>(tokens).last(static_cast<size_t>(part.sequence->replay));
        step_.push_back({part.sequence->state.get(), static_cast<int>(tokens.size() - due.size()),
                         due.first(static_cast<size_t>(part.replay)), LogitRows::kNone, true});
        continue;
      }
      const int again = replayed_along(part), first = static_cast<int>(tokens.size()) - again;
      tokens.insert(tokens.end(), part.added.begin(), part.added.end());
      step_.push_back({part.sequence->state.get(), first, std::span(tokens).subspan(static_cast<size_t>(first)),
                       part.rows, false, again});
    }
    const auto result = forward(step_);
    const auto width = static_cast<size_t>(model_->architecture().hyperparameters().outputs());
    const bool hidden =
        std::any_of(parts.begin(), parts.end(), [](const StepPart& p) { return p.sequence->keeps_hidden; });
    const auto behind = hidden ? executor_->hidden() : std::span<const float>();
    const size_t rows = result.size() / width, hidden_width = rows > 0 ? behind.size() / rows : 0;
    size_t end = 0;
    for (const StepPart& part : parts) {
      part.sequence->replay = part.replay > 0 ? part.sequence->replay - part.replay : 0;
      if (part.replay > 0 || part.rows == LogitRows::kNone) continue;
      end += part.rows == LogitRows::kLast ? width : part.added.size() * width;
      part.sequence->logits.assign(result.begin() + static_cast<std::ptrdiff_t>(end - width),
                                   result.begin() + static_cast<std::ptrdiff_t>(end));
      if (!part.sequence->keeps_hidden) continue;
      const auto row = behind.subspan((end / width - 1) * hidden_width, hidden_width);
      part.sequence->hidden.assign(row.begin(), row.end());
    }
    if (use) use(result);
  } catch (...) {
    for (size_t i = 0; i < parts.size(); ++i) {
      Sequence& sequence = *parts[i].sequence;
      if (i < step_.size() && parts[i].replay == 0)
        sequence.tokens.resize(static_cast<size_t>(step_[i].first_position));
      sequence.replay = sequence.state->truncate(static_cast<int>(sequence.tokens.size()));
      sequence.logits.clear();
      sequence.hidden.clear();
    }
    throw;
  }
}

void Stepper::replay(Sequence& sequence) {
  const std::lock_guard lock(model_->step_mutex());
  refuse_stale(sequence);
  const StepPart part{&sequence, {}, LogitRows::kNone};
  try {
    replay_due({&part, 1});
  } catch (...) {
    sequence.replay = sequence.state->truncate(static_cast<int>(sequence.tokens.size()));
    throw;
  }
}

// Steps of their own for sequences whose recurrent state must see tokens again, a chunk at a time.
void Stepper::replay_due(std::span<const StepPart> parts) {
  for (;;) {
    step_.clear();
    int room = chunk();
    for (const StepPart& part : parts) {
      Sequence& s = *part.sequence;
      if (part.replay > 0 || replayed_along(part) > 0) continue;
      const int count = std::min(s.replay, room), first = static_cast<int>(s.tokens.size()) - s.replay;
      if (count == 0) continue;
      const auto again = std::span(s.tokens).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
      step_.push_back({s.state.get(), first, again, LogitRows::kNone, true});
      s.replay -= count;
      room -= count;
    }
    if (step_.empty()) return;
    try {
      forward(step_);
    } catch (...) {
      step_.clear();  // nothing has been added yet
      throw;
    }
  }
}

std::span<const float> Stepper::forward(std::span<const StepSequence> parts) {
  Ops ops(*executor_);
  executor_->begin(parts);
  return executor_->finish(model_->architecture().forward(ops));
}

int Stepper::chunk_of_rows() const {
  constexpr int kMaxLogits = 16 << 20;  // floats
  return std::clamp(kMaxLogits / std::max(1, model_->info().vocabulary), 1, chunk());
}

void Stepper::check_size(size_t count) const {
  if (count <= static_cast<size_t>(context_)) return;
  const int trained = model_->info().context;
  throw Error(ErrorKind::kLimit, fmt::format("{} tokens do not fit a context of {}", count, context_), {},
              context_ < trained ? fmt::format("a larger --context (the model allows {}) or a shorter text", trained)
                                 : "shorten the text: the model was trained for no more");
}

void Stepper::check_ids(std::span<const TokenId> ids) const {
  for (const TokenId token : ids) {
    if (token < 0 || token >= model_->info().vocabulary) {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("token {} is not in the vocabulary of {}", token, model_->info().vocabulary));
    }
  }
}

}  // namespace fieldprint
