#include "engine/prefix_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr int kCheapReplay = 64;   // tokens: a sequence that goes back for so many serves as well as the shorter one
constexpr size_t kMinTokens = 32;  // from which a sequence may serve another prompt
constexpr auto kWriteWhenIdle = std::chrono::milliseconds(300);
constexpr auto kWriteAnyway = std::chrono::seconds(10);
constexpr auto kLookAgain = std::chrono::milliseconds(100);

size_t common_of(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// What going back to its first `tokens` tokens costs.
int replay_cost(const Sequence& sequence, int tokens) {
  return tokens == static_cast<int>(sequence.tokens.size()) ? sequence.replay : sequence.state->replay_cost(tokens);
}

int64_t token_bytes(const Sequence& sequence) {  // here and in the entry
  return static_cast<int64_t>(2 * sequence.tokens.size() * sizeof(TokenId));
}

uint64_t bytes_of(const Sequence& sequence) {
  int64_t total = token_bytes(sequence);
  sequence.state->visit_memory([&](const void*, int64_t bytes) { total += bytes; });
  return static_cast<uint64_t>(total);
}

}  // namespace

PrefixCache::PrefixCache(std::shared_ptr<Stepper> stepper, const SchedulerOptions& options,
                         std::function<void()> loaded)
    : stepper_(std::move(stepper)),
      max_bytes_(options.cache_bytes),
      max_disk_bytes_(options.cache_disk_bytes),
      loaded_(std::move(loaded)),
      nothing_(stepper_->begin()) {
  if (options.cache_directory.empty()) return;
  files_ = std::make_unique<CacheFiles>(stepper_, options.cache_directory);
  for (CacheFiles::File& file : files_->list()) {
    disk_bytes_ += file.bytes;
    if (!file.ours) {
      foreign_.push_back(std::move(file));
      continue;
    }
    auto one = std::make_shared<Entry>();
    one->id = ++ids_;
    one->domain = std::move(file.domain);
    one->text.tokens = std::move(file.tokens);
    one->text.labels = std::move(file.labels);
    one->used = ++uses_;
    one->used_at = std::chrono::file_clock::to_sys(file.used);
    one->epoch = nothing_.epoch;
    one->file = {std::move(file.path), file.bytes};
    entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(place(one->domain, one->text.tokens)), one);
  }
  Dropped dropped;
  make_room_on_disk(&dropped);
  for (const std::string& path : dropped.files) files_->remove(path);
  thread_ = std::thread([this] { run(); });
}

PrefixCache::~PrefixCache() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  thread_.join();
}

// Where the first entry is that is not less than these.
size_t PrefixCache::place(const std::string& domain, std::span<const TokenId> tokens) const {
  const auto less = [&](const EntryPtr& one, int) {
    const int order = one->domain.compare(domain);
    if (order != 0) return order < 0;
    const auto& own = one->text.tokens;
    return std::lexicographical_compare(own.begin(), own.end(), tokens.begin(), tokens.end());
  };
  return static_cast<size_t>(std::lower_bound(entries_.begin(), entries_.end(), 0, less) - entries_.begin());
}

// Neighbours in the order of tokens have the longest beginnings in common, so it is looked at these first and no
// farther than something can be gained.
PrefixCache::Match PrefixCache::find(const std::string& domain, const VisibleTokens& prompt, bool labels, int clearance,
                                     int most, int more_than, bool may_load) {
  const std::lock_guard lock(mutex_);
  Match best;
  best.saved = more_than;
  EntryPtr chosen;
  const size_t middle = place(domain, prompt.tokens);
  const auto common = [&](size_t i) {
    if (i >= entries_.size() || entries_[i]->domain != domain) return -1;
    return std::min(most, static_cast<int>(common_of(prompt.tokens, entries_[i]->text.tokens)));
  };
  size_t right = middle, left = middle - 1;  // the left one wraps around
  int at_right = common(right), at_left = common(left);
  while (std::max(at_left, at_right) > best.saved) {
    const bool to_left = at_left > at_right;
    const EntryPtr& one = entries_[to_left ? left : right];
    int shared = to_left ? at_left : at_right;
    shared = seen_under(one->text.labels, shared, clearance);
    if (labels) shared = std::min(shared, static_cast<int>(prompt.common(one->text.tokens, one->text.labels)));
    int saved = 0;
    if (one->sequence != nullptr) {
      saved = shared - replay_cost(*one->sequence, shared);
    } else if (may_load && !one->file.path.empty()) {
      // A file holds the state at its end alone: going back costs what it would cost without any.
      const bool whole = shared == static_cast<int>(one->text.tokens.size());
      saved = whole ? shared : shared - nothing_.state->replay_cost(shared);
    }
    if (saved > best.saved) {
      best = {.id = one->id, .sequence = one->sequence, .shared = shared, .saved = saved};
      chosen = one;
    }
    if (to_left) at_left = common(--left);
    else at_right = common(++right);
  }
  if (chosen == nullptr) return {};
  use(*chosen);
  if (chosen->sequence == nullptr && !chosen->loading) {
    chosen->loading = true;
    to_load_.push_back(chosen);
    work_.notify_one();
  }
  return best;
}

