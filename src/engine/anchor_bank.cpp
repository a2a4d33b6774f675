#include "engine/anchor_bank.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <iterator>
#include <utility>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// The thread hashes for so long at least, and rests so many times as long as it has hashed: 0.5 % of one core. Counted
// in its own time, so that it is not slower yet where others take the core.
constexpr auto kWorks = std::chrono::microseconds(50);
constexpr int kRests = 200;

std::chrono::nanoseconds own_time() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

std::string hex(const Anchor::Digest& digest) {
  std::string out;
  for (const std::byte byte : digest) out += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return out;
}

}  // namespace

AnchorBank::AnchorBank(std::shared_ptr<Stepper> stepper, PrefixCache& cache,
                       std::function<void(const AnchorFault&)> fault)
    : stepper_(std::move(stepper)), cache_(cache), fault_(std::move(fault)) {}

AnchorBank::~AnchorBank() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const Anchor> AnchorBank::compute(std::span<const LabelledTokens> spans) {
  const VisibleTokens text(spans, stepper_->options().clearance);
  if (text.tokens.empty()) throw Error(ErrorKind::kBadInput, "an anchor without a token");
  stepper_->check_size(text.tokens.size());
  stepper_->check_ids(text.tokens);
  Sequence sequence = stepper_->begin();
  text.label(sequence.state->spans, 0);
  const std::span<const TokenId> tokens = text.tokens;
  const auto chunk = static_cast<size_t>(stepper_->chunk());
  while (sequence.tokens.size() < tokens.size()) {
    const size_t done = sequence.tokens.size();
    if (const auto hit = stepper_->check(sequence))
      throw Error(ErrorKind::kBadInput, fmt::format("{} was revoked: it cannot be an anchor", hit->label.source));
    try {
      stepper_->step(sequence, tokens.subspan(done, std::min(chunk, tokens.size() - done)), LogitRows::kNone);
    } catch (const StaleSequence&) {  // something was revoked just now: looked at again
    }
  }
  return std::make_shared<const Anchor>(std::move(sequence));
}

AnchorInfo AnchorBank::compile(std::span<const LabelledTokens> spans, const std::string& domain) {
  One one;
  one.spans.assign(spans.begin(), spans.end());
  one.anchor = compute(one.spans);
  one.digests = one.anchor->digests();
  const Sequence& sequence = one.anchor->sequence();
  one.info.domain = domain;
  one.info.tokens = static_cast<int>(sequence.tokens.size());
  one.info.bytes = static_cast<uint64_t>(sequence.state->bytes());
  one.info.kv_digest = kv_digest(one.digests);
  const auto pages = sequence.state->pages(stepper_->model().fingerprint(), sequence.tokens);
  if (!pages.empty()) one.info.chain = pages.back().hash;
  one.info.pieces = one.anchor->pieces();
  const std::lock_guard lock(mutex_);
  one.info.id = ++ids_;
  all_.push_back(one);
  return one.info;
}

AnchorBank::One* AnchorBank::one(uint64_t id) {
  const auto found = std::find_if(all_.begin(), all_.end(), [id](const One& one) { return one.info.id == id; });
  return found != all_.end() ? &*found : nullptr;
}

void AnchorBank::pin(uint64_t id, const std::string& expected) {
  std::shared_ptr<const Anchor> anchor;
  {
    const std::lock_guard lock(mutex_);
    if (const One* found = one(id)) anchor = found->anchor;
  }
  if (anchor == nullptr) throw Error(ErrorKind::kNotFound, fmt::format("there is no anchor {}", id));
  const std::string found = kv_digest(anchor->digests());
  if (found != expected) {
    throw Error(ErrorKind::kBadInput, fmt::format("the anchor's pages have the digest {}, not {}", found, expected), {},
                "another model, type of keys and values or page size than it was compiled with; or memory at fault");
  }
  const std::lock_guard lock(mutex_);
  One* pinned = one(id);
  if (pinned == nullptr || stepper_->revocations().find(anchor->sequence().state->spans))
    throw Error(ErrorKind::kBadInput, fmt::format("the anchor {} was revoked or dropped meanwhile", id));
  pinned->info.pinned = true;
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  work_.notify_all();
}

