// Many sequences that share each pass over the weights. Any thread may submit.
#pragma once

#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/anchors.h"
#include "fieldprint/boundaries.h"
#include "fieldprint/session.h"

namespace fieldprint {

struct SchedulerOptions {
  SessionOptions session = {};  // of every stream; chunk: prefill tokens a step, of all streams together
  int streams = 16;             // answers at most in a step; the others wait, first come first served
  int waiting = 256;            // requests at most that wait; more are refused
  int chunk_with_decode = 0;    // prefill tokens of a step that others' decode tokens wait for; 0: by what steps take

  // Ended sequences stay for prompts that begin like one of them, those used last, within so many bytes of memory:
  // pages that several of them share count once. Memory that streams need is taken from them. 0: none stays.
  uint64_t cache_bytes = uint64_t{1} << 30;
  std::string cache_directory = {};  // where they outlive a restart, within cache_disk_bytes; empty: they do not
  uint64_t cache_disk_bytes = uint64_t{8} << 30;

  std::shared_ptr<BoundaryRing> boundaries = nullptr;  // of this scheduler alone; for requests that want them
  // On a thread of its own, which it may keep: of pinned anchors.
  std::function<void(const AnchorFault&)> on_anchor_fault = {};
};

// Callbacks run on the scheduler's thread, which all streams wait for.
struct Request {
  std::vector<TokenId> prompt;
  SamplingOptions sampling;  // max_tokens 0: only the prompt is computed, for its log-probabilities
  // Pieces of an answer, counted from 0. What it throws ends that answer alone.
  std::function<void(int answer, std::string_view text)> on_text;
  std::function<void()> on_done;  // called last, once; must not throw

  // In place of `prompt`: parts with labels. Those above `clearance` and above SessionOptions::clearance are left out;
  // what another sequence has computed is shared where the labels agree too, as Session::assign does it. A prompt
  // without labels shares whatever has the same tokens, but nothing above `clearance`.
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
  // Requests of different domains share nothing, not even the time that a shared beginning saves. At most 64 bytes.
  std::string cache_domain = {};
  // A source of the prompt was revoked (revocation.h): what the answer has given is withdrawn, and it begins anew from
  // the prompt without that source. Called before its next step; what it throws ends that answer alone. A source that
  // was revoked before the first step is left out without a word.
  std::function<void(int answer, const Rollback& rollback)> on_rollback = {};
  bool boundaries = false;   // into SchedulerOptions::boundaries
  std::string session = {};  // whose they are: goes along with them
};

// A request under way; copies are the same one. It may outlive the scheduler.
class Stream {
 public:
  uint64_t id() const;  // counted from 1 in the order of submission
  void cancel();        // all answers, before the next step; what they have so far stands
  bool done() const;    // all answers
  int answers() const;
  // Asks for a boundary behind what an answer has given by now, if it wants any; at its next token. From any thread,
  // its on_token too, after which the boundary comes at once.
  void commit(int answer = 0) const;
  // Waits until an answer is done. Throws what ended it, where that was an exception.
  Generation wait(int answer = 0) const;

 private:
  friend class Scheduler;
  struct State;
  explicit Stream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

struct SchedulerStats {
  int running = 0, waiting = 0;                      // answers, requests
  uint64_t drafted_tokens = 0, accepted_tokens = 0;  // SessionOptions::speculation
  uint64_t steps = 0, prefill_tokens = 0, decode_tokens = 0, reused_tokens = 0, bytes_read = 0;
  // Seconds since the scheduler's thread last came around, while it has something to do; else 0. One that grows far
  // beyond a step's time is stuck, in a callback perhaps.
  double last_step = 0;

  uint64_t reuses = 0;  // requests that began with what another had computed; reused_tokens: how much
  uint64_t cache_bytes = 0, cache_disk_bytes = 0;
  int cache_entries = 0;
  uint64_t cache_evictions = 0;                         // from memory
  uint64_t cache_damaged = 0, cache_failed_writes = 0;  // files that were refused, and not written
  uint64_t rollbacks = 0;                               // of answers
};

// An ended sequence that stays.
struct CachedSequence {
  uint64_t id = 0;  // until it is dropped; a longer one that takes its place has another
  std::string domain;
  int tokens = 0;
  uint64_t bytes = 0;       // in memory, those shared with others too; 0: it is on disk alone
  uint64_t disk_bytes = 0;  // 0: not written yet, or there is no directory
  std::chrono::system_clock::time_point used;
  int clearance = 0;  // the highest of its spans
  bool pinned = false;
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
  // (sampling, fewer than 1 or more than SchedulerOptions::streams answers, boundaries where there is no ring), kLimit
  // (prompt longer than the context, too many waiting); the other streams do not notice.
  Stream submit(Request request);
  SchedulerStats stats() const;
  std::vector<StreamInfo> streams() const;  // those that have begun, as after the last step

  // From any thread. When it returns, no cached sequence and no file of the cache holds these sources, pinned or not (a
  // file that is being written goes once it is), and no step begins any more that does: answers that had read them
  // begin anew (Request::on_rollback). One whose prompt was nothing else, or that has begun anew kMaxRollbacks times,
  // ends with an Error. Throws Error kUsage for a source without a name.
  void revoke(std::span<const std::string> sources);

  // ---- Anchors (anchors.h), from any thread. A revoked one is dropped.

  // Computes them, in steps between those of the streams. Throws Error kBadInput (no token, one outside the vocabulary,
  // a revoked source), kLimit.
  AnchorInfo compile_anchor(std::span<const LabelledTokens> spans, const std::string& domain = {});
  // From now on requests share it whose prompt begins with it, labels too. Throws Error kNotFound for an unknown id,
  // kBadInput where its pages do not have this digest.
  void pin_anchor(uint64_t id, const std::string& kv_digest);
  bool drop_anchor(uint64_t id);  // answers that share it go on; false for an unknown id
  std::vector<AnchorInfo> anchors() const;

  // ---- Ended sequences, from any thread. A file is a saved session (Session::save).

  std::vector<CachedSequence> cached() const;                   // the one used last comes first
  std::vector<LabelledTokens> cached_spans(uint64_t id) const;  // what it holds; nothing for an unknown id
  // The one that begins like `tokens` for the longest part; 0: none.
  uint64_t find_cached(std::span<const TokenId> tokens, const std::string& domain = {}) const;
  // Throws Error kNotFound for an unknown id, kIo, kUnsupported.
  void save_cached(uint64_t id, const std::string& path) const;
  // Returns its id. Throws Error as Session::load does, kLimit where it is larger than SchedulerOptions::cache_bytes.
  uint64_t load_cached(const std::string& path, const std::string& domain = {});
  bool erase_cached(uint64_t id);             // its file too; false for an unknown id
  bool pin_cached(uint64_t id, bool pinned);  // a pinned one is not dropped for others

 private:
  friend class Stream;
  friend struct SchedulerPeer;  // of tests
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
