// Which sources have been revoked, and which anchors were found damaged. Of any thread; sequences are checked against
// it by the thread that has them. Each change counts the epoch up, so that whoever asks again need only compare
// numbers.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/visible_tokens.h"
#include "fieldprint/error.h"

namespace fieldprint {

class Revocations {
 public:
  static constexpr uint64_t kNever = 0;  // no epoch: what was checked then must be checked again

  // Throws Error kUsage for a source without a name.
  explicit Revocations(std::span<const std::string> sources = {});

  uint64_t epoch() const { return epoch_.load(std::memory_order_acquire); }

  // Throws Error kUsage for a source without a name: text that nobody labelled has none.
  void add(std::span<const std::string> sources);
  // What begins with these and was computed before now is damaged.
  void add_damaged(const VisibleTokens& anchor);

  // What a context depends on and may not: the first position of it.
  struct Hit {
    int position = 0;
    SpanLabel label;
    bool damaged = false;
  };
  // In labels, those of positions to come among them.
  std::optional<Hit> find(const Spans& labels) const;
  // In what was last checked at `epoch`.
  std::optional<Hit> find(std::span<const TokenId> tokens, const Spans& labels, uint64_t epoch) const;

  // Drops from `text` what has been revoked, and what the model wrote behind it; the last span stays if `keeps_last`
  // and it is none of a revoked source. `seen`: something revoked came before the text. True where it has changed.
  bool leave_out(VisibleTokens& text, bool keeps_last, bool seen = false) const;

 private:
  struct Damage {
    VisibleTokens anchor;
    uint64_t epoch;
  };
  std::optional<Hit> find_locked(const Spans& labels) const;

  mutable std::mutex mutex_;  // of what follows
  std::set<std::string, std::less<>> sources_;
  std::vector<Damage> damages_;
  std::atomic<uint64_t> epoch_{kNever + 1};
};

// A step was asked for with a sequence that has not been checked since the last revocation. Nothing was done.
class StaleSequence : public Error {
 public:
  StaleSequence() : Error(ErrorKind::kBadInput, "a source of this text has been revoked") {}
};

}  // namespace fieldprint
