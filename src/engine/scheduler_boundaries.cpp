// Commit boundaries (boundaries.h): what the scheduler's thread copies into the ring, and what waits for a place there.
#include <algorithm>
#include <thread>
#include <utility>

#include "engine/scheduler_state.h"
#include "fieldprint/error.h"

namespace fieldprint {

void Stream::commit(int answer) const {
  if (answer >= 0 && answer < answers())
    state_->commits[static_cast<size_t>(answer)].asked.store(true, std::memory_order_relaxed);
}

// What all boundaries have in common from here to the next rollback. Called when the prompt's first token is due.
void Scheduler::State::begin_boundaries(Stream::State& stream) {
  if (!stream.request.boundaries) return;
  auto context = std::make_shared<BoundaryContext>();
  context->session = stream.request.session;
  for (const Spans::Span& span : stream.lead().sequence.state->spans.all()) context->labels.push_back(span.label);
  stream.context = std::move(context);
  for (const auto& lane : stream.lanes)
    lane->answer.generation.boundary = stream.commits[static_cast<size_t>(lane->number)].number + 1;
}

// After a token that goes on.
void Scheduler::State::token_told(const StreamPtr& stream, Lane& lane) {
  if (!stream->request.boundaries) return;
  Commits& commits = stream->commits[static_cast<size_t>(lane.number)];
  ++commits.tokens;
  if (commits.asked.load(std::memory_order_relaxed)) {
    commits.asked.store(false, std::memory_order_relaxed);
    boundary(stream, lane, BoundaryCause::kCall);
  } else if (commits.tokens - commits.tokens_before >= kBoundaryTokens) {
    boundary(stream, lane, BoundaryCause::kTokens);
  }
}

void Scheduler::State::boundary(const StreamPtr& stream, Lane& lane, BoundaryCause cause, const Rollback* rollback) {
  if (stream->context == nullptr || options.boundaries->abandoned()) return;
  BoundaryRing& ring = *options.boundaries;
  Commits& commits = stream->commits[static_cast<size_t>(lane.number)];
  // Behind others that wait: boundaries leave in the order in which they came.
  Boundary* place = unsent.empty() ? ring.place() : nullptr;
  if (place == nullptr) {
    unsent.push_back({{}, stream, lane.number, commits.tokens});
    if (commits.unsent++ == 0) commits.tokens_unsent = commits.tokens;
  }
  Boundary& b = place != nullptr ? *place : unsent.back().boundary;
  b.stream = stream->id;
  b.answer = lane.number;
  b.number = ++commits.number;
  b.cause = cause;
  b.context = stream->context;
  b.tokens.clear();
  b.pages.clear();
  b.hidden.clear();
  b.sampled = kNoToken;
  b.rollback = rollback != nullptr ? *rollback : Rollback();
  if (rollback != nullptr) {
    b.begin = b.end = commits.position = std::min(commits.position, rollback->to);
  } else {
    const auto tokens = lane.drafts.history(lane.sequence);
    b.begin = commits.position;  // more than there is, amid a prompt that is read anew
    b.end = commits.position = std::max(commits.position, static_cast<int>(tokens.size()));
    if (b.end > b.begin) {
      b.tokens.assign(tokens.begin() + b.begin, tokens.end());
      lane.sequence.state->page_ranges(b.begin, b.pages);
    }
    while (!b.pages.empty() && b.pages.back().begin >= b.end) b.pages.pop_back();
    if (!b.pages.empty()) b.pages.back().end = std::min(b.pages.back().end, b.end);
    const auto hidden = lane.drafts.hidden(lane.sequence);
    b.hidden.assign(hidden.begin(), hidden.end());
    const auto& given = lane.answer.generation.tokens;
    // The token sampled last is fed by the next step, or never.
    if (!given.empty() && b.end < static_cast<int>(stream->prompt.tokens.size() + given.size()))
      b.sampled = given.back();
  }
  commits.tokens_before = commits.tokens;
  const bool last = cause == BoundaryCause::kTurn || cause == BoundaryCause::kEnd;
  lane.answer.generation.boundary = commits.number + (last ? 0 : 1);
  if (place != nullptr) ring.publish();
}

// What waits for a place gets one, the oldest first.
void Scheduler::State::send_boundaries() {
  if (options.boundaries == nullptr) return;
  BoundaryRing& ring = *options.boundaries;
  if (ring.abandoned()) return nobody_takes_boundaries();
  while (!unsent.empty()) {
    Boundary* place = ring.place();
    if (place == nullptr) return;
    Unsent first = std::move(unsent.front());
    unsent.pop_front();
    *place = std::move(first.boundary);
    ring.publish();
    Commits& commits = first.stream->commits[static_cast<size_t>(first.answer)];
    if (--commits.unsent == 0) continue;
    const auto next = std::find_if(unsent.begin(), unsent.end(), [&](const Unsent& other) {
      return other.stream == first.stream && other.answer == first.answer;
    });
    commits.tokens_unsent = next->tokens;
  }
}

void Scheduler::State::nobody_takes_boundaries() {
  unsent.clear();
  std::vector<StreamPtr> want;
  std::copy_if(running.begin(), running.end(), std::back_inserter(want),
               [](const auto& stream) { return stream->request.boundaries; });
  for (const auto& stream : want)
    end_all(stream, std::make_exception_ptr(Error(ErrorKind::kIo, "nobody takes up what this answer commits to")));
}

// Whether the answer has gone on as far as it may beyond a boundary that found no place.
bool Scheduler::State::stalled(const Stream::State& stream, const Lane& lane) const {
  if (unsent.empty() || !stream.request.boundaries) return false;
  const Commits& commits = stream.commits[static_cast<size_t>(lane.number)];
  return commits.unsent > 0 && commits.tokens - commits.tokens_unsent >= kUncommittedTokens;
}

// At the end: nothing is dropped.
void Scheduler::State::close_boundaries() {
  if (options.boundaries == nullptr) return;
  for (send_boundaries(); !unsent.empty(); send_boundaries()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  options.boundaries->close();
}

}  // namespace fieldprint
