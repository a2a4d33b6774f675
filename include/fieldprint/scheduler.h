// Many sequences that share each pass over the weights. Any thread may submit.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "fieldprint/session.h"

namespace fieldprint {

struct SchedulerOptions {
  SessionOptions session;      // of every stream; chunk: prefill tokens a step, of all streams together
  int streams = 16;            // answers at most in a step; the others wait, first come first served
  int waiting = 256;           // requests at most that wait; more are refused
  int chunk_with_decode = 64;  // prefill tokens of a step that others' decode tokens wait for
  int kept = 4;                // ended sequences that stay, for prompts that begin like one of them
};

// Callbacks run on the scheduler's thread, which all streams wait for.
struct Request {
  std::vector<TokenId> prompt;
  SamplingOptions sampling;  // max_tokens 0: only the prompt is computed, for its log-probabilities
  // Pieces of an answer, counted from 0. What it throws ends that answer alone.
  std::function<void(int answer, std::string_view text)> on_text;
  std::function<void()> on_done;  // called last, once; must not throw

  // In place of `prompt`: parts with labels. Those above `clearance` and above SessionOptions::clearance are left out;
  // what another sequence has computed is shared where the labels agree too, as Session::assign does it.
  std::vector<LabelledTokens> spans = {};
  int clearance = std::numeric_limits<int>::max();
  // Several answers of one prompt, which is computed once. Answer i is sampled with the seed sampling.seed + i: it is
  // what a request of that seed gives alone. The prompt's log-probabilities are with answer 0.
  int answers = 1;
};

// A request under way; copies are the same one. It may outlive the scheduler.
class Stream {
 public:
  void cancel();      // all answers, before the next step; what they have so far stands
  bool done() const;  // all answers
  int answers() const;
  // Waits until an answer is done. Throws what ended it, where that was an exception.
  Generation wait(int answer = 0) const;

 private:
  friend class Scheduler;
  struct State;
  explicit Stream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

struct SchedulerStats {
  int running = 0, waiting = 0;  // answers, requests
  uint64_t steps = 0, prefill_tokens = 0, decode_tokens = 0, reused_tokens = 0, bytes_read = 0;
};

// Every step carries the next token of each answer under way and a bounded chunk of the prompts that wait, dealt
// evenly: a long prompt holds up neither answers nor short prompts. A stream's tokens, text, log-probabilities and
// logits are bit by bit those that Session::generate gives alone, whoever else runs. A prompt that begins like another
// stream's shares its pages, unless its own log-probabilities are wanted. A thread of its own does the steps; sessions
// of the same model may run beside it.
class Scheduler {
 public:
  // Throws Error kUsage.
  explicit Scheduler(std::shared_ptr<const Model> model, const SchedulerOptions& options = {});
  ~Scheduler();  // cancels what runs or waits
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // From any thread. Throws Error kBadInput (nothing to see in the prompt, id outside the vocabulary), kUsage
  // (sampling, fewer than 1 or more than SchedulerOptions::streams answers), kLimit (prompt longer than the context,
  // too many waiting); the other streams do not notice.
  Stream submit(Request request);
  SchedulerStats stats() const;

 private:
  friend class Stream;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
