// Continuous batching: streams join and leave between steps, and each step is one pass over the weights for all of
// them.
#include "fieldprint/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <system_error>

#include "engine/scheduler_state.h"
#include "fieldprint/error.h"

namespace fieldprint {

uint64_t Stream::id() const { return state_->id; }

void Stream::cancel() { state_->cancelled.store(true, std::memory_order_relaxed); }

bool Stream::done() const {
  const std::lock_guard lock(state_->mutex);
  return std::all_of(state_->done.begin(), state_->done.end(), [](bool done) { return done; });
}

int Stream::answers() const { return state_->request.answers; }

Generation Stream::wait(int answer) const {
  const auto i = static_cast<size_t>(answer);
  if (i >= state_->lanes.size())
    throw Error(ErrorKind::kUsage, fmt::format("there is no answer {} of {}", answer, state_->lanes.size()));
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->done[i]; });
  if (state_->lanes[i]->error) std::rethrow_exception(state_->lanes[i]->error);
  Generation generation = state_->lanes[i]->answer.generation;
  generation.stats.logits_hash = state_->lanes[i]->answer.logits_hash();  // not on the thread that all streams wait for
  return generation;
}

void Scheduler::State::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex);
      busy = !waiting.empty() || !running.empty();
      cache.idle(!busy);
      bank.busy(busy);
      work.wait(lock, [this] { return stopping || !waiting.empty() || !running.empty() || !unsent.empty(); });
      if (stopping) break;
      busy = true;
      cache.idle(false);
      bank.busy(true);
      came_around = Clock::now();
    }
    send_boundaries();
    drop_revoked();
    sweep();
    sample();
    admit();
    drop_revoked();
    parts.clear();
    stepped.clear();
    feed_answers();
    deal_prompts();
    if (!parts.empty()) {
      step();
    } else if (!running.empty() || !unsent.empty()) {  // for files, for callbacks to end them, for places in the ring
      std::unique_lock lock(mutex);
      work.wait_for(lock, std::chrono::milliseconds(5), [this] { return stopping || loaded; });
      loaded = false;
    }
    publish();
  }
  drop_revoked();
  std::vector<StreamPtr> left = running;
  {
    const std::lock_guard lock(mutex);
    left.insert(left.end(), waiting.begin(), waiting.end());
    waiting.clear();
  }
  for (const auto& stream : left) end_all(stream, nullptr);
  close_boundaries();
}

