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
  for (const ledger::IndexWrite& write : kept) pending_[{write.space, write.key}] = {write.value, size};
  return first;
}

void Shelf::wait(int64_t size) { ledger_.wait_durable(size); }

void Shelf::prune(int64_t durable) {
  std::erase_if(pending_, [&](const auto& entry) { return entry.second.size <= durable; });
}

std::optional<ledger::Bytes> Shelf::get(Space space, ledger::ByteView key) const {
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find({space, ledger::Bytes(key.begin(), key.end())});
    if (found != pending_.end()) return found->second.value;
  }
  return ledger_.get(space, key);
}

void Shelf::scan(Space space, ledger::ByteView prefix,
                 const std::function<void(ledger::ByteView, ledger::ByteView)>& each) const {
  const auto begins = [&](const ledger::Bytes& key) {
    return key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
  };
  std::map<ledger::Bytes, std::optional<ledger::Bytes>> over;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = pending_.lower_bound({space, ledger::Bytes(prefix.begin(), prefix.end())});
         at != pending_.end() && at->first.first == space && begins(at->first.second); ++at) {
      over.emplace(at->first.second, at->second.value);
    }
  }
  auto next = over.begin();
  const auto give_before = [&](const ledger::Bytes* key) {
    for (; next != over.end() && (!key || std::ranges::lexicographical_compare(next->first, *key)); ++next) {
      if (next->second) each(next->first, *next->second);
    }
  };
  ledger_.scan(space, prefix, [&](ledger::ByteView key, ledger::ByteView value) {
    const ledger::Bytes own(key.begin(), key.end());
    give_before(&own);
    if (next != over.end() && next->first == own) return;  // given by the next turn, if it is still there
    each(key, value);
  });
  give_before(nullptr);
}

}  // namespace fieldprint::memory
