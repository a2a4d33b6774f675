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

  // After each token of an answer, and its on_text: what there is of it so far, valid during the call. The influence of
  // its first token has no column yet for the answer itself. What it throws ends that answer alone.
  std::function<void(int answer, const Generation& so_far)> on_token = {};
  // While the prompt is read: `done` of `total` tokens are there, `reused` of them without being computed. Called
  // before the first step and after each, done == total at last. What it throws ends the request.
  std::function<void(int done, int total, int reused)> on_progress = {};
  // Measures Generation::influence, in the columns of the prompt's spans (those that are left, neighbours of equal
  // labels as one) and the answer; the last is that of anchor rows in the model file. Only what was computed under
  // equal labels is shared with such a request. SessionOptions::influence asks for it in every request.
  bool influence = false;
};

// A request under way; copies are the same one. It may outlive the scheduler.
class Stream {
 public:
  uint64_t id() const;  // counted from 1 in the order of submission
  void cancel();        // all answers, before the next step; what they have so far stands
  bool done() const;    // all answers
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
  // Seconds since the scheduler's thread last came around, while it has something to do; else 0. One that grows far
  // beyond a step's time is stuck, in a callback perhaps.
  double last_step = 0;
};

// An answer under way.
struct StreamInfo {
  uint64_t id = 0;  // Stream::id()
  int answer = 0;
  int prompt_tokens = 0;
  int done_tokens = 0;  // of the prompt, those reused among them
  int generated_tokens = 0;
  double seconds = 0;  // since its first step
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
  std::vector<StreamInfo> streams() const;  // those that have begun, as after the last step

 private:
  friend class Stream;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