bool PrefixCache::loading(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const EntryPtr one = entry(id);
  return one != nullptr && one->loading;
}

uint64_t PrefixCache::add(const std::string& domain, Sequence sequence, bool pinned) {
  if (sequence.tokens.size() < kMinTokens) return 0;
  sequence.logits = {};
  sequence.hidden = {};
  sequence.keeps_hidden = false;
  sequence.state->measure_influence(false);
  sequence.state->influence = {};
  sequence.state->slim();
  if (bytes_of(sequence) > max_bytes_) return 0;
  auto one = std::make_shared<Entry>();
  one->domain = domain;
  one->text.tokens = sequence.tokens;
  one->text.labels = sequence.state->spans;
  one->text.labels.truncate(static_cast<int>(sequence.tokens.size()));
  one->pinned = pinned;
  one->added = Clock::now();
  one->epoch = sequence.epoch;
  one->sequence = std::make_shared<const Sequence>(std::move(sequence));
  const auto& tokens = one->text.tokens;
  const auto size = static_cast<int>(tokens.size());
  Dropped dropped;
  uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (revoked(*one)) return 0;  // what is revoked from here on, drop_revoked() finds
    const size_t middle = place(domain, tokens);
    // A longer one that serves as well.
    for (size_t i = middle; id == 0 && i < entries_.size() && entries_[i]->domain == domain; ++i) {
      Entry& other = *entries_[i];
      if (common_of(tokens, other.text.tokens) < tokens.size()) break;
      if (other.sequence == nullptr || one->text.common(other.text.tokens, other.text.labels) < tokens.size() ||
          replay_cost(*other.sequence, size) > kCheapReplay)
        continue;
      other.pinned |= pinned;
      use(other);
      id = other.id;
    }
    if (id == 0) {
      // Shorter ones that this one serves.
      std::vector<EntryPtr> served;
      for (size_t i = middle; i-- > 0 && entries_[i]->domain == domain;) {
        const Entry& other = *entries_[i];
        const size_t common = common_of(tokens, other.text.tokens);
        if (common < kMinTokens) break;
        if (!other.pinned && common == other.text.tokens.size() &&
            other.text.common(tokens, one->text.labels) == common &&
            replay_cost(*one->sequence, static_cast<int>(common)) <= kCheapReplay)
          served.push_back(entries_[i]);
      }
      // The same tokens, on disk alone: they are in memory again.
      if (middle < entries_.size() && entries_[middle]->domain == domain && entries_[middle]->text.tokens == tokens &&
          entries_[middle]->sequence == nullptr && !entries_[middle]->pinned &&
          entries_[middle]->text.common(tokens, one->text.labels) == tokens.size())
        served.push_back(entries_[middle]);
      for (const EntryPtr& other : served) {
        if (!other->file.path.empty()) one->replaces.push_back(std::exchange(other->file, {}));
        for (File& file : other->replaces) one->replaces.push_back(std::move(file));
        other->replaces.clear();
        forget(other, &dropped);
      }
      one->id = id = ++ids_;
      use(*one);
      entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(place(domain, tokens)), one);
      count(*one->sequence, 1);
      make_room(&dropped);
      if (one->erased || one->sequence == nullptr) id = 0;
    }
  }
  finish(std::move(dropped));
  work_.notify_one();
  return id;
}

bool PrefixCache::revoked(const Entry& one) const {
  return stepper_->revocations().find(one.text.tokens, one.text.labels, one.epoch).has_value();
}

