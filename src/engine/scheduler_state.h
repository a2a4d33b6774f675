// What a scheduler is made of. Its own thread owns all of it but what a mutex guards.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/anchor_bank.h"
#include "engine/answer.h"
#include "engine/prefix_cache.h"
#include "engine/prompt_share.h"
#include "engine/speculator.h"
#include "engine/stepper.h"
#include "engine/visible_tokens.h"
#include "fieldprint/scheduler.h"

namespace fieldprint {

using Clock = std::chrono::steady_clock;

inline double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// One answer: its place in the steps.
struct Lane {
  Lane(int n, const LoadedModel& model, const SamplingOptions& sampling, OnText on_text)
      : number(n), answer(model, sampling, std::move(on_text)) {}

  const int number;  // in Stream::State::lanes; a rollback puts another one in its place
  Answer answer;
  Sequence sequence;
  DraftedSteps drafts;
  bool has_next = false;  // `next` is to be fed
  TokenId next = 0;
  TokenId sampled = 0;
  bool ended = false;
  std::exception_ptr error;  // of sampling, then what ended it
};

// What one answer has committed to, from its first token to its last, whatever is rolled back in between.
struct Commits {
  uint64_t number = 0;        // boundaries so far
  int position = 0;           // up to which the context is in one of them
  int64_t tokens = 0;         // that it has given, those withdrawn too
  int64_t tokens_before = 0;  // when its last boundary came
  int unsent = 0;             // boundaries that wait for a place
  int64_t tokens_unsent = 0;  // when the oldest of these came
  std::atomic<bool> asked{false};
};

struct Stream::State {
  State(const LoadedModel& model, Request&& r, int clearance);
  std::unique_ptr<Lane> make_lane(int number);  // throws Error kUsage, and what the mask's maker throws

  const LoadedModel& model;
  Request request;
  uint64_t id = 0;
  VisibleTokens prompt;
  std::vector<std::unique_ptr<Lane>> lanes;  // one an answer. The leading one computes the prompt, the others fork it.
  size_t leads = 0;
  uint64_t epoch = 0;  // of the revocations that the prompt holds nothing of
  int rollbacks = 0;
  std::vector<Commits> commits;                    // of each lane
  std::shared_ptr<const BoundaryContext> context;  // null: no boundary yet, or none wanted
  Clock::time_point submitted, started, prefilled;
  double queue_seconds = 0;
  bool begun = false;        // has had its first step, or a part of it by a fork
  bool prompt_done = false;  // every lane has the prompt and its logits
  uint64_t loading = 0;      // the cached sequence whose file it waited for; 0: none so far

  bool labelled() const { return !request.spans.empty(); }
  // Tells who asks how much of the prompt is there.
  void progress() {
    if (!request.on_progress) return;
    const auto total = static_cast<int>(prompt.tokens.size());
    const int reused = lead().answer.generation.stats.reused_tokens;
    request.on_progress(prompt_done ? total : static_cast<int>(fed()), total, reused);
  }
  Lane& lead() const { return *lanes[leads]; }
  size_t fed() const { return lead().sequence.tokens.size(); }  // before the prompt is done
  int left() const { return static_cast<int>(prompt.tokens.size() - fed()); }
  // How much of the prompt `tokens` begin with; a prompt without labels asks for none, unless influence is to be told
  // by them.
  size_t common(std::span<const TokenId> tokens, const Spans& labels) const;
  int live() const;  // lanes that have not ended

  // Of all threads.
  std::atomic<bool> cancelled{false};
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::vector<bool> done;  // of each lane
};

struct Scheduler::State {
  using StreamPtr = std::shared_ptr<Stream::State>;
  struct Place {
    StreamPtr stream;
    Lane* lane;
  };

  State(std::shared_ptr<const LoadedModel> model, const SchedulerOptions& o)
      : options(o),
        stepper(std::make_shared<Stepper>(std::move(model), o.session)),
        prompt_share(o.chunk_with_decode),
        speculator(*stepper),
        cache(stepper, o, [this] { wake(); }),
        bank(stepper, cache, o.on_anchor_fault) {}

  void run();
  void step();
  void publish();
  void wake();
  int places() const;  // taken in a step

  // scheduler_prompts.cpp
  void admit();
  void deal_prompts();
  bool begin(Stream::State& stream, size_t index);
  void prompt_is_done(const StreamPtr& stream);

  // scheduler_revocation.cpp
  void drop_revoked();
  std::optional<Revocations::Hit> revoked(Stream::State& stream);
  void roll_back(const StreamPtr& stream, const Revocations::Hit& hit);
  void withdraw(const StreamPtr& stream, const Revocations::Hit& hit);
  Sequence clean_beginning(const Stream::State& stream);

  // scheduler_boundaries.cpp
  void begin_boundaries(Stream::State& stream);
  void token_told(const StreamPtr& stream, Lane& lane);
  void boundary(const StreamPtr& stream, Lane& lane, BoundaryCause cause, const Rollback* rollback = nullptr);
  void send_boundaries();
  void nobody_takes_boundaries();
  bool stalled(const Stream::State& stream, const Lane& lane) const;
  void close_boundaries();

  // scheduler_answers.cpp
  void sweep();
  void sample();
  void sample(std::vector<Place>& ready);
  void feed_answers();
  std::exception_ptr explained(const Lane& lane) const;
  void end(const StreamPtr& stream, Lane& lane, std::exception_ptr error);
  void end_all(const StreamPtr& stream, std::exception_ptr error);

  const SchedulerOptions options;
  const std::shared_ptr<Stepper> stepper;

  // Of the scheduler's thread.
  std::vector<StreamPtr> running;  // in order of admission
  std::vector<StepPart> parts;     // of the next step
  std::vector<Place> stepped;      // whose parts these are
  struct Unsent {
    Boundary boundary;
    StreamPtr stream;
    int answer;
    int64_t tokens;  // Commits::tokens when it came
  };
  std::deque<Unsent> unsent;  // boundaries that wait for a place in the ring, oldest first
  PromptShare prompt_share;
  Speculator speculator;
  StepOutcome outcome;           // of the last step, for the speculator
  Clock::time_point step_began;  // with the guesses for it

  std::mutex mutex;  // of what follows
  std::condition_variable work;
  std::deque<StreamPtr> waiting;
  bool stopping = false;
  SchedulerStats stats;
  std::vector<StreamInfo> infos;  // `seconds` counted in `begun_at`
  std::vector<Clock::time_point> begun_at;
  uint64_t submitted = 0;
  Clock::time_point came_around;  // the thread, last
  bool busy = false, loaded = false;

  std::thread thread;
  PrefixCache cache;  // its thread tells this one
  AnchorBank bank;    // its thread tells the cache
};

}  // namespace fieldprint
