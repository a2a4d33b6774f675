// The anchors of a scheduler, and the thread that looks after them: it hashes what is pinned, piece after piece, as
// long as something runs and for a small share of the time. A piece that is not what it was takes the anchor with it.
// Every member may be called from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/anchor.h"
#include "engine/prefix_cache.h"
#include "fieldprint/anchors.h"

namespace fieldprint {

class AnchorBank {
 public:
  // `cache` outlives the bank: what depends on a damaged anchor leaves it. `fault` is called on the bank's thread, or
  // is empty.
  AnchorBank(std::shared_ptr<Stepper> stepper, PrefixCache& cache, std::function<void(const AnchorFault&)> fault);
  ~AnchorBank();
  AnchorBank(const AnchorBank&) = delete;
  AnchorBank& operator=(const AnchorBank&) = delete;

  // As Scheduler's members of these names say.
  AnchorInfo compile(std::span<const LabelledTokens> spans, const std::string& domain);
  void pin(uint64_t id, const std::string& kv_digest);
  bool drop(uint64_t id);
  std::vector<AnchorInfo> list() const;

  // The longest pinned one of the domain for which whole(tokens, labels) says so; null: none.
  std::shared_ptr<const Anchor> find(const std::string& domain,
                                     const std::function<bool(std::span<const TokenId>, const Spans&)>& whole) const;
  void drop_revoked();
  void busy(bool something_runs);  // else nothing is looked at

 private:
  struct One {
    AnchorInfo info;
    std::vector<LabelledTokens> spans;
    std::vector<Anchor::Digest> digests;
    std::shared_ptr<const Anchor> anchor;
  };

  std::shared_ptr<const Anchor> compute(std::span<const LabelledTokens> spans);
  One* one(uint64_t id);
  void run();
  void damaged(uint64_t id, const std::shared_ptr<const Anchor>& anchor, int piece, const Anchor::Digest& found);

  const std::shared_ptr<Stepper> stepper_;
  PrefixCache& cache_;
  const std::function<void(const AnchorFault&)> fault_;

  mutable std::mutex mutex_;  // of what follows
  std::vector<One> all_;
  uint64_t ids_ = 0;
  bool stopping_ = false;
  std::atomic<bool> busy_{false};
  std::condition_variable work_;

  std::thread thread_;  // from the first pin on
};

}  // namespace fieldprint
