// A LedgerStore in one file of SQLite, DIRECTORY/ledger.db, in WAL mode with synchronous=FULL. Debian 12's
// SQLite 3.40.1 can lose pages where two connections checkpoint (its WAL-reset fault), so exactly one connection here
// writes and checkpoints, when it is told to and not by itself; the others are opened to read only.
//
// The constructor takes a lock on the directory: a second store on it, in this process or another, is refused.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>

#include "base/descriptor.h"
#include "ledger/store.h"

namespace fieldprint::ledger {

class SqliteStore : public LedgerStore {
 public:
  // Opens or makes it, in a directory that is there. Error kBadFile for a damaged file. A file of up to 32 MiB is
  // checked whole (SQLite's quick_check); of a larger one the ends only, lest a start take as long as reading it: what
  // lies between has its checksums, and the leaves the tree's root.
  explicit SqliteStore(const std::filesystem::path& directory);
  ~SqliteStore() override;

  Bytes id() const override { return id_; }
  int64_t size() const override { return size_; }
  void append(int64_t expected_size, std::span<const Batch> batches) override;
  void maintain() override;
  Bytes leaf(int64_t index) const override;
  void leaves(int64_t begin, int64_t end, const EachLeaf& each) const override;
  std::optional<Bytes> get(int space, ByteView key) const override;
  void scan(int space, ByteView prefix, ByteView from, int64_t limit, const EachRow& each) const override;

 private:
  struct Writer;
  struct Reader;
  void start();
  void check_file();
  void refuse_if_failed() const;
  void fail(const std::string& why) const;
  std::unique_ptr<Reader> take_reader() const;
  template <typename Work>
  auto read(Work work) const;

  std::filesystem::path file_;
  Descriptor lock_;
  std::unique_ptr<Writer> writer_;
  Bytes id_;
  std::atomic<int64_t> size_{0};
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Reader>> idle_;
  mutable std::string failure_;  // why all is refused; empty: it is not
  mutable std::atomic<bool> failed_{false};
};

}  // namespace fieldprint::ledger
