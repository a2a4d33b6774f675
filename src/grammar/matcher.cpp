#include "grammar/matcher.h"

#include <algorithm>
#include <cassert>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr uint64_t kMaxWork = 5'000'000;  // a quarter of a second
constexpr size_t kMaxBytes = 256 << 20;
constexpr size_t kCacheSlots = 1 << 14;

uint64_t mixed(uint64_t x) {  // the finisher of SplitMix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

uint64_t top_of(NodeId node, uint32_t count = 0) { return uint64_t{count} << 32 | node; }
NodeId node_of(uint64_t top) { return static_cast<NodeId>(top); }
uint32_t count_of(uint64_t top) { return static_cast<uint32_t>(top >> 32); }

}  // namespace

Matcher::Matcher(const Automaton& automaton) : automaton_(automaton), united_(kCacheSlots), closed_(kCacheSlots) {
  index_.resize(1024);
  sets_.emplace_back();  // kDead
  rows_.push_back(&row_store_.emplace_back());
  rows_[kDead]->fill(kDead);
  const Entry end{kEndOfStack, kDead};
  std::vector<Entry> start{{top_of(automaton.start()), intern({&end, 1})}};
  start_ = closure(start);
}

void Matcher::count_work(size_t amount) {
  work_done_ += amount;
  if (work_done_ > kMaxWork || bytes_ > kMaxBytes)
    throw Error(ErrorKind::kLimit, "the grammar is too ambiguous: one token has too many readings", {},
                "repetitions within repetitions are the usual cause");
}

StateId Matcher::intern(std::span<const Entry> sorted) {
  if (sorted.empty()) return kDead;
  uint64_t hash = sorted.size();
  for (const Entry& e : sorted) hash = mixed(hash ^ e.top) + mixed(e.below + 0x9E3779B97F4A7C15u);
  hash = mixed(hash);
  const auto slot_of = [&](uint64_t h) { return h & (index_.size() - 1); };
  size_t slot = slot_of(hash);
  for (; index_[slot] != kDead; slot = (slot + 1) & (index_.size() - 1)) {
    const auto there = entries(index_[slot]);
    if (there.size() == sorted.size() && std::equal(there.begin(), there.end(), sorted.begin())) return index_[slot];
  }
  uint32_t depth = 0;
  for (const Entry& e : sorted)
    if (e.top != kEndOfStack) depth = std::max(depth, sets_[e.below].depth + 1);
  const auto id = static_cast<StateId>(sets_.size());
  const auto begin = static_cast<uint32_t>(entries_.size());
  assert(sorted.data() < entries_.data() || sorted.data() >= entries_.data() + entries_.size());
  entries_.insert(entries_.end(), sorted.begin(), sorted.end());
  sets_.push_back({begin, static_cast<uint32_t>(sorted.size()), depth});
  rows_.push_back(nullptr);
  index_[slot] = id;
  bytes_ += sorted.size() * sizeof(Entry) + sizeof(Set) + sizeof(Row*) + 2 * sizeof(StateId);
  if (sets_.size() * 2 > index_.size()) {
    std::vector<StateId> old(index_.size() * 2);
    old.swap(index_);
    for (StateId s = 1; s < sets_.size(); ++s) {
      uint64_t h = sets_[s].size;
      for (const Entry& e : entries(s)) h = mixed(h ^ e.top) + mixed(e.below + 0x9E3779B97F4A7C15u);
      size_t at = slot_of(mixed(h));
      while (index_[at] != kDead) at = (at + 1) & (index_.size() - 1);
      index_[at] = s;
    }
  }
  return id;
}

StateId Matcher::pushed(uint64_t top, StateId below) {
  const Entry entry{top, below};
  return intern({&entry, 1});
}

StateId Matcher::unite(StateId a, StateId b) {
  if (a == b || b == kDead) return a;
  if (a == kDead) return b;
  if (a > b) std::swap(a, b);
  auto& memo = united_[mixed(uint64_t{a} << 32 | b) & (kCacheSlots - 1)];
  if (memo[0] == a && memo[1] == b) return memo[2];
  std::vector<Entry> merged;
  merged.reserve(sets_[a].size + sets_[b].size);
  count_work(sets_[a].size + sets_[b].size);
  size_t i = 0, j = 0;
  while (i < sets_[a].size && j < sets_[b].size) {
    const Entry x = entries(a)[i], y = entries(b)[j];
    if (x.top == y.top) {
      merged.push_back({x.top, unite(x.below, y.below)});
      ++i, ++j;
    } else if (x.top < y.top) {
      merged.push_back(x);
      ++i;
    } else {
      merged.push_back(y);
      ++j;
    }
  }
  for (; i < sets_[a].size; ++i) merged.push_back(entries(a)[i]);
  for (; j < sets_[b].size; ++j) merged.push_back(entries(b)[j]);
  const StateId both = intern(merged);
  united_[mixed(uint64_t{a} << 32 | b) & (kCacheSlots - 1)] = {a, b, both};
  return both;
}

