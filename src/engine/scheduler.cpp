// Continuous batching: streams join and leave between steps, and each step is one pass over the weights for all of
// them.
#include "fieldprint/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <iterator>
#include <system_error>
#include <thread>

#include "engine/answer.h"
#include "engine/stepper.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMinShared = 32;  // tokens of a common beginning from which sharing pages is worth a fork

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

int common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<int>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

struct Stream::State {
  State(const Model& model, Request&& r)
      : request(std::move(r)), answer(model, request.sampling, request.on_text), submitted(Clock::now()) {}

  // Of the scheduler's thread.
  Request request;
  Answer answer;
  Sequence sequence;
  Clock::time_point submitted, started, prefilled;
  bool begun = false;     // has had its first step, or a part of it by a fork
  bool has_next = false;  // `next` is to be fed
  TokenId next = 0;
  TokenId sampled = 0;
  std::exception_ptr error;

  // Of all.
  std::atomic<bool> cancelled{false};
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  bool done = false;

  int left() const { return static_cast<int>(request.prompt.size() - std::min(request.prompt.size(), fed())); }
  size_t fed() const { return sequence.tokens.size(); }
  bool decodes() const { return begun && left() == 0; }
};

void Stream::cancel() { state_->cancelled.store(true, std::memory_order_relaxed); }

bool Stream::done() const {
  const std::lock_guard lock(state_->mutex);
  return state_->done;
}

Generation Stream::wait() const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [this] { return state_->done; });
  if (state_->error) std::rethrow_exception(state_->error);
  return state_->answer.generation;
}

struct Scheduler::State {
  using Streams = std::vector<std::shared_ptr<Stream::State>>;

  State(std::shared_ptr<const LoadedModel> model, const SchedulerOptions& o)
      : options(o), stepper(std::make_shared<Stepper>(std::move(model), o.session)) {}

  void run();
  void admit();
  bool begin(Stream::State& stream, size_t index);
  void sample();
  void plan();
  void deal_prompts();
  void step();
  void finish(std::shared_ptr<Stream::State> stream, std::exception_ptr error);
  void sweep();

  const SchedulerOptions options;
  const std::shared_ptr<Stepper> stepper;

  // Of the scheduler's thread.
  Streams running;            // in order of admission
  std::deque<Sequence> kept;  // ended, the latest last
  std::vector<StepPart> parts;
  Streams stepped;  // whose parts these are

  std::mutex mutex;  // of what follows
  std::condition_variable work;
  std::deque<std::shared_ptr<Stream::State>> waiting;
  bool stopping = false;
  SchedulerStats stats;

  std::thread thread;
};

void Scheduler::State::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex);
      work.wait(lock, [this] { return stopping || !waiting.empty() || !running.empty(); });
      if (stopping) break;
    }
    sweep();
    sample();
    admit();
    plan();
    if (!parts.empty()) step();
  }
  Streams left = std::move(running);
  {
    const std::lock_guard lock(mutex);
    left.insert(left.end(), waiting.begin(), waiting.end());
    waiting.clear();
  }
  for (const auto& stream : left) {
    stream->answer.cancel();
    finish(stream, nullptr);
  }
}