void PrefixCache::drop_revoked() {
  Dropped dropped;
  {
    const std::lock_guard lock(mutex_);
    std::vector<EntryPtr> hit;
    std::copy_if(entries_.begin(), entries_.end(), std::back_inserter(hit),
                 [this](const EntryPtr& one) { return revoked(*one); });
    for (const EntryPtr& one : hit) forget(one, &dropped);
  }
  for (const std::string& path : dropped.files) files_->remove(path);
}

void PrefixCache::use(Entry& one) {
  one.used = ++uses_;
  one.used_at = std::chrono::system_clock::now();
  if (!one.file.path.empty()) to_touch_.push_back(one.file.path);
}

void PrefixCache::count(const Sequence& sequence, int holders) {
  const auto piece = [&](const void* at, int64_t bytes) {
    Piece& counted = memory_[at];
    const int before = counted.holders;
    counted.holders += holders;
    counted.bytes = bytes;
    if (before == 0) bytes_ += static_cast<uint64_t>(bytes);
    if (counted.holders > 0) return;
    bytes_ -= static_cast<uint64_t>(bytes);
    memory_.erase(at);
  };
  sequence.state->visit_memory(piece);
  piece(&sequence, token_bytes(sequence));
}

PrefixCache::EntryPtr PrefixCache::entry(uint64_t id) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [id](const EntryPtr& one) { return one->id == id; });
  return found != entries_.end() ? *found : nullptr;
}

// Takes it out of the index, with its files.
void PrefixCache::forget(const EntryPtr& one, Dropped* dropped) {
  if (one->sequence != nullptr) {
    count(*one->sequence, -1);
    dropped->sequences.push_back(std::move(one->sequence));
  }
  drop_file(one->file, dropped);
  for (File& file : one->replaces) drop_file(file, dropped);
  one->replaces.clear();
  one->erased = true;
  std::erase(entries_, EntryPtr(one));
}

void PrefixCache::drop_file(File& file, Dropped* dropped) {
  if (file.path.empty()) return;
  disk_bytes_ -= file.bytes;
  dropped->files.push_back(std::move(file.path));
  file = {};
}

// It stays where it is on disk, or is about to be.
void PrefixCache::drop_memory(const EntryPtr& one, Dropped* dropped) {
  ++evictions_;
  if (one->file.path.empty() && !one->writing) return forget(one, dropped);
  count(*one->sequence, -1);
  dropped->sequences.push_back(std::move(one->sequence));
  one->sequence = nullptr;
}

PrefixCache::EntryPtr PrefixCache::least_used(const std::function<bool(const Entry&)>& which) const {
  EntryPtr oldest;
  for (const EntryPtr& one : entries_) {
    if (!one->pinned && which(*one) && (oldest == nullptr || one->used < oldest->used)) oldest = one;
  }
  return oldest;
}

void PrefixCache::make_room(Dropped* dropped) {
  while (bytes_ > max_bytes_) {
    const EntryPtr oldest = least_used([](const Entry& one) { return one.sequence != nullptr; });
    if (oldest == nullptr) return;
    drop_memory(oldest, dropped);
  }
}

void PrefixCache::make_room_on_disk(Dropped* dropped) {
  while (disk_bytes_ > max_disk_bytes_) {
    const EntryPtr oldest = least_used([](const Entry& one) { return !one.file.path.empty(); });
    const bool foreign =
        !foreign_.empty() &&
        (oldest == nullptr || std::chrono::file_clock::to_sys(foreign_.front().used) < oldest->used_at);
    if (foreign) {
      disk_bytes_ -= foreign_.front().bytes;
      dropped->files.push_back(foreign_.front().path);
      foreign_.pop_front();
      continue;
    }
    if (oldest == nullptr) return;
    if (oldest->sequence == nullptr) {
      forget(oldest, dropped);
      continue;
    }
    drop_file(oldest->file, dropped);
    oldest->unwritable = true;
  }
}