void Scheduler::State::step() {
  const uint64_t before = stepper->work().bytes;
  const auto vocabulary = static_cast<size_t>(stepper->model().info().vocabulary);
  // The prompts' log-probabilities, while the rows of all parts are there.
  const auto score = [&](std::span<const float> rows) {
    size_t row = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      const size_t count = parts[i].added.size();
      if (parts[i].rows == LogitRows::kAll && stepped[i].stream->prompt_done) {
        const auto hidden = stepped[i].lane->sequence.keeps_hidden ? stepper->hidden_rows() : std::span<const float>();
        const size_t width = hidden.size() / (rows.size() / vocabulary);
        stepped[i].lane->drafts.take(rows.subspan(row * vocabulary, count * vocabulary),
                                     hidden.subspan(row * width, count * width));
        row += count;
      } else if (parts[i].rows == LogitRows::kAll) {
        const auto& prompt = stepped[i].stream->prompt.tokens;
        const size_t first = parts[i].sequence->tokens.size() - count;
        const auto targets =
            std::span<const TokenId>(prompt).subspan(first + 1, std::min(count, prompt.size() - first - 1));
        try {
          stepped[i].lane->answer.add_prompt(first, rows.subspan(row * vocabulary, count * vocabulary), targets);
        } catch (...) {  // not finite, or memory
          stepped[i].lane->error = std::current_exception();
        }
        row += count;
      } else if (parts[i].rows == LogitRows::kLast) {
        ++row;
      }
    }
  };
  for (;;) {
    std::exception_ptr error;
    try {
      stepper->step(parts, score);
      break;
    } catch (const StaleSequence&) {  // something has been revoked: once it is dropped, the step comes again
      for (const auto& [stream, lane] : stepped) lane->drafts.forget();
      outcome = {};
      return;
    } catch (const std::bad_alloc&) {
      for (const auto& [stream, lane] : stepped) lane->drafts.forget();
      if (cache.give_way()) continue;
      error = std::current_exception();
    } catch (...) {
      for (const auto& [stream, lane] : stepped) lane->drafts.forget();
      error = std::current_exception();
    }
    // Every sequence is as before: the youngest makes room for the others.
    const Place youngest = stepped.back();
    if (youngest.stream->prompt_done) end(youngest.stream, *youngest.lane, error);
    else end_all(youngest.stream, error);
    return;
  }
  outcome.seconds = seconds_between(step_began, Clock::now());
  if (outcome.drafted == 0 && !outcome.replayed) {
    int prompt_tokens = 0;
    for (const StepPart& part : parts) prompt_tokens += static_cast<int>(part.added.size()) + part.replay;
    prompt_share.measured(outcome.answers, prompt_tokens - outcome.answers, outcome.seconds);
  }
  const uint64_t bytes = stepper->work().bytes - before;
  uint64_t decoded = 0, prefilled = 0;
  std::vector<Place> failed;
  for (size_t i = 0; i < stepped.size(); ++i) {
    const auto& [stream, lane] = stepped[i];
    if (lane->has_next) {
      lane->has_next = false;
      lane->answer.generation.stats.decode_bytes += bytes;
      ++decoded;
    } else {
      prefilled += parts[i].added.size();
      try {
        if (!lane->error && stream->left() == 0) prompt_is_done(stream);
        if (!lane->error) stream->progress();
      } catch (...) {  // from on_progress
        lane->error = std::current_exception();
      }
      if (lane->error) failed.push_back(stepped[i]);
    }
  }
  for (const auto& [stream, lane] : failed) end_all(stream, explained(*lane));
  const std::lock_guard lock(mutex);
  ++stats.steps;
  stats.decode_tokens += decoded;
  stats.prefill_tokens += prefilled;
  stats.bytes_read = stepper->work().bytes;
}

// From the cache's thread.
void Scheduler::State::wake() {
  {
    const std::lock_guard lock(mutex);
    loaded = true;
  }
  work.notify_all();
}

// What streams() tells.
void Scheduler::State::publish() {
  const std::lock_guard lock(mutex);
  infos.clear();
  begun_at.clear();
  for (const auto& stream : running) {
    if (!stream->begun) continue;
    const auto size = static_cast<int>(stream->prompt.tokens.size());
    const int done = stream->prompt_done ? size : static_cast<int>(stream->fed());
    for (const auto& lane : stream->lanes) {
      if (lane->ended) continue;
      const auto generated = static_cast<int>(lane->answer.generation.tokens.size());
      infos.push_back({stream->id, lane->number, size, done, generated});
      begun_at.push_back(stream->started);
    }
  }
}

Scheduler::Scheduler(std::shared_ptr<const Model> model, const SchedulerOptions& options) {
  const auto require = [](bool ok, const char* what, int value) {
    if (!ok) throw Error(ErrorKind::kUsage, fmt::format("a scheduler cannot have {} {}", value, what));
  };
  require(options.streams >= 1 && options.streams <= 4096, "streams", options.streams);
  require(options.waiting >= 0, "places to wait", options.waiting);
  require(options.chunk_with_decode >= 0, "prefill tokens beside decode", options.chunk_with_decode);
  state_ = std::make_unique<State>(loaded(std::move(model)), options);
  try {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
  } catch (const std::system_error& error) {
    throw Error(ErrorKind::kLimit, fmt::format("the scheduler's thread cannot start: {}", error.code().message()), {},
                "raise the limit of processes, as in `ulimit -u` or a container's pids limit");
  }
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work.notify_all();
  state_->thread.join();
}

