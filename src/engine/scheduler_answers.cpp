// How answers go on: sampled after each step, fed to the next one, ended.
#include <algorithm>
#include <functional>
#include <iterator>

#include "engine/finite.h"
#include "engine/scheduler_state.h"

namespace fieldprint {

// Ends what was cancelled.
void Scheduler::State::sweep() {
  const auto cancelled = [](const auto& stream) { return stream->cancelled.load(std::memory_order_relaxed); };
  std::vector<StreamPtr> ended;
  std::copy_if(running.begin(), running.end(), std::back_inserter(ended), cancelled);
  {
    const std::lock_guard lock(mutex);
    const auto stay = std::stable_partition(waiting.begin(), waiting.end(), std::not_fn(cancelled));
    ended.insert(ended.end(), stay, waiting.end());
    waiting.erase(stay, waiting.end());
  }
  for (const auto& stream : ended) end_all(stream, nullptr);
}

// From the logits of the step before to what each answer feeds next. Where some of it was drafted and is confirmed, an
// answer has several tokens: they are sampled in rounds, each answer's own in order.
void Scheduler::State::sample() {
  std::vector<Place> ready;
  for (const auto& stream : running) {
    for (const auto& lane : stream->lanes) {
      if (stream->prompt_done && !lane->ended && !lane->has_next) ready.push_back({stream, lane.get()});
    }
  }
  while (!ready.empty()) sample(ready);
  speculator.judged(outcome);
  if (outcome.drafted > 0) {
    const std::lock_guard lock(mutex);
    stats.drafted_tokens += static_cast<uint64_t>(outcome.drafted);
    stats.accepted_tokens += static_cast<uint64_t>(outcome.accepted);
    stats.decode_tokens += static_cast<uint64_t>(outcome.accepted);
  }
  outcome = {};
}

// One token of each; those who have the logits of the next already stay in `ready`.
void Scheduler::State::sample(std::vector<Place>& ready) {
  std::erase_if(ready, [this](const Place& place) {
    if (place.lane->answer.wants_token()) return false;
    end(place.stream, *place.lane, nullptr);
    return true;
  });
  if (ready.empty()) return;
  stepper->parallel(static_cast<int64_t>(ready.size()), [&](int64_t i) {
    Lane& lane = *ready[static_cast<size_t>(i)].lane;
    try {
      lane.sampled = lane.answer.sample(lane.drafts.logits(lane.sequence), lane.drafts.history(lane.sequence));
    } catch (...) {  // from the mask, or NotFinite
      lane.error = std::current_exception();
    }
  });
  std::erase_if(ready, [this](const Place& place) {
    const auto& [stream, lane] = place;
    if (stream->epoch != stepper->revocations().epoch() && revoked(*stream)) return true;  // it begins anew, unheard
    if (lane->error) {
      end(stream, *lane, explained(*lane));
      return true;
    }
    try {
      const bool room = static_cast<int>(lane->drafts.history(lane->sequence).size()) < stepper->context();
      lane->has_next = lane->answer.push(lane->sampled, room);
      lane->next = lane->sampled;
      if (stream->request.influence) lane->answer.add_influence(lane->sequence.state->influence);
      if (stream->request.on_token && lane->sampled != kNoToken)
        stream->request.on_token(lane->number, lane->answer.generation);
      if (lane->has_next) token_told(stream, *lane);
      if (!lane->has_next) {
        end(stream, *lane, nullptr);
        return true;
      }
      RunStats& times = lane->answer.generation.stats;
      ++times.decode_tokens;
      if (lane->drafts.confirm(lane->sampled)) {
        lane->has_next = false;
        ++times.accepted_tokens;
        ++outcome.accepted;
        return false;
      }
      lane->drafts.settle(lane->sequence);
    } catch (...) {  // from on_text, on_token, or memory
      end(stream, *lane, std::current_exception());
    }
    return true;
  });
}

void Scheduler::State::feed_answers() {
  step_began = Clock::now();
  for (const auto& stream : running) {
    for (const auto& lane : stream->lanes) {
      if (lane->has_next && !stalled(*stream, *lane)) stepped.push_back({stream, lane.get()});
    }
  }
  // Where a prompt waits, the step has rows enough.
  const bool prompts = std::any_of(running.begin(), running.end(), [](const auto& s) { return !s->prompt_done; });
  outcome.answers = static_cast<int>(stepped.size());
  outcome.counts = !prompts;
  const int most = prompts ? 0 : speculator.most(outcome.answers);
  for (const auto& [stream, lane] : stepped) {
    const int room =
        std::min(stepper->context() - static_cast<int>(lane->sequence.tokens.size()), lane->answer.tokens_left()) - 1;
    const auto part = lane->drafts.propose(lane->sequence, lane->next, std::min(most, room));
    outcome.drafted += lane->drafts.drafted();
    outcome.replayed |= lane->sequence.replay > 0;
    outcome.counts &= !lane->drafts.reading();
    lane->answer.generation.stats.drafted_tokens += lane->drafts.drafted();
    parts.push_back({&lane->sequence, part, part.size() > 1 ? LogitRows::kAll : LogitRows::kLast});
  }
}

// lane.error, and where it is that the logits are not finite, the reason: the others wait while it is looked for.
std::exception_ptr Scheduler::State::explained(const Lane& lane) const {
  try {
    std::rethrow_exception(lane.error);
  } catch (const NotFinite&) {
    try {
      const auto history = lane.drafts.history(lane.sequence);
      throw not_finite_error(stepper->shared_model(), options.session, {history.begin(), history.end()});
    } catch (...) {
      return std::current_exception();
    }
  } catch (...) {
    return lane.error;
  }
}

void Scheduler::State::end(const StreamPtr& stream, Lane& lane, std::exception_ptr error) {
  Stream::State& s = *stream;
  RunStats& times = lane.answer.generation.stats;
  times.executor = stepper->executor().name();
  lane.drafts.settle(lane.sequence);
  try {
    if (!error && lane.sequence.state != nullptr) lane.answer.finish(lane.sequence.logits);
    if (lane.sequence.state != nullptr) {
      const auto& spans = lane.sequence.state->spans.all();
      const auto seen = [&](const Spans::Span& span) {
        return span.begin < static_cast<int>(lane.sequence.tokens.size());
      };
      lane.answer.widen_influence(static_cast<size_t>(std::count_if(spans.begin(), spans.end(), seen)) + 1);
    }
  } catch (...) {  // from on_text
    error = std::current_exception();
  }
  const bool ended_itself = !error && lane.answer.generation.reason != FinishReason::kCancelled;
  boundary(stream, lane, ended_itself ? BoundaryCause::kTurn : BoundaryCause::kEnd);
  const auto now = Clock::now();
  if (s.prompt_done) {
    times.prefill_seconds = seconds_between(s.started, s.prefilled);
    times.decode_seconds = seconds_between(s.prefilled, now);
  } else if (s.begun) {
    times.prefill_seconds = seconds_between(s.started, now);
  }
  if (!error && lane.sequence.state != nullptr) {
    try {
      (void)cache.add(s.request.cache_domain, std::move(lane.sequence));
    } catch (const std::exception&) {  // memory: it does not stay
    }
  }
  lane.sequence = Sequence();  // its pages are free from here on, however long somebody holds the stream
  lane.ended = true;
  lane.has_next = false;
  const bool last = s.live() == 0;
  if (last) std::erase(running, stream);
  {
    const std::lock_guard lock(mutex);
    stats.running = places();
    stats.reused_tokens += static_cast<uint64_t>(times.reused_tokens);
  }
  {
    const std::lock_guard lock(s.mutex);
    lane.error = error;
    s.done[static_cast<size_t>(lane.number)] = true;
  }
  s.changed.notify_all();
  if (last && s.request.on_done) s.request.on_done();
}

void Scheduler::State::end_all(const StreamPtr& stream, std::exception_ptr error) {
  for (const auto& lane : stream->lanes) {
    if (lane->ended) continue;
    if (!error) lane->answer.cancel();
    end(stream, *lane, error);
  }
}

}  // namespace fieldprint