// Notes that `top` over `below` is reached; what lies below one top is joined.
void Matcher::add(uint64_t top, StateId below) {
  count_work(1);
  if (sets_[below].depth + automaton_.node(node_of(top)).need > automaton_.max_depth()) return;
  if (open_.size() * 2 >= open_index_.size()) {
    std::vector<uint32_t> larger(std::max<size_t>(64, open_index_.size() * 2));
    open_slots_.clear();
    for (uint32_t n = 0; n < open_.size(); ++n) {
      size_t slot = mixed(open_[n].top) & (larger.size() - 1);
      while (larger[slot] != 0) slot = (slot + 1) & (larger.size() - 1);
      larger[slot] = n + 1;
      open_slots_.push_back(static_cast<uint32_t>(slot));
    }
    open_index_.swap(larger);
  }
  size_t slot = mixed(top) & (open_index_.size() - 1);
  while (open_index_[slot] != 0 && open_[open_index_[slot] - 1].top != top)
    slot = (slot + 1) & (open_index_.size() - 1);
  if (open_index_[slot] == 0) {
    open_.push_back({top, below, true});
    open_index_[slot] = static_cast<uint32_t>(open_.size());
    open_slots_.push_back(static_cast<uint32_t>(slot));
    waiting_.push_back(open_index_[slot] - 1);
    return;
  }
  Open& open = open_[open_index_[slot] - 1];
  const StateId both = unite(open.below, below);
  if (both == open.below) return;
  open.below = both;
  if (!open.waiting) waiting_.push_back(open_index_[slot] - 1);
  open.waiting = true;
}

// Where one comes from `top` without reading.
void Matcher::process(uint64_t top, StateId below) {
  const NodeId n = node_of(top);
  for (const NodeId to : automaton_.empties(n)) add(top_of(to), below);
  const auto call = [&](NodeId start, uint64_t back) {
    if (sets_[below].depth + automaton_.node(node_of(back)).need > automaton_.max_depth()) return;
    add(top_of(start), pushed(back, below));
  };
  for (const auto& c : automaton_.calls(n)) {
    if (c.back == kAbsent) add(top_of(c.start), below);
    else call(c.start, top_of(c.back));
  }
  if (const auto* loop = automaton_.loop(n)) {
    const uint32_t count = count_of(top);
    if (count >= loop->min) add(top_of(loop->exit), below);
    if (count < loop->max)
      call(loop->body, top_of(n, loop->max == kUnbounded && count >= loop->min ? count : count + 1));
  }
  if (!automaton_.is_end(n)) return;
  for (size_t i = 0; i < sets_[below].size; ++i) {
    const Entry e = entries(below)[i];
    if (e.top != kEndOfStack) add(e.top, e.below);
  }
}

// `set` in the normal form.
StateId Matcher::joined(std::vector<Entry>& set) {
  if (set.empty()) return kDead;
  std::sort(set.begin(), set.end(), [](const Entry& a, const Entry& b) { return a.top < b.top; });
  size_t kept = 0;
  for (size_t i = 1; i < set.size(); ++i) {
    if (set[i].top == set[kept].top) set[kept].below = unite(set[kept].below, set[i].below);
    else set[++kept] = set[i];
  }
  set.resize(kept + 1);
  return intern(set);
}