bool PrefixCache::give_way() {
  Dropped dropped;
  {
    const std::lock_guard lock(mutex_);
    std::vector<EntryPtr> some;
    for (const EntryPtr& one : entries_) {
      if (one->sequence != nullptr && !one->pinned) some.push_back(one);
    }
    std::sort(some.begin(), some.end(), [](const auto& a, const auto& b) { return a->used < b->used; });
    some.resize((some.size() + 1) / 2);
    for (const EntryPtr& one : some) drop_memory(one, &dropped);
  }
  const bool any = !dropped.sequences.empty();
  finish(std::move(dropped));
  return any;
}

void PrefixCache::finish(Dropped&& dropped) {
  dropped.sequences.clear();
  if (dropped.files.empty()) return;
  const std::lock_guard lock(mutex_);
  to_remove_.insert(to_remove_.end(), dropped.files.begin(), dropped.files.end());
  work_.notify_one();
}

std::vector<CachedSequence> PrefixCache::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<EntryPtr> all = entries_;
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a->used > b->used; });
  std::vector<CachedSequence> list;
  for (const EntryPtr& one : all) {
    CachedSequence info;
    info.id = one->id;
    info.domain = one->domain;
    info.tokens = static_cast<int>(one->text.tokens.size());
    if (one->sequence != nullptr) info.bytes = bytes_of(*one->sequence);
    info.disk_bytes = one->file.bytes;
    info.used = one->used_at;
    for (const Spans::Span& span : one->text.labels.all())
      info.clearance = std::max(info.clearance, span.label.clearance);
    info.pinned = one->pinned;
    list.push_back(std::move(info));
  }
  return list;
}

std::vector<LabelledTokens> PrefixCache::spans(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const EntryPtr one = entry(id);
  if (one == nullptr) return {};
  std::vector<LabelledTokens> all;
  const auto& tokens = one->text.tokens;
  const auto size = static_cast<int>(tokens.size());
  for (const Spans::Span& span : one->text.labels.all()) {
    if (span.begin >= size) break;
    all.push_back({span.label, {tokens.begin() + span.begin, tokens.begin() + std::min(span.end, size)}});
  }
  return all;
}

uint64_t PrefixCache::longest(const std::string& domain, std::span<const TokenId> tokens) const {
  const std::lock_guard lock(mutex_);
  const size_t middle = place(domain, tokens);
  size_t most = 0;
  uint64_t id = 0;
  for (const size_t i : {middle, middle - 1}) {
    if (i >= entries_.size() || entries_[i]->domain != domain) continue;
    const size_t common = common_of(tokens, entries_[i]->text.tokens);
    if (common > most) most = common, id = entries_[i]->id;
  }
  return id;
}

void PrefixCache::save(uint64_t id, const std::string& path) const {
  std::shared_ptr<const Sequence> sequence;
  std::string file;
  {
    const std::lock_guard lock(mutex_);
    const EntryPtr one = entry(id);
    if (one != nullptr && !revoked(*one)) sequence = one->sequence, file = one->file.path;
  }
  if (sequence != nullptr && sequence->replay > 0 &&
      sequence->state->format(static_cast<int>(sequence->tokens.size())).recurrent_bytes > 0) {
    Sequence copy = stepper_->fork(*sequence, static_cast<int>(sequence->tokens.size()));
    stepper_->replay(copy);
    save_session(path, stepper_->model().fingerprint(), copy.tokens, *copy.state);
  } else if (sequence != nullptr) {
    save_session(path, stepper_->model().fingerprint(), sequence->tokens, *sequence->state);
  } else if (!file.empty()) {
    const SavedSession saved(file);
    AtomicFile copy(path);
    copy.write(saved.bytes());
    copy.commit();
  } else {
    throw Error(ErrorKind::kNotFound, fmt::format("no cached sequence has the id {}", id), {},
                "those used longest ago make room for others");
  }
}

bool PrefixCache::erase(uint64_t id) {
  Dropped dropped;
  {
    const std::lock_guard lock(mutex_);
    const EntryPtr one = entry(id);
    if (one == nullptr) return false;
    forget(one, &dropped);
  }
  // At once, not by the thread: whoever erases wants it gone.
  for (const std::string& path : dropped.files) files_->remove(path);
  return true;
}

bool PrefixCache::pin(uint64_t id, bool pinned) {
  const std::lock_guard lock(mutex_);
  const EntryPtr one = entry(id);
  if (one != nullptr) one->pinned = pinned;
  return one != nullptr;
}

