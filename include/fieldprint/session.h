// One sequence of tokens on a model: fed, continued, cut back, saved.
//
// Threads: a session belongs to one thread at a time, with everything it returns. Different sessions of a model, forks
// too, may be used from different threads; their steps take turns on the model's threads.
#pragma once

#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/generation.h"
#include "fieldprint/labels.h"
#include "fieldprint/model.h"
#include "fieldprint/profile.h"
#include "fieldprint/revocation.h"
#include "fieldprint/sampling.h"
#include "fieldprint/speculation.h"

namespace fieldprint {

class Answer;

// What can run a model: "run" is the fast path, "reference" is float64, slow and obvious: the oracle.
std::vector<std::string> executor_names();

struct SessionOptions {
  std::string executor = "run";                // one of executor_names()
  int context = 0;                             // tokens at most; 0 = as many as the model was trained for
  int chunk = 0;                               // prefill tokens per step; 0 = the fastest; never changes the result
  int page_size = 64;                          // tokens per page of keys and values; never changes the result
  std::string kv_type = "f16";                 // how keys and values are kept: f16, bf16, q8_0, f32
  std::shared_ptr<Profile> profile = nullptr;  // null: nothing is measured
  int clearance = std::numeric_limits<int>::max();  // spans above it are left out (labels.h)
  bool influence = false;                           // measure it (see influence()); where the executor can
  Speculation speculation = {};                     // of generate(); not where influence is measured
  std::vector<std::string> revoked = {};            // sources: as if revoke() had been called first
};

// Revoked text (revocation.h) is gone from a session and its forks before the next step, and before any member returns
// what the session holds: what it held behind that text is then computed anew. generate() begins its answer anew.
//
// Spans that members return point into the session: they are valid until its next member that is not const, and no
// longer than the session.
class Session {
 public:
  // `model` is not null; the session keeps it. Throws Error kUsage for options out of range, kUnsupported for what the
  // executor or the model's heads do not allow.
  Session(std::shared_ptr<const Model> model, const SessionOptions& options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Appends `tokens`; afterwards logits() are those of the last one. Throws Error kLimit where the context would
  // overflow and kBadInput for an id outside the vocabulary (nothing is changed then), kLimit where `progress` (in
  // tokens) returned false (what was computed stays).
  void append(std::span<const TokenId> tokens, const Progress& progress = {});

  // As append, and calls `each` with the logits [vocabulary] of every appended token in order. They are valid during
  // the call, which must not use the session.
  void append(std::span<const TokenId> tokens, const std::function<void(int index, std::span<const float>)>& each);

  // Makes the session hold exactly `tokens` (behind the anchor): the longest beginning that it has already is kept, the
  // rest computed. At least the last token is computed, so logits() are fresh. Returns how many were reused. Throws as
  // append.
  int assign(std::span<const TokenId> tokens, const Progress& progress = {});

  // Drops everything from position `size` on; an anchor stays. Nothing happens where there are fewer tokens.
  void truncate(int size);

  // ---- Labels: docs/labels.md. Tokens appended without a label are kText, those that generate() adds kGenerated.

  // As append and assign, with a label for each part. Spans above the session's clearance are left out. assign() keeps
  // what is equal in its labels too.
  void append(std::span<const LabelledTokens> spans, const Progress& progress = {});
  int assign(std::span<const LabelledTokens> spans, const Progress& progress = {});

  // A fork that has never seen a span above `clearance`: what comes before the first such span is shared, what follows
  // is computed anew from what is left. Bit for bit as if those spans had never been there. Throws Error kUsage for a
  // clearance above this session's, which has left out what it would show; else as append.
  Session branch(int clearance, const Progress& progress = {}) const;

  // An anchor: tokens at positions 0 .. n-1 of this session and all its forks, computed once, in pinned pages that they
  // share. Drops what they held. No fork may be in use meanwhile. Throws as append does, kBadInput for a revoked
  // source; there is no anchor then.
  void set_anchor(std::span<const TokenId> tokens, const std::string& source, const Progress& progress = {});
  void remove_anchor();     // with every page that was computed while it was visible, of the forks too
  int anchor_size() const;  // tokens

  std::vector<LabelledTokens> spans() const;  // all tokens, an anchor's first
  std::vector<PageInfo> pages() const;        // their hashes are computed here; none where the executor has no pages

  // [spans + 1], of the last token: the share of its softmax mass that each of spans() got, the mean over layers and
  // heads; the last number is that of anchor rows inside the model file. They sum to 1. Empty where it is not measured
  // or nothing was computed.
  std::span<const float> influence() const;

  // From any thread, for this session and its forks; also while they work. Throws Error kUsage for a source without a
  // name, and says nothing of sources that nobody has used yet: they are left out when they come.
  void revoke(std::span<const std::string> sources);
  // Called on the session's thread, after what was revoked is gone; must not use the session. Not for its forks.
  void on_rollback(std::function<void(const Rollback&)> callback);

  // A second session that holds the same; pages are shared until one of the two writes to them. For any thread.
  Session fork() const;

  // Writes tokens, keys and values to `path` (docs/formats/session.md), which appears whole or not at all. Throws Error
  // kIo; kUnsupported where the executor cannot.
  void save(const std::string& path) const;
  // Replaces what the session holds by what save() wrote: the next steps give the same bits as if it had never stopped.
  // Throws Error kNotFound, kIo; kBadFile for a damaged file; kBadInput for one of another model or K/V type, or that
  // holds a revoked source; kLimit where it does not fit the context. On an error the session is as before.
  void load(const std::string& path);

  std::span<const float> logits() const;    // [vocabulary], of the last token; empty at the start, and after truncate()
  std::span<const TokenId> tokens() const;  // all of them, an anchor's first
  int context() const;                      // tokens at most
  uint64_t kv_bytes() const;                // memory that the pages hold now, those shared with forks too
  uint64_t bytes_read() const;  // of weights, keys and values by all steps of this session and its forks; 0: reference
  const Model& model() const;   // lives at least as long as the session

  // Feeds `prompt` (see assign) and samples until an end token, a stop string, a limit or `cancel`, which may be set
  // from any thread. `on_text` is called on this thread with the answer in pieces that are whole UTF-8 and never part
  // of a stop string; they are valid during the call, and what it throws passes through. Afterwards the session holds
  // prompt and answer. What on_text gave is withdrawn where on_rollback() says so; kLimit after kMaxRollbacks of these.
  // Where log-probabilities of the prompt are asked for, all of it but an anchor is computed anew.
  // Throws Error kBadInput for an empty prompt, kUsage for sampling options out of range, kBadFile for logits that are
  // not finite; else as append.
  Generation generate(std::span<const TokenId> prompt, const SamplingOptions& sampling,
                      const std::function<void(std::string_view)>& on_text = {},
                      const std::atomic<bool>* cancel = nullptr, const Progress& progress = {});
  Generation generate(std::span<const LabelledTokens> prompt, const SamplingOptions& sampling,
                      const std::function<void(std::string_view)>& on_text = {},
                      const std::atomic<bool>* cancel = nullptr, const Progress& progress = {});

 private:
  struct State;
  State& settled() const;
  explicit Session(std::unique_ptr<State> state);
  Generation answer(bool prompt_empty, const std::function<int(const Progress&)>& assign,
                    const SamplingOptions& sampling, const std::function<void(std::string_view)>& on_text,
                    const std::atomic<bool>* cancel, const Progress& progress);
  void attempt(Answer& answer, const std::function<int(const Progress&)>& assign, const std::atomic<bool>* cancel,
               const Progress& progress);
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
