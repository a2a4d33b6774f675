// How answers go on: sampled after each step, fed to the next one, ended.
#include <algorithm>
#include <functional>
#include <iterator>

#include "engine/finite.h"
#include "engine/scheduler_state.h"

namespace fieldprint {
namespace {

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

}  // namespace

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

// From the logits of the step before to what each answer feeds next.
void Scheduler::State::sample() {
  std::vector<Place> ready;
  for (const auto& stream : running) {
    for (const auto& lane : stream->lanes) {
      if (stream->prompt_done && !lane->ended && !lane->has_next) ready.push_back({stream, lane.get()});
    }
  }
  std::erase_if(ready, [this](const Place& place) {
    if (place.lane->answer.wants_token()) return false;
    end(place.stream, *place.lane, nullptr);
    return true;
  });
  if (ready.empty()) return;
  stepper->parallel(static_cast<int64_t>(ready.size()), [&](int64_t i) {
    Lane& lane = *ready[static_cast<size_t>(i)].lane;
    try {
      lane.sampled = lane.answer.sample(lane.sequence.logits, lane.sequence.tokens);
    } catch (...) {  // from the mask, or NotFinite
      lane.error = std::current_exception();
    }
  });
  for (const auto& [stream, lane] : ready) {
    if (lane->error) {
      end(stream, *lane, explained(*lane));
      continue;
    }
    try {
      const bool room = static_cast<int>(lane->sequence.tokens.size()) < stepper->context();
      lane->has_next = lane->answer.push(lane->sampled, room);
      lane->next = lane->sampled;
      if (stream->request.influence) lane->answer.add_influence(lane->sequence.state->influence);
      if (stream->request.on_token && lane->sampled != kNoToken)
        stream->request.on_token(lane->number, lane->answer.generation);
      if (!lane->has_next) end(stream, *lane, nullptr);
    } catch (...) {  // from on_text, on_token, or memory
      end(stream, *lane, std::current_exception());
    }
  }
}

void Scheduler::State::feed_answers() {
  for (const auto& stream : running) {
    for (const auto& lane : stream->lanes) {
      if (!lane->has_next) continue;
      parts.push_back({&lane->sequence, {&lane->next, 1}, LogitRows::kLast});
      stepped.push_back({stream, lane.get()});
    }
  }
}

// lane.error, and where it is that the logits are not finite, the reason: the others wait while it is looked for.
std::exception_ptr Scheduler::State::explained(const Lane& lane) const {
  try {
    std::rethrow_exception(lane.error);
  } catch (const NotFinite&) {
    try {
      throw not_finite_error(stepper->shared_model(), options.session, lane.sequence.tokens);
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
