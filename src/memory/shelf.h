// The ledger and the index of its store, with what is on its way to disk: whoever decides under the memory's lock sees
// what has been decided before, durable or not. Only what is durable is ever told to a caller.
//
// put() and forget() under the memory's lock; the rest from any thread.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ledger/ledger.h"
#include "memory/event.h"
#include "memory/spaces.h"

namespace fieldprint::memory {

class Shelf {
 public:
  explicit Shelf(ledger::Ledger& ledger) : ledger_(ledger) {}

  // The next events, and the rows that belong to them. Returns the index of the first.
  int64_t put(const std::vector<Event>& events, std::vector<ledger::IndexWrite> writes);
  void wait(int64_t size);  // until so many events are durable; throws what the store fails with

  std::optional<ledger::Bytes> get(Space space, ledger::ByteView key) const;
  // Rows whose key begins with `prefix`, in the order of their keys.
  void scan(Space space, ledger::ByteView prefix,
            const std::function<void(ledger::ByteView key, ledger::ByteView value)>& each) const;

  ledger::Ledger& ledger() const { return ledger_; }

 private:
  struct Pending {
    std::optional<ledger::Bytes> value;  // none: erased
    int64_t size;                        // of the ledger, once it is durable
  };
  using Key = std::pair<int, std::string>;

  void prune(int64_t durable);

  ledger::Ledger& ledger_;
  mutable std::mutex mutex_;
  std::map<Key, Pending> pending_;
};

inline ledger::IndexWrite put_row(Space space, ledger::ByteView key, ledger::Bytes value) {
  return {space, ledger::Bytes(key.begin(), key.end()), std::move(value)};
}
inline ledger::IndexWrite erase_row(Space space, ledger::ByteView key) {
  return {space, ledger::Bytes(key.begin(), key.end()), std::nullopt};
}

}  // namespace fieldprint::memory