void PrefixCache::add_stats(SchedulerStats* stats) const {
  const std::lock_guard lock(mutex_);
  stats->cache_bytes = bytes_;
  stats->cache_disk_bytes = disk_bytes_;
  stats->cache_entries = static_cast<int>(entries_.size());
  stats->cache_evictions = evictions_;
  stats->cache_damaged = damaged_;
  stats->cache_failed_writes = failed_writes_;
}

// ---- The thread of the files.

PrefixCache::EntryPtr PrefixCache::unwritten() const {
  EntryPtr first;
  for (const EntryPtr& one : entries_) {
    if (one->sequence == nullptr || !one->file.path.empty() || one->unwritable) continue;
    if (first == nullptr || one->added < first->added) first = one;
  }
  return first;
}

void PrefixCache::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!to_load_.empty() && !stopping_) {
      const EntryPtr one = to_load_.front();
      to_load_.pop_front();
      load(lock, one);
      continue;
    }
    if (!to_touch_.empty() || !to_remove_.empty()) {
      const auto touch = std::exchange(to_touch_, {}), remove = std::exchange(to_remove_, {});
      lock.unlock();
      for (const std::string& path : touch) files_->touch(path);
      for (const std::string& path : remove) files_->remove(path);
      lock.lock();
      continue;
    }
    const EntryPtr one = unwritten();
    const auto now = Clock::now();
    const int64_t idle = idle_since_;
    if (one != nullptr && (stopping_ || now - one->added > kWriteAnyway ||
                           (idle != kBusy && now - Clock::time_point(Clock::duration(idle)) > kWriteWhenIdle))) {
      write(lock, one);
      continue;
    }
    if (stopping_) return;
    if (one != nullptr) work_.wait_for(lock, kLookAgain);
    else work_.wait(lock);
  }
}

void PrefixCache::load(std::unique_lock<std::mutex>& lock, const EntryPtr& one) {
  const std::string path = one->file.path;
  Dropped dropped;
  bool refused = false;
  lock.unlock();
  std::shared_ptr<const Sequence> sequence;
  try {
    Sequence read = files_->read(path);
    // The tokens by which it was found were not checked then.
    refused =
        read.tokens != one->text.tokens || one->text.common(read.tokens, read.state->spans) < one->text.tokens.size();
    if (!refused) sequence = std::make_shared<const Sequence>(std::move(read));
  } catch (const std::bad_alloc&) {  // not now
  } catch (const std::exception&) {
    refused = true;
  }
  lock.lock();
  one->loading = false;
  if (!one->erased && refused) {
    ++damaged_;
    forget(one, &dropped);
  } else if (!one->erased && sequence != nullptr) {
    one->sequence = std::move(sequence);
    count(*one->sequence, 1);
    make_room(&dropped);
  }
  lock.unlock();
  finish(std::move(dropped));
  sequence.reset();
  loaded_();
  lock.lock();
}

void PrefixCache::write(std::unique_lock<std::mutex>& lock, const EntryPtr& one) {
  std::shared_ptr<const Sequence> sequence = one->sequence;
  one->writing = true;
  lock.unlock();
  uint64_t bytes = 0;
  const std::string path = files_->path_of(one->domain, *sequence);
  Dropped dropped;
  try {
    const auto format = sequence->state->format(static_cast<int>(sequence->tokens.size()));
    const auto expected = sequence->tokens.size() * static_cast<uint64_t>(format.token_bytes);
    // One that stopped while its state was made again would have to go on with that first.
    const bool ready = sequence->replay == 0 || format.recurrent_bytes == 0;
    if (ready && expected <= max_disk_bytes_) bytes = files_->write(path, *sequence);
  } catch (const std::exception&) {  // a full disk; memory
  }
  lock.lock();
  one->writing = false;
  if (bytes == 0) {
    ++failed_writes_;
    one->unwritable = true;
    if (!one->erased && one->sequence == nullptr) forget(one, &dropped);
  } else if (one->erased) {
    dropped.files.push_back(path);
  } else {
    one->file = {path, bytes};
    disk_bytes_ += bytes;
    for (File& old : one->replaces) drop_file(old, &dropped);
    std::erase(dropped.files, path);
    one->replaces.clear();
    make_room_on_disk(&dropped);
  }
  lock.unlock();
  sequence.reset();
  finish(std::move(dropped));
  lock.lock();
}

}  // namespace fieldprint
