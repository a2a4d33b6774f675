// One sequence of tokens on a model: fed, continued, cut back. One thread at a time per session.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/sampling.h"

namespace fieldprint {

enum class Executor {
  kRun,        // the fast path
  kReference,  // float64, slow and obvious: the oracle
};

struct SessionOptions {
  Executor executor = Executor::kRun;
  int context = 0;              // tokens at most; 0 = what the model was trained for
  int chunk = 512;              // prefill tokens per step; never changes the result
  int page_size = 64;           // tokens per KV page; never changes the result
  std::string kv_type = "f16";  // how keys and values are kept: f16, bf16, q8_0
};

// What the run line shows.
struct RunStats {
  int prefill_tokens = 0;
  int reused_tokens = 0;  // found in the cache, not computed again
  double prefill_seconds = 0;
  int decode_tokens = 0;
  double decode_seconds = 0;
  uint64_t decode_bytes = 0;  // weights and K/V read by the decode steps
  std::string logits_hash;    // first 16 hex digits of the SHA-256 of the last logits
};

enum class FinishReason { kEndToken, kStop, kLength, kContext, kCancelled };

struct Generation {
  std::string text;
  std::vector<TokenId> tokens;
  FinishReason reason = FinishReason::kLength;
  RunStats stats;
};

class Session {
 public:
  Session(std::shared_ptr<const Model> model, const SessionOptions& options = {});
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;

  // Appends `tokens`; afterwards logits() are those of the last one. Throws Error kLimit, naming both numbers, where
  // the context would overflow (nothing is changed), kBadInput for an id outside the vocabulary.
  void append(std::span<const TokenId> tokens, const Progress& progress = {});

  // As append, and calls `each` with the logits [vocabulary] of every appended token in order.
  void append(std::span<const TokenId> tokens, const std::function<void(int index, std::span<const float>)>& each);

  // Makes the session hold exactly `tokens`: what it already has of them is kept, the rest computed.
  // At least the last token is computed, so logits() are fresh. Returns how many were reused.
  int assign(std::span<const TokenId> tokens, const Progress& progress = {});

  void truncate(int size);  // drops everything from position `size` on

  // A second session that holds what this one does; pages are shared until one of the two writes to them.
  Session fork() const;

  // Writes tokens, keys and values to `path` (docs/formats/session.md), which appears whole or not at all. Throws Error
  // kIo; kUnsupported for the reference executor.
  void save(const std::string& path) const;
  // Replaces what the session holds by what save() wrote: the next steps give the same bits as if it had never stopped.
  // Throws Error kNotFound, kIo; kBadFile for a damaged file; kBadInput for one of another model or K/V type; kLimit
  // where it does not fit the context. On an error the session is as before.
  void load(const std::string& path);

  std::span<const float> logits() const;  // [vocabulary], of the last token; empty at the start
  std::span<const TokenId> tokens() const;
  int context() const;
  uint64_t kv_bytes() const;    // memory that the pages hold now
  uint64_t bytes_read() const;  // of weights, keys and values by all steps of this session and its forks; 0: reference
  const Model& model() const;

  // Feeds `prompt` (see assign) and samples until an end token, a stop string, a limit or `cancel`.
  // `on_text` gets the answer in pieces that are whole UTF-8 and never part of a stop string.
  Generation generate(std::span<const TokenId> prompt, const SamplingOptions& sampling,
                      const std::function<void(std::string_view)>& on_text = {},
                      const std::atomic<bool>* cancel = nullptr, const Progress& progress = {});

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
