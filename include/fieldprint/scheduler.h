// Many sequences that share each pass over the weights. Any thread may submit.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "fieldprint/session.h"

namespace fieldprint {

struct SchedulerOptions {
  SessionOptions session;      // of every stream; chunk: prefill tokens a step, of all streams together
  int streams = 16;            // at most in a step; the others wait, first come first served
  int waiting = 256;           // requests at most that wait; more are refused
  int chunk_with_decode = 64;  // prefill tokens of a step that others' decode tokens wait for
  int kept = 4;                // ended sequences that stay, for prompts that begin like one of them
};

struct Request {
  std::vector<TokenId> prompt;
  SamplingOptions sampling;
  // Called on the scheduler's thread, which all streams wait for. What it throws ends this stream alone.
  std::function<void(std::string_view)> on_text;
  std::function<void()> on_done;  // called last, once; must not throw
};

// A request under way; copies are the same one. It may outlive the scheduler.
class Stream {
 public:
  void cancel();  // before the next step; the answer so far stands
  bool done() const;
  // Waits until it is done. Throws what ended the stream, where that was an exception.
  Generation wait() const;

 private:
  friend class Scheduler;
  struct State;
  explicit Stream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

struct SchedulerStats {
  int running = 0, waiting = 0;
  uint64_t steps = 0, prefill_tokens = 0, decode_tokens = 0, reused_tokens = 0, bytes_read = 0;
};

// Every step carries the next token of each stream that decodes and a bounded chunk of the prompts that wait, dealt
// evenly: a long prompt holds up neither answers nor short prompts. A stream's tokens, text and logits are bit by bit
// those that Session::generate gives alone, whoever else runs. A prompt that begins like another stream's shares its
// pages. A thread of its own does the steps; sessions of the same model may run beside it.
class Scheduler {
 public:
  // Throws Error kUsage.
  explicit Scheduler(std::shared_ptr<const Model> model, const SchedulerOptions& options = {});
  ~Scheduler();  // cancels what runs or waits
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // From any thread. Throws Error kBadInput (empty prompt, id outside the vocabulary), kUsage (sampling), kLimit
  // (prompt longer than the context, too many waiting); the other streams do not notice.
  Stream submit(Request request);
  SchedulerStats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