StateId Matcher::closure(std::vector<Entry>& read) {
  const StateId key = joined(read);
  if (key == kDead) return kDead;
  if (const auto& memo = closed_[mixed(key) & (kCacheSlots - 1)]; memo[0] == key) return memo[1];
  open_.clear();
  for (const uint32_t slot : open_slots_) open_index_[slot] = 0;
  open_slots_.clear();
  waiting_.clear();
  for (const Entry& e : read) add(e.top, e.below);
  while (!waiting_.empty()) {
    Open& open = open_[waiting_.front()];
    waiting_.pop_front();
    open.waiting = false;
    process(open.top, open.below);
  }
  std::vector<Entry> state;
  bool ends = false;
  for (const Open& open : open_) {
    const NodeId n = node_of(open.top);
    if (!automaton_.bytes(n).empty()) state.push_back({open.top, open.below});
    const auto& below = sets_[open.below];
    if (automaton_.is_end(n) && !below.empty()) ends |= entries(open.below).back().top == kEndOfStack;
  }
  if (ends) state.push_back({kEndOfStack, kDead});
  const StateId result = joined(state);
  closed_[mixed(key) & (kCacheSlots - 1)] = {key, result};
  return result;
}

const Matcher::Row& Matcher::row(StateId state) {
  if (rows_[state] != nullptr) return *rows_[state];
  struct Reading {
    uint8_t low, high;
    Entry entry;
  };
  std::vector<Reading> readings;
  std::array<bool, 257> borders{};
  for (size_t i = 0; i < sets_[state].size; ++i) {
    const Entry e = entries(state)[i];
    if (e.top == kEndOfStack) continue;
    for (const auto& edge : automaton_.bytes(node_of(e.top))) {
      readings.push_back({edge.low, edge.high, {top_of(edge.to), e.below}});
      borders[edge.low] = borders[edge.high + 1u] = true;
    }
  }
  Row row;
  row.fill(kDead);
  std::vector<Entry> read;
  for (unsigned low = 0; low < 256;) {
    unsigned high = low;
    while (high < 255 && !borders[high + 1]) ++high;
    read.clear();
    for (const Reading& r : readings)
      if (r.low <= low && low <= r.high) read.push_back(r.entry);
    count_work(readings.size());
    const StateId to = closure(read);
    for (; low <= high; ++low) row[low] = to;
  }
  bytes_ += sizeof(Row);
  rows_[state] = &row_store_.emplace_back(row);
  return *rows_[state];
}

template <typename Taken>
StateId Matcher::step(StateId state, uint8_t byte, Taken taken) {
  read_.clear();
  for (const Entry& e : entries(state)) {
    if (e.top == kEndOfStack) continue;
    for (const auto& edge : automaton_.bytes(node_of(e.top)))
      if (edge.low <= byte && byte <= edge.high && taken(edge)) read_.push_back({top_of(edge.to), e.below});
  }
  return closure(read_);
}

StateId Matcher::next(StateId state, std::string_view bytes) {
  for (const char c : bytes) {
    if (state == kDead) break;
    const auto byte = static_cast<uint8_t>(c);
    state = rows_[state] != nullptr ? (*rows_[state])[byte] : step(state, byte, [](const auto&) { return true; });
  }
  return state;
}

StateId Matcher::next_named(StateId state, std::string_view name, bool ends) {
  for (const char c : name) {
    if (state == kDead) break;
    state = step(state, static_cast<uint8_t>(c), [ends](const Automaton::Bytes& edge) {
      return edge.names == Names::kLiteral || (edge.names == Names::kFree && !ends);
    });
  }
  return state;
}

StateId Matcher::within(StateId state, uint32_t length) {
  if (automaton_.largest_bound() <= length + 1) return state;  // every count may matter
  if (within_length_ != length) within_.clear(), within_length_ = length;
  if (within_.size() < sets_.size()) within_.resize(sets_.size());
  if (state == kDead || within_[state] != kDead) return within_[state];
  std::vector<Entry> result;
  // Each round of a loop reads a byte, so that `length` bytes are at most length + 1 rounds: one may be open already.
  const uint64_t reach = uint64_t{length} + 1;
  for (size_t i = 0; i < sets_[state].size; ++i) {
    Entry e = entries(state)[i];
    if (e.top != kEndOfStack) {
      e.below = within(e.below, length);
      if (const auto* loop = automaton_.loop(node_of(e.top))) {
        uint32_t count = count_of(e.top);
        const bool far_from_max = loop->max == kUnbounded || uint64_t{count} + reach < loop->max;
        if (uint64_t{count} + reach < loop->min) count = 0;
        else if (count >= loop->min && far_from_max) count = loop->min;
        e.top = top_of(node_of(e.top), count);
      }
    }
    result.push_back(e);
  }
  const StateId same = joined(result);  // counts that became equal: what lies below them is joined
  if (within_.size() < sets_.size()) within_.resize(sets_.size());
  return within_[state] = same;
}

}  // namespace fieldprint
