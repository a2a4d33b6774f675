// Where a ledger keeps its leaves and the rows that belong to them. An interface, so that another database can take
// SQLite's place (src/ledger/sqlite_store.h); tests/support/store_conformance.h holds each to what is written here.
//
// A store is a list of leaves that only grows, and an index: ordered rows of a key and a value in numbered spaces.
// Leaves and rows that are appended together are there together or not at all, and durable when append() returns: that
// is what an acknowledgement rests on. What is read is what was written, or Error kBadFile: each leaf and row has a
// checksum.
//
// append() and maintain() are for one thread at a time; the rest for any, also meanwhile, and sees only what is
// durable. Once the system has refused something (Error kIo: an fsync, a full disk) nobody knows what reached the disk.
// The store then refuses all else with that reason until it is opened again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "ledger/bytes.h"

namespace fieldprint::ledger {

struct IndexWrite {
  int space;
  Bytes key;
  std::optional<Bytes> value;  // none: the row is erased, if it is there
};

struct Batch {
  std::vector<Bytes> leaves;
  std::vector<IndexWrite> writes;  // one after the other: the last one to a key holds
};

class LedgerStore {
 public:
  virtual ~LedgerStore() = default;

  virtual Bytes id() const = 0;      // 16 random bytes, drawn when the store was made
  virtual int64_t size() const = 0;  // leaves

  // All batches in one transaction. Error kIo, and nothing is written, where size() is not `expected_size`: somebody
  // else appends too.
  virtual void append(int64_t expected_size, std::span<const Batch> batches) = 0;
  // Work that can wait, such as moving a log's pages to their places. To be called now and then between appends.
  virtual void maintain() = 0;

  virtual Bytes leaf(int64_t index) const = 0;  // Error kNotFound beyond the end
  using EachLeaf = std::function<void(int64_t index, ByteView leaf)>;
  virtual void leaves(int64_t begin, int64_t end, const EachLeaf& each) const = 0;  // in order; Error kNotFound too

  virtual std::optional<Bytes> get(int space, ByteView key) const = 0;
  // At most `limit` rows whose key begins with `prefix` and is not below `from`, in the order of the keys' bytes.
  // `each` may call the store.
  using EachRow = std::function<void(ByteView key, ByteView value)>;
  virtual void scan(int space, ByteView prefix, ByteView from, int64_t limit, const EachRow& each) const = 0;
};

}  // namespace fieldprint::ledger
