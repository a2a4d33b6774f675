#include "fieldprint/boundaries.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "fieldprint/error.h"

namespace fieldprint {

const char* boundary_cause_name(BoundaryCause cause) {
  constexpr const char* kNames[] = {"turn", "call", "tokens", "anchors", "rollback", "end"};
  return kNames[static_cast<size_t>(cause)];
}

// Places [taken, published) mod size are full. Each counter is written by one thread; `signal` wakes the consumer.
struct BoundaryRing::State {
  std::vector<Boundary> places;
  alignas(64) std::atomic<uint64_t> published{0};
  alignas(64) std::atomic<uint64_t> taken{0};
  alignas(64) std::atomic<uint32_t> signal{0};
  std::atomic<bool> closed{false}, abandoned{false};

  void wake() {
    signal.fetch_add(1, std::memory_order_release);
    signal.notify_one();
  }
};

BoundaryRing::BoundaryRing(int places) : state_(std::make_unique<State>()) {
  if (places < 1) throw Error(ErrorKind::kUsage, fmt::format("a ring of {} places", places));
  state_->places.resize(static_cast<size_t>(places));
}
BoundaryRing::~BoundaryRing() = default;

bool BoundaryRing::try_take(Boundary& next) {
  State& s = *state_;
  const uint64_t at = s.taken.load(std::memory_order_relaxed);
  if (at == s.published.load(std::memory_order_acquire)) return false;
  std::swap(next, s.places[at % s.places.size()]);
  s.taken.store(at + 1, std::memory_order_release);
  return true;
}

bool BoundaryRing::take(Boundary& next) {
  for (;;) {
    const uint32_t signal = state_->signal.load(std::memory_order_acquire);
    const bool closed = state_->closed.load(std::memory_order_acquire);
    if (try_take(next)) return true;
    if (closed || abandoned()) return false;
    state_->signal.wait(signal, std::memory_order_acquire);
  }
}

void BoundaryRing::abandon() {
  state_->abandoned.store(true, std::memory_order_release);
  state_->wake();
}

bool BoundaryRing::abandoned() const { return state_->abandoned.load(std::memory_order_acquire); }

Boundary* BoundaryRing::place() {
  State& s = *state_;
  const uint64_t at = s.published.load(std::memory_order_relaxed);
  if (at - s.taken.load(std::memory_order_acquire) == s.places.size()) return nullptr;
  return &s.places[at % s.places.size()];
}

void BoundaryRing::publish() {
  state_->published.fetch_add(1, std::memory_order_release);
  state_->wake();
}

void BoundaryRing::close() {
  state_->closed.store(true, std::memory_order_release);
  state_->wake();
}

}  // namespace fieldprint
