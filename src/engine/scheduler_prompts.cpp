// How prompts come in: admitted in order, shared where they begin alike, dealt to the steps.
#include <algorithm>

#include "engine/scheduler_state.h"

namespace fieldprint {
namespace {

constexpr int kMinShared = 32;     // tokens that are not computed again, from which sharing pages is worth a fork
constexpr int kReplayAtOnce = 64;  // tokens that pass again before the step; more are dealt like a prompt

}  // namespace

Stream::State::State(const LoadedModel& m, Request&& r, int clearance)
    : model(m),
      request(std::move(r)),
      prompt(request.spans.empty() ? VisibleTokens(request.prompt)
                                   : VisibleTokens(request.spans, std::min(request.clearance, clearance))),
      submitted(Clock::now()) {
  for (int i = 0; i < request.answers; ++i) lanes.push_back(make_lane(i));
  done.resize(lanes.size());
  commits = std::vector<Commits>(lanes.size());
}

std::unique_ptr<Lane> Stream::State::make_lane(int number) {
  SamplingOptions sampling = request.sampling;
  sampling.seed += static_cast<uint64_t>(number);
  if (number > 0) sampling.prompt_logprobs = -1;  // they are the first's
  OnText on_text;
  if (request.on_text) on_text = [this, number](std::string_view text) { request.on_text(number, text); };
  return std::make_unique<Lane>(number, model, sampling, std::move(on_text));
}

size_t Stream::State::common(std::span<const TokenId> tokens, const Spans& labels) const {
  if (labelled() || request.influence) return prompt.common(tokens, labels);
  const auto& own = prompt.tokens;
  const auto same = std::mismatch(own.begin(), own.end(), tokens.begin(), tokens.end()).first - own.begin();
  return static_cast<size_t>(seen_under(labels, static_cast<int>(same), request.clearance));
}

int Stream::State::live() const {
  return static_cast<int>(std::count_if(lanes.begin(), lanes.end(), [](const auto& lane) { return !lane->ended; }));
}

int Scheduler::State::places() const {
  int count = 0;
  for (const auto& stream : running) count += stream->live();
  return count;
}

void Scheduler::State::admit() {
  const std::lock_guard lock(mutex);
  for (auto next = waiting.begin(); next != waiting.end() && places() + (*next)->live() <= options.streams;) {
    if ((*next)->request.boundaries && !unsent.empty()) {  // those that are there find no place as it is
      ++next;
      continue;
    }
    running.push_back(std::move(*next));
    next = waiting.erase(next);
  }
  stats.running = places();
}

// Every stream whose prompt is not through gets an even share of the chunk; what a short rest leaves goes to the
// others.
void Scheduler::State::deal_prompts() {
  int budget = stepper->chunk(), rows = stepper->chunk_of_rows();
  if (!parts.empty()) budget = std::min(budget, prompt_share.tokens());
  std::vector<StreamPtr> prompts;
  std::vector<std::pair<StreamPtr, std::exception_ptr>> failed;
  for (size_t i = 0; i < running.size(); ++i) {
    try {
      if (!running[i]->prompt_done && begin(*running[i], i)) prompts.push_back(running[i]);
    } catch (const std::bad_alloc&) {
      if (!cache.give_way()) failed.emplace_back(running[i], std::current_exception());
    } catch (...) {  // on_progress
      failed.emplace_back(running[i], std::current_exception());
    }
  }
  for (auto& [stream, error] : failed) end_all(stream, error);
  std::stable_sort(prompts.begin(), prompts.end(), [](const auto& a, const auto& b) { return a->left() < b->left(); });
  for (size_t i = 0; i < prompts.size() && budget > 0; ++i) {
    Stream::State& s = *prompts[i];
    Lane& lane = s.lead();
    const int even = std::max(1, budget / static_cast<int>(prompts.size() - i));
    if (lane.sequence.replay > kReplayAtOnce) {
      const int again = std::min(lane.sequence.replay, even);
      parts.push_back({&lane.sequence, {}, LogitRows::kNone, again});
      stepped.push_back({prompts[i], &lane});
      budget -= again;
      continue;
    }
    int share = std::min(s.left(), even);
    const bool scores = lane.answer.scores_prompt();
    if (scores) share = std::min(share, rows);
    if (share == 0) continue;
    if (scores) rows -= share;
    const auto part = std::span<const TokenId>(s.prompt.tokens).subspan(s.fed(), static_cast<size_t>(share));
    const LogitRows last = share == s.left() ? LogitRows::kLast : LogitRows::kNone;
    parts.push_back({&lane.sequence, part, scores ? LogitRows::kAll : last});
    stepped.push_back({prompts[i], &lane});
    budget -= share;
  }
}

// Before a stream's first step: takes over what another sequence has of its prompt. False where one admitted before it
// is about to compute a common beginning: the two then share it.
bool Scheduler::State::begin(Stream::State& stream, size_t index) {
  if (stream.begun) return true;
  Lane& lane = stream.lead();
  std::shared_ptr<const Sequence> cached;
  std::shared_ptr<const Anchor> anchor;
  const Sequence* from = nullptr;
  int shared = 0;
  if (lane.sequence.state != nullptr) {  // what a rollback has left
    from = &lane.sequence;
    shared = static_cast<int>(lane.sequence.tokens.size());
  }
  if (!lane.answer.scores_prompt()) {  // these want every row of logits
    if (stream.loading != 0 && cache.loading(stream.loading)) return false;
    const auto most = static_cast<int>(stream.prompt.tokens.size()) - 1;  // the last is computed, for its logits
    const std::string& domain = stream.request.cache_domain;
    const auto common = [&](std::span<const TokenId> tokens, const Spans& labels) {
      return std::min(most, static_cast<int>(stream.common(tokens, labels)));
    };
    anchor = bank.find(domain, [&](std::span<const TokenId> tokens, const Spans& labels) {
      return static_cast<int>(tokens.size()) > shared && common(tokens, labels) == static_cast<int>(tokens.size());
    });
    if (anchor != nullptr) {
      from = &anchor->sequence();
      shared = static_cast<int>(from->tokens.size());
    }
    int saved = std::max(kMinShared - 1, shared - (from != nullptr ? from->replay : 0));
    for (size_t i = 0; i < running.size(); ++i) {
      if (!running[i]->begun || i == index || running[i]->request.cache_domain != domain) continue;
      for (const auto& other : running[i]->lanes) {
        const Sequence& sequence = other->sequence;
        if (sequence.state == nullptr) continue;
        const int same = common(sequence.tokens, sequence.state->spans);
        const bool whole = same == static_cast<int>(sequence.tokens.size());
        const int gain = same - (whole ? sequence.replay : sequence.state->replay_cost(same));
        if (gain > saved) saved = gain, shared = same, from = &sequence;
      }
    }
    const auto match = cache.find(domain, stream.prompt, stream.labelled() || stream.request.influence,
                                  stream.request.clearance, most, saved, stream.loading == 0);
    if (match.id != 0 && match.sequence == nullptr) {
      stream.loading = match.id;
      return false;
    }
    if (match.id != 0) saved = match.saved, shared = match.shared, cached = match.sequence, from = cached.get();
    for (size_t i = 0; i < index; ++i) {
      const Stream::State& other = *running[i];
      if (other.prompt_done || other.request.cache_domain != domain) continue;
      const int same = common(other.prompt.tokens, other.prompt.labels);
      if (same > saved && (!other.begun || static_cast<int>(other.fed()) < same)) return false;
    }
  }
  if (from != &lane.sequence) lane.sequence = from != nullptr ? stepper->fork(*from, shared) : stepper->begin();
  if (stream.request.influence || from != nullptr) lane.sequence.state->measure_influence(stream.request.influence);
  stream.prompt.label(lane.sequence.state->spans, shared);
  lane.sequence.state->spans.set(static_cast<int>(stream.prompt.tokens.size()), {.kind = SpanKind::kGenerated});
  if (stepper->check(lane.sequence)) {  // revoked just now; the cache may not have heard of it yet
    lane.sequence = Sequence();
    return false;
  }
  lane.sequence.keeps_hidden = stream.request.boundaries;
  begin_boundaries(stream);
  stream.begun = true;
  stream.started = Clock::now();
  RunStats& s = lane.answer.generation.stats;
  if (stream.rollbacks == 0)
    stream.queue_seconds = std::chrono::duration<double>(stream.started - stream.submitted).count();
  s.queue_seconds = stream.queue_seconds;
  s.reused_tokens = shared;
  s.prefill_tokens = static_cast<int>(stream.prompt.tokens.size()) - shared;
  if (shared > 0) {
    const std::lock_guard lock(mutex);
    ++stats.reuses;
  }
  stream.progress();
  return true;
}

// From here on answers draft. The other answers begin with what the first has computed, its logits among it.
void Scheduler::State::prompt_is_done(const StreamPtr& stream) {
  Stream::State& s = *stream;
  s.prompt_done = true;
  s.prefilled = Clock::now();
  if (!s.request.influence) {
    for (const auto& lane : s.lanes) lane->drafts = DraftedSteps(speculator.draft());
  }
  const Lane& first = s.lead();
  const int size = static_cast<int>(s.prompt.tokens.size());
  for (size_t i = 0; i < s.lanes.size(); ++i) {
    Lane& lane = *s.lanes[i];
    if (i == s.leads || lane.ended) continue;
    RunStats& stats_of = lane.answer.generation.stats;
    stats_of.queue_seconds = first.answer.generation.stats.queue_seconds;
    stats_of.reused_tokens = size;
    try {
      lane.sequence = stepper->fork(first.sequence, size);
    } catch (...) {  // memory
      end(stream, lane, std::current_exception());
    }
  }
}

}  // namespace fieldprint
