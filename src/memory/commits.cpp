#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/json.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_commits.h"
#include "fieldprint/memory_context.h"
#include "memory/commit_digests.h"

namespace fieldprint {

using namespace memory;

struct MemoryCommits::State {
  State(std::shared_ptr<MemoryCalls> m, MemoryCaller c, std::shared_ptr<const Model> model_, BoundaryRing& r)
      : memory(std::move(m)), caller(std::move(c)), model(std::move(model_)), ring(r) {}

  void run();
  void commit(const Boundary& boundary);

  const std::shared_ptr<MemoryCalls> memory;
  const MemoryCaller caller;
  const std::shared_ptr<const Model> model;
  BoundaryRing& ring;

  using Answer = std::pair<uint64_t, int>;  // stream, number
  std::map<Answer, Digest> links;           // of the thread below

  mutable std::mutex mutex;  // of what follows
  std::condition_variable changed;
  std::map<Answer, std::map<uint64_t, int64_t>> events;  // of each boundary that has been committed
  uint64_t committed = 0;
  std::string failure;
  bool ended = false;
  std::thread thread;
};

void MemoryCommits::State::commit(const Boundary& boundary) {
  const Answer answer{boundary.stream, boundary.answer};
  Digest& link = links[answer];
  link = next_link(link, boundary);
  std::set<std::string> seen, anchors;
  bool external = false;
  for (const SpanLabel& label : boundary.context->labels) {
    const std::string_view id = memory_id(label.source);
    if (!id.empty()) (label.kind == SpanKind::kAnchor ? anchors : seen).emplace(id);
    else if (label.kind == SpanKind::kTool || label.kind == SpanKind::kRetrieved) external = true;
  }
  const nlohmann::json params = {{"boundary", boundary.number},
                                 {"cause", boundary_cause_name(boundary.cause)},
                                 {"from", boundary.begin},
                                 {"to", std::max(boundary.begin, boundary.end)},
                                 {"token_ids", hex(token_digest(boundary.tokens))},
                                 {"hidden", hex(hidden_digest(boundary.hidden))},
                                 {"pages", hex(link)},
                                 {"model", hex(model_digest(*model))},
                                 {"seen", seen},
                                 {"anchors", anchors},
                                 {"external", external},
                                 {"replay", ledger::to_base64(encode_replay(boundary))}};
  MemoryCaller own = caller;
  own.session = boundary.context->session;
  const auto result = nlohmann::json::parse(memory->call(own, "commit", params.dump()));
  const bool anew = boundary.cause == BoundaryCause::kRollback || boundary.cause == BoundaryCause::kAnchorChange;
  if (anew) {
    const Rollback& back = boundary.rollback;
    const nlohmann::json told = {{"cause", back.source}, {"from", back.from}, {"to", back.to}, {"dropped", back.pages}};
    memory->call(own, "rolled_back", told.dump());
  }
  const bool last = boundary.cause == BoundaryCause::kTurn || boundary.cause == BoundaryCause::kEnd;
  if (last) links.erase(answer);
  const std::lock_guard lock(mutex);
  events[answer][boundary.number] = result.at("index").get<int64_t>();
  ++committed;
  changed.notify_all();
}

void MemoryCommits::State::run() {
  Boundary boundary;
  try {
    while (ring.take(boundary)) commit(boundary);
  } catch (const std::exception& error) {
    ring.abandon();
    const std::lock_guard lock(mutex);
    failure = error.what();
  }
  const std::lock_guard lock(mutex);
  ended = true;
  changed.notify_all();
}

MemoryCommits::MemoryCommits(std::shared_ptr<MemoryCalls> memory, MemoryCaller caller,
                             std::shared_ptr<const Model> model, BoundaryRing& ring)
    : state_(std::make_unique<State>(std::move(memory), std::move(caller), std::move(model), ring)) {
  state_->thread = std::thread([this] { state_->run(); });
}

MemoryCommits::~MemoryCommits() { state_->thread.join(); }

void MemoryCommits::wait_signed(uint64_t stream, int answer, uint64_t number) {
  State& s = *state_;
  int64_t index = -1;
  {
    std::unique_lock lock(s.mutex);
    const auto there = [&] {
      const auto found = s.events.find({stream, answer});
      if (found == s.events.end()) return false;
      const auto event = found->second.lower_bound(number);  // a later one includes it
      if (event == found->second.end()) return false;
      index = event->second;
      found->second.erase(found->second.begin(), event);
      return true;
    };
    s.changed.wait(lock, [&] { return there() || !s.failure.empty() || s.ended; });
    if (index < 0) {
      throw Error(ErrorKind::kIo, "what the answer asks for does not leave: its boundary was not committed: " +
                                      (s.failure.empty() ? "the model is stopping" : s.failure));
    }
  }
  s.memory->call(s.caller, "wait_signed", nlohmann::json({{"index", index}}).dump());
}

uint64_t MemoryCommits::committed() const {
  const std::lock_guard lock(state_->mutex);
  return state_->committed;
}

}  // namespace fieldprint
