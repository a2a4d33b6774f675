#include "memory/shelf.h"

#include <algorithm>

namespace fieldprint::memory {

int64_t Shelf::put(const std::vector<Event>& events, std::vector<ledger::IndexWrite> writes) {
  std::vector<ledger::Bytes> leaves;
  for (const Event& event : events) leaves.push_back(encode_event(event));
  const std::lock_guard lock(mutex_);
  prune(ledger_.durable_size());
  const std::vector<ledger::IndexWrite> kept = writes;
  const auto count = static_cast<int64_t>(leaves.size());
  const int64_t first = ledger_.enqueue(std::move(leaves), std::move(writes));
  // Rows without an event of their own are durable with the next one at the latest.
  const int64_t size = first + std::max<int64_t>(count, 1);
  for (const ledger::IndexWrite& write : kept)
    pending_[{write.space, std::string(ledger::text_of(write.key))}] = {write.value, size};
  return first;
}

void Shelf::wait(int64_t size) { ledger_.wait_durable(size); }

void Shelf::prune(int64_t durable) {
  std::erase_if(pending_, [&](const auto& entry) { return entry.second.size <= durable; });
}

std::optional<ledger::Bytes> Shelf::get(Space space, ledger::ByteView key) const {
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find({space, std::string(ledger::text_of(key))});
    if (found != pending_.end()) return found->second.value;
  }
  return ledger_.get(space, key);
}

void Shelf::scan(Space space, ledger::ByteView prefix,
                 const std::function<void(ledger::ByteView, ledger::ByteView)>& each) const {
  const std::string begin(ledger::text_of(prefix));
  std::map<std::string, std::optional<ledger::Bytes>> over;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = pending_.lower_bound({space, begin});
         at != pending_.end() && at->first.first == space && at->first.second.starts_with(begin); ++at) {
      over.emplace(at->first.second, at->second.value);
    }
  }
  auto next = over.begin();
  const auto give_before = [&](const std::string_view* key) {
    for (; next != over.end() && (!key || next->first < *key); ++next) {
      if (next->second) each(ledger::view_of(next->first), *next->second);
    }
  };
  ledger_.scan(space, prefix, [&](ledger::ByteView key, ledger::ByteView value) {
    const std::string_view own = ledger::text_of(key);
    give_before(&own);
    if (next != over.end() && next->first == own) return;  // given by the next turn, if it is still there
    each(key, value);
  });
  give_before(nullptr);
}

}  // namespace fieldprint::memory
