// What was revoked leaves the streams before their next step.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <new>

#include "engine/scheduler_state.h"
#include "fieldprint/error.h"

namespace fieldprint {

// One load, and a comparison for each stream, where nothing has been revoked. What arrives meanwhile is looked at the
// next time: no step takes what was not looked at.
void Scheduler::State::drop_revoked() {
  const uint64_t epoch = stepper->revocations().epoch();
  std::vector<StreamPtr> behind;
  std::copy_if(running.begin(), running.end(), std::back_inserter(behind),
               [epoch](const auto& stream) { return stream->epoch != epoch; });
  for (const auto& stream : behind) {
    stream->epoch = epoch;
    if (const auto hit = revoked(*stream)) roll_back(stream, *hit);
  }
}

// In its prompt, or in what it has taken over from others. Where it is nothing, its sequences may step on.
std::optional<Revocations::Hit> Scheduler::State::revoked(Stream::State& stream) {
  if (auto hit = stepper->revocations().find(stream.prompt.labels)) return hit;
  std::optional<Revocations::Hit> first;
  for (const auto& lane : stream.lanes) {
    if (lane->sequence.state == nullptr) continue;
    const auto hit = stepper->check(lane->sequence);
    if (hit && (!first || hit->position < first->position)) first = hit;
  }
  return first;
}

// All of the stream's answers that have not ended: each has read the prompt.
void Scheduler::State::roll_back(const StreamPtr& stream, const Revocations::Hit& hit) {
  Stream::State& s = *stream;
  stepper->revocations().leave_out(s.prompt, true);
  if (s.begun) withdraw(stream, hit);
  else s.lead().sequence = clean_beginning(s);  // nothing was given out; a rollback before may have left something
  const auto fail = [&](ErrorKind kind, const char* why) {
    end_all(stream, std::make_exception_ptr(Error(kind, fmt::format("{} was revoked: {}", hit.label.source, why))));
  };
  if (s.prompt.tokens.empty()) fail(ErrorKind::kBadInput, "nothing is left of the prompt");
  else if (s.rollbacks > kMaxRollbacks) fail(ErrorKind::kLimit, "the answer has begun anew too often");
}

void Scheduler::State::withdraw(const StreamPtr& stream, const Revocations::Hit& hit) {
  Stream::State& s = *stream;
  ++s.rollbacks;
  std::vector<Rollback> told(s.lanes.size());
  Sequence kept = clean_beginning(s);
  const auto stands = static_cast<int>(kept.tokens.size());
  for (const auto& lane : s.lanes) {
    if (lane->ended) continue;
    Rollback& info = told[static_cast<size_t>(lane->number)];
    info = {.source = hit.label.source, .damaged = hit.damaged, .count = s.rollbacks, .to = stands};
    const Generation& given = lane->answer.generation;
    info.tokens = static_cast<int>(given.tokens.size());
    info.text_bytes = given.text.size();
    info.from = stands;
    if (lane->sequence.state == nullptr) continue;
    info.from = static_cast<int>(lane->drafts.history(lane->sequence).size());
    std::vector<PageRange> pages;
    lane->sequence.state->page_ranges(stands, pages);
    info.pages = static_cast<int>(pages.size());
  }
  s.begun = s.prompt_done = false;
  s.loading = 0;
  std::vector<std::pair<Lane*, std::exception_ptr>> failed;
  int rolled_back = 0;
  for (size_t i = 0; i < s.lanes.size(); ++i) {
    if (s.lanes[i]->ended) continue;
    try {
      s.lanes[i] = s.make_lane(static_cast<int>(i));  // sampler, drafts and text from the start; the pages are gone
      ++rolled_back;
      const bool anchor = hit.label.kind == SpanKind::kAnchor;
      boundary(stream, *s.lanes[i], anchor ? BoundaryCause::kAnchorChange : BoundaryCause::kRollback, &told[i]);
      if (s.request.on_rollback) s.request.on_rollback(static_cast<int>(i), told[i]);
    } catch (...) {
      failed.emplace_back(s.lanes[i].get(), std::current_exception());
    }
  }
  {
    const std::lock_guard lock(mutex);
    stats.rollbacks += static_cast<uint64_t>(rolled_back);
  }
  for (const auto& [lane, why] : failed) end(stream, *lane, why);
  const auto leads = std::find_if(s.lanes.begin(), s.lanes.end(), [](const auto& lane) { return !lane->ended; });
  if (leads == s.lanes.end()) return;
  s.leads = static_cast<size_t>(leads - s.lanes.begin());
  if (stands > 0) (*leads)->sequence = std::move(kept);
}

// The longest beginning of the prompt as it is now that the stream's own sequences have computed without what was
// revoked. The last token of the prompt is not in it: it is computed, for its logits.
Sequence Scheduler::State::clean_beginning(const Stream::State& s) {
  const auto holder =
      std::find_if(s.lanes.begin(), s.lanes.end(), [](const auto& lane) { return lane->sequence.state != nullptr; });
  if (holder == s.lanes.end() || (*holder)->answer.scores_prompt()) return {};
  const Sequence& sequence = (*holder)->sequence;
  const Spans& labels = sequence.state->spans;
  const auto inherited = stepper->revocations().find(sequence.tokens, labels, sequence.epoch);
  const int stands =
      std::min({static_cast<int>(s.common(sequence.tokens, labels)), static_cast<int>(s.prompt.tokens.size()) - 1,
                inherited ? inherited->position : Spans::kOpen});
  try {
    return stands > 0 ? stepper->fork(sequence, stands) : Sequence();
  } catch (const std::bad_alloc&) {  // then all of it is computed
    return {};
  }
}

}  // namespace fieldprint