bool AnchorBank::drop(uint64_t id) {
  One dropped;  // its pages are given back once the mutex is free: that waits for a step
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(all_.begin(), all_.end(), [id](const One& one) { return one.info.id == id; });
  if (found == all_.end()) return false;
  dropped = std::move(*found);
  all_.erase(found);
  return true;
}

std::vector<AnchorInfo> AnchorBank::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<AnchorInfo> infos;
  for (const One& one : all_) infos.push_back(one.info);
  return infos;
}

std::shared_ptr<const Anchor> AnchorBank::find(
    const std::string& domain, const std::function<bool(std::span<const TokenId>, const Spans&)>& whole) const {
  const std::lock_guard lock(mutex_);
  const One* best = nullptr;
  for (const One& one : all_) {
    if (!one.info.pinned || one.info.domain != domain || (best != nullptr && one.info.tokens <= best->info.tokens))
      continue;
    const Sequence& sequence = one.anchor->sequence();
    if (whole(sequence.tokens, sequence.state->spans)) best = &one;
  }
  return best != nullptr ? best->anchor : nullptr;
}

void AnchorBank::drop_revoked() {
  std::vector<One> dropped;
  const std::lock_guard lock(mutex_);
  const auto gone = std::stable_partition(all_.begin(), all_.end(), [this](const One& one) {
    return !stepper_->revocations().find(one.anchor->sequence().state->spans);
  });
  std::move(gone, all_.end(), std::back_inserter(dropped));
  all_.erase(gone, all_.end());
}

void AnchorBank::busy(bool something_runs) {
  if (busy_.load(std::memory_order_relaxed) == something_runs) return;
  const std::lock_guard lock(mutex_);
  busy_ = something_runs;
  work_.notify_all();
}

// One piece after the other, of one anchor after the other.
void AnchorBank::run() {
  std::vector<std::byte> bytes;
  std::chrono::nanoseconds worked{0};
  uint64_t id = 0;
  int piece = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto pinned = [](const One& one) { return one.info.pinned; };
    work_.wait(lock, [&] { return stopping_ || (busy_ && std::any_of(all_.begin(), all_.end(), pinned)); });
    if (stopping_) return;
    const One* now = one(id);
    if (now == nullptr || !now->info.pinned || piece >= now->info.pieces) {
      const auto next =
          std::find_if(all_.begin(), all_.end(), [&](const One& o) { return pinned(o) && o.info.id > id; });
      now = next != all_.end() ? &*next : &*std::find_if(all_.begin(), all_.end(), pinned);
      id = now->info.id;
      piece = 0;
    }
    if (piece < now->info.pieces) {
      const std::shared_ptr<const Anchor> anchor = now->anchor;
      const Anchor::Digest expected = now->digests[static_cast<size_t>(piece)];
      lock.unlock();
      const auto begin = own_time();
      const Anchor::Digest found = anchor->digest(piece, bytes);
      worked += own_time() - begin;
      if (found != expected) damaged(id, anchor, piece, found);
      lock.lock();
      ++piece;
    } else {
      worked += kWorks;  // the executor keeps nothing that could be looked at
    }
    if (worked < kWorks) continue;
    work_.wait_for(lock, std::exchange(worked, std::chrono::nanoseconds(0)) * kRests, [this] { return stopping_; });
  }
}

void AnchorBank::damaged(uint64_t id, const std::shared_ptr<const Anchor>& anchor, int piece,
                         const Anchor::Digest& found) {
  One was;
  {
    const std::lock_guard lock(mutex_);
    const One* held = one(id);
    if (held == nullptr || held->anchor != anchor) return;  // dropped meanwhile
    was = *held;
  }
  drop(id);
  const Sequence& sequence = anchor->sequence();
  VisibleTokens text(std::span<const TokenId>(sequence.tokens));
  text.labels = sequence.state->spans;
  stepper_->revocations().add_damaged(text);
  cache_.drop_revoked();
  AnchorFault fault{was.info.id, text.labels.at(0).label.source, piece, hex(was.digests[static_cast<size_t>(piece)]),
                    hex(found)};
  try {
    One again{was.info, was.spans, was.digests, compute(was.spans)};
    fault.recomputed = again.anchor->digests() == was.digests;
    const std::lock_guard lock(mutex_);
    if (fault.recomputed) all_.push_back(std::move(again));
  } catch (const std::exception&) {  // revoked meanwhile; memory
  }
  if (fault_) fault_(fault);
}

}  // namespace fieldprint
