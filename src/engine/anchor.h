// A text at the start of contexts, computed once: its pages are pinned as long as somebody holds the anchor, and all
// that begin with it share them. What it holds does not change, so any thread may read it; fork it as any sequence.
#pragma once

#include <mutex>
#include <utility>

#include "engine/stepper.h"

namespace fieldprint {

class Anchor {
 public:
  explicit Anchor(Sequence sequence) : sequence_(std::move(sequence)) {
    const std::lock_guard lock(sequence_.stepper->model().step_mutex());
    sequence_.state->pin();
  }
  ~Anchor() {
    const std::lock_guard lock(sequence_.stepper->model().step_mutex());
    sequence_.state->unpin();
  }
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

  const Sequence& sequence() const { return sequence_; }

 private:
  Sequence sequence_;
};

}  // namespace fieldprint