Stream Scheduler::submit(Request request) {
  State& s = *state_;
  if (request.answers < 1 || request.answers > s.options.streams) {
    throw Error(ErrorKind::kUsage, fmt::format("{} answers are asked for", request.answers), {},
                fmt::format("from 1 to {}, the scheduler's streams", s.options.streams));
  }
  if (request.cache_domain.size() > kMaxDomain) {
    throw Error(ErrorKind::kUsage,
                fmt::format("a cache domain of {} bytes, {} at most", request.cache_domain.size(), kMaxDomain));
  }
  if (request.boundaries && s.options.boundaries == nullptr)
    throw Error(ErrorKind::kUsage, "boundaries are wanted, but nobody takes them: SchedulerOptions::boundaries");
  request.influence |= s.options.session.influence;
  const auto stream =
      std::make_shared<Stream::State>(s.stepper->model(), std::move(request), s.options.session.clearance);
  const auto& prompt = stream->prompt.tokens;
  if (prompt.empty())
    throw Error(ErrorKind::kBadInput, "the prompt is empty", {}, "at least one token is needed to begin");
  s.stepper->check_size(prompt.size());
  s.stepper->check_ids(prompt);
  stream->epoch = s.stepper->revocations().epoch();
  if (s.stepper->revocations().leave_out(stream->prompt, true) && prompt.empty())
    throw Error(ErrorKind::kBadInput, "all of the prompt has been revoked");
  {
    const std::lock_guard lock(s.mutex);
    if (static_cast<int>(s.waiting.size()) >= s.options.waiting + s.options.streams - s.stats.running) {
      throw Error(ErrorKind::kLimit, fmt::format("{} requests wait already", s.waiting.size()), {}, "try again later");
    }
    stream->id = ++s.submitted;
    s.waiting.push_back(stream);
  }
  s.work.notify_one();
  return Stream(stream);
}

void Scheduler::revoke(std::span<const std::string> sources) {
  State& s = *state_;
  s.stepper->revocations().add(sources);
  s.cache.drop_revoked();
  s.bank.drop_revoked();
}

AnchorInfo Scheduler::compile_anchor(std::span<const LabelledTokens> spans, const std::string& domain) {
  return state_->bank.compile(spans, domain);
}
void Scheduler::pin_anchor(uint64_t id, const std::string& kv_digest) { state_->bank.pin(id, kv_digest); }
bool Scheduler::drop_anchor(uint64_t id) { return state_->bank.drop(id); }
std::vector<AnchorInfo> Scheduler::anchors() const { return state_->bank.list(); }

SchedulerStats Scheduler::stats() const {
  const std::lock_guard lock(state_->mutex);
  SchedulerStats stats = state_->stats;
  stats.waiting = static_cast<int>(state_->waiting.size());
  state_->cache.add_stats(&stats);
  if (state_->busy) stats.last_step = std::chrono::duration<double>(Clock::now() - state_->came_around).count();
  return stats;
}

std::vector<StreamInfo> Scheduler::streams() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<StreamInfo> infos = state_->infos;
  const auto now = Clock::now();
  for (size_t i = 0; i < infos.size(); ++i)
    infos[i].seconds = std::chrono::duration<double>(now - state_->begun_at[i]).count();
  return infos;
}

std::vector<CachedSequence> Scheduler::cached() const { return state_->cache.list(); }
std::vector<LabelledTokens> Scheduler::cached_spans(uint64_t id) const { return state_->cache.spans(id); }
uint64_t Scheduler::find_cached(std::span<const TokenId> tokens, const std::string& domain) const {
  return state_->cache.longest(domain, tokens);
}
void Scheduler::save_cached(uint64_t id, const std::string& path) const { state_->cache.save(id, path); }
bool Scheduler::erase_cached(uint64_t id) { return state_->cache.erase(id); }
bool Scheduler::pin_cached(uint64_t id, bool pinned) { return state_->cache.pin(id, pinned); }

uint64_t Scheduler::load_cached(const std::string& path, const std::string& domain) {
  if (domain.size() > kMaxDomain) throw Error(ErrorKind::kUsage, "the cache domain is too long");
  Sequence sequence = read_sequence(*state_->stepper, path);
  const size_t tokens = sequence.tokens.size();
  const uint64_t id = state_->cache.add(domain, std::move(sequence));
  if (id != 0) return id;
  throw Error(ErrorKind::kLimit, fmt::format("the session's {} tokens do not fit the cache", tokens), path,
              "it takes up sessions of 32 tokens or more, as many as its bytes hold");
}

}  // namespace fieldprint