void Scheduler::State::admit() {
  const std::lock_guard lock(mutex);
  while (static_cast<int>(running.size()) < options.streams && !waiting.empty()) {
    running.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
  stats.running = static_cast<int>(running.size());
}

// Ends what was cancelled.
void Scheduler::State::sweep() {
  const auto cancelled = [](const auto& stream) { return stream->cancelled.load(std::memory_order_relaxed); };
  Streams ended;
  std::copy_if(running.begin(), running.end(), std::back_inserter(ended), cancelled);
  {
    const std::lock_guard lock(mutex);
    const auto kept_end = std::stable_partition(waiting.begin(), waiting.end(), std::not_fn(cancelled));
    ended.insert(ended.end(), kept_end, waiting.end());
    waiting.erase(kept_end, waiting.end());
  }
  for (const auto& stream : ended) {
    stream->answer.cancel();
    finish(stream, nullptr);
  }
}

// From the logits of the step before to what each stream feeds next.
void Scheduler::State::sample() {
  Streams ready;
  for (const auto& stream : running) {
    if (stream->decodes() && !stream->has_next) ready.push_back(stream);
  }
  std::erase_if(ready, [this](const auto& stream) {
    try {
      if (stream->answer.wants_token()) return false;
      finish(stream, nullptr);
    } catch (...) {  // from the mask
      finish(stream, std::current_exception());
    }
    return true;
  });
  if (ready.empty()) return;
  stepper->parallel(static_cast<int64_t>(ready.size()), [&](int64_t i) {
    Stream::State& s = *ready[static_cast<size_t>(i)];
    try {
      s.sampled = s.answer.sample(s.sequence.logits, s.sequence.tokens);
    } catch (...) {
      s.error = std::current_exception();
    }
  });
  for (const auto& stream : ready) {
    try {
      if (stream->error) std::rethrow_exception(stream->error);
      stream->has_next = stream->answer.push(stream->sampled, static_cast<int>(stream->fed()) < stepper->context());
      stream->next = stream->sampled;
      if (!stream->has_next) finish(stream, nullptr);
    } catch (...) {  // from on_text, or memory
      finish(stream, std::current_exception());
    }
  }
}

void Scheduler::State::plan() {
  parts.clear();
  stepped.clear();
  for (const auto& stream : running) {
    if (!stream->has_next) continue;
    parts.push_back({&stream->sequence, {&stream->next, 1}, LogitRows::kLast});
    stepped.push_back(stream);
  }
  deal_prompts();
}

// Every stream whose prompt is not through gets an even share of the chunk; what a short rest leaves goes to the
// others.
void Scheduler::State::deal_prompts() {
  int budget = stepper->chunk();
  if (!parts.empty()) budget = std::min(budget, options.chunk_with_decode);
  Streams prompts;
  std::vector<std::pair<std::shared_ptr<Stream::State>, std::exception_ptr>> failed;
  for (size_t i = 0; i < running.size(); ++i) {
    try {
      if (!running[i]->decodes() && begin(*running[i], i)) prompts.push_back(running[i]);
    } catch (...) {  // memory
      failed.emplace_back(running[i], std::current_exception());
    }
  }
  for (auto& [stream, error] : failed) finish(stream, error);
  std::stable_sort(prompts.begin(), prompts.end(), [](const auto& a, const auto& b) { return a->left() < b->left(); });
  for (size_t i = 0; i < prompts.size() && budget > 0; ++i) {
    Stream::State& s = *prompts[i];
    const int share = std::min(s.left(), std::max(1, budget / static_cast<int>(prompts.size() - i)));
    const auto part = std::span<const TokenId>(s.request.prompt).subspan(s.fed(), static_cast<size_t>(share));
    parts.push_back({&s.sequence, part, share == s.left() ? LogitRows::kLast : LogitRows::kNone});
    stepped.push_back(prompts[i]);
    budget -= share;
  }
}

// Before a stream's first step: takes over what another sequence has of its prompt. False where one admitted before it
// is about to compute a common beginning: the two then share it.
bool Scheduler::State::begin(Stream::State& stream, size_t index) {
  if (stream.begun) return true;
  const std::span<const TokenId> prompt = stream.request.prompt;
  const int most = static_cast<int>(prompt.size()) - 1;  // the last token is computed, for its logits
  const Sequence* from = nullptr;
  int shared = kMinShared - 1;
  const auto consider = [&](const Sequence& sequence) {
    const int common = std::min(most, common_prefix(prompt, sequence.tokens));
    if (common > shared) shared = common, from = &sequence;
  };
  for (const Sequence& sequence : kept) consider(sequence);
  for (size_t i = 0; i < running.size(); ++i) {
    if (running[i]->begun && i != index) consider(running[i]->sequence);
  }
  for (size_t i = 0; i < index; ++i) {
    if (std::min(most, common_prefix(prompt, running[i]->request.prompt)) > shared) return false;
  }
  stream.sequence = from != nullptr ? stepper->fork(*from, shared) : stepper->begin();
  stream.begun = true;
  stream.started = Clock::now();
  RunStats& s = stream.answer.generation.stats;
  s.queue_seconds = seconds_between(stream.submitted, stream.started);
  s.reused_tokens = from != nullptr ? shared : 0;
  s.prefill_tokens = static_cast<int>(prompt.size()) - s.reused_tokens;
  return true;
}

void Scheduler::State::step() {
  const uint64_t before = stepper->work().bytes;
  try {
    stepper->step(parts);
  } catch (...) {
    // Memory is short, and every sequence is as before: the youngest makes room for the others.
    finish(stepped.back(), std::current_exception());
    kept.clear();
    return;
  }
  const uint64_t bytes = stepper->work().bytes - before;
  uint64_t decoded = 0, prefilled = 0;
  for (size_t i = 0; i < stepped.size(); ++i) {
    Stream::State& s = *stepped[i];
    if (s.has_next) {
      s.has_next = false;
      ++s.answer.generation.stats.decode_tokens;
      s.answer.generation.stats.decode_bytes += bytes;
      ++decoded;
    } else {
      prefilled += parts[i].added.size();
      if (s.left() == 0) s.prefilled = Clock::now();
    }
  }
  const std::lock_guard lock(mutex);
  ++stats.steps;
  stats.decode_tokens += decoded;
  stats.prefill_tokens += prefilled;
  stats.bytes_read = stepper->work().bytes;
}

void Scheduler::State::finish(std::shared_ptr<Stream::State> stream, std::exception_ptr error) {
  Stream::State& s = *stream;
  RunStats& times = s.answer.generation.stats;
  try {
    if (!error && s.begun) s.answer.finish(s.sequence.logits);
  } catch (...) {  // from on_text
    error = std::current_exception();
  }
  const auto now = Clock::now();
  if (s.decodes()) {
    times.prefill_seconds = seconds_between(s.started, s.prefilled);
    times.decode_seconds = seconds_between(s.prefilled, now);
  } else if (s.begun) {
    times.prefill_seconds = seconds_between(s.started, now);
  }
  std::erase(running, stream);
  if (s.begun && !error && options.kept > 0 && s.fed() >= static_cast<size_t>(kMinShared)) {
    while (static_cast<int>(kept.size()) >= options.kept) kept.pop_front();
    kept.push_back(std::move(s.sequence));
  }
  s.sequence = Sequence();  // its pages are free from here on, however long somebody holds the stream
  {
    const std::lock_guard lock(mutex);
    stats.running = static_cast<int>(running.size());
    stats.reused_tokens += static_cast<uint64_t>(times.reused_tokens);
  }
  {
    const std::lock_guard lock(s.mutex);
    s.error = error;
    s.done = true;
  }
  s.changed.notify_all();
  if (s.request.on_done) s.request.on_done();
}

Scheduler::Scheduler(std::shared_ptr<const Model> model, const SchedulerOptions& options) {
  const auto require = [](bool ok, const char* what, int value) {
    if (!ok) throw Error(ErrorKind::kUsage, fmt::format("a scheduler cannot have {} {}", value, what));
  };
  require(options.streams >= 1 && options.streams <= 4096, "streams", options.streams);
  require(options.waiting >= 0, "places to wait", options.waiting);
  require(options.chunk_with_decode >= 1, "prefill tokens beside decode", options.chunk_with_decode);
  require(options.kept >= 0, "kept sequences", options.kept);
  state_ = std::make_unique<State>(loaded(std::move(model)), options);
  try {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
  } catch (const std::system_error& error) {
    throw Error(ErrorKind::kLimit, fmt::format("the scheduler's thread cannot start: {}", error.code().message()), {},
                "raise the limit of processes, as in `ulimit -u` or a container's pids limit");
  }
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work.notify_all();
  state_->thread.join();
}

Stream Scheduler::submit(Request request) {
  State& s = *state_;
  if (request.prompt.empty())
    throw Error(ErrorKind::kBadInput, "the prompt is empty", {}, "at least one token is needed to begin");
  s.stepper->check_size(request.prompt.size());
  s.stepper->check_ids(request.prompt);
  const auto stream = std::make_shared<Stream::State>(s.stepper->model(), std::move(request));
  {
    const std::lock_guard lock(s.mutex);
    if (static_cast<int>(s.waiting.size()) >= s.options.waiting + s.options.streams - s.stats.running) {
      throw Error(ErrorKind::kLimit, fmt::format("{} requests wait already", s.waiting.size()), {}, "try again later");
    }
    s.waiting.push_back(stream);
  }
  s.work.notify_one();
  return Stream(stream);
}

SchedulerStats Scheduler::stats() const {
  const std::lock_guard lock(state_->mutex);
  SchedulerStats stats = state_->stats;
  stats.waiting = static_cast<int>(state_->waiting.size());
  return stats;
}

}  // namespace fieldprint
