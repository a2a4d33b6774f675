#include "ledger/sqlite_store.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cassert>

#include "base/sqlite.h"
#include "base/unix_socket.h"
#include "fieldprint/error.h"
#include "ledger/files.h"
#include "ledger/hash.h"
#include "ledger/merkle.h"

namespace fieldprint::ledger {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kFormat = 1;
constexpr uintmax_t kCheckedWhole = 32 << 20;
constexpr int64_t kPassiveAfter = 4 << 20;      // bytes, roughly, since the last checkpoint
constexpr uintmax_t kTruncateAbove = 64 << 20;  // bytes of the WAL
constexpr size_t kIdleReaders = 8;
constexpr const char* kWhat = "the ledger's database";

constexpr const char* kSchema = R"(
BEGIN IMMEDIATE;
CREATE TABLE store (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL) STRICT;
CREATE TABLE leaves (number INTEGER PRIMARY KEY, leaf BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE rows (space INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, checksum BLOB NOT NULL,
                   PRIMARY KEY (space, key)) STRICT, WITHOUT ROWID;
INSERT INTO store VALUES (1, randomblob(16));
PRAGMA user_version = 1;
COMMIT;
)";

// For what happens to bits; against people there are the tree and its signatures.
Bytes row_checksum(int space, ByteView key, ByteView value) {
  Bytes head;
  for (const uint64_t number : {static_cast<uint64_t>(space), static_cast<uint64_t>(key.size())}) {
    for (int shift = 56; shift >= 0; shift -= 8) head.push_back(static_cast<std::byte>(number >> shift));
  }
  const Digest digest = sha256({head, key, value});
  return {digest.begin(), digest.begin() + 8};
}

bool begins_with(ByteView key, ByteView prefix) {
  return key.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), key.begin());
}

int64_t number_of(Sqlite& db, const char* sql) {
  Statement statement(db, sql);
  if (!statement.step()) throw Error(ErrorKind::kBadFile, std::string(kWhat) + " is damaged", db.name());
  return statement.number(0);
}

void require_leaf(const Sqlite& db, int64_t index, const Bytes& leaf, const Bytes& hash) {
  if (!std::ranges::equal(leaf_hash(leaf), hash)) {
    throw Error(ErrorKind::kBadFile, fmt::format("leaf {} is not what was written", index), db.name());
  }
}

}  // namespace

struct SqliteStore::Writer {
  explicit Writer(const fs::path& file) : db(file, kWhat) {
    sqlite3_db_config(db.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    db.run("PRAGMA mmap_size = 0");
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA wal_autocheckpoint = 0");
    db.run("PRAGMA synchronous = FULL");
    db.run("PRAGMA secure_delete = ON");  // what is erased is overwritten
  }
  void prepare() {
    leaf.emplace(db, "INSERT INTO leaves VALUES (?, ?, ?)");
    put.emplace(db,
                "INSERT INTO rows VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
                "SET value = excluded.value, checksum = excluded.checksum");
    erase.emplace(db, "DELETE FROM rows WHERE space = ? AND key = ?");
  }
  void checkpoint(const char* mode) {
    Statement(db, fmt::format("PRAGMA wal_checkpoint({})", mode)).step();
    since_checkpoint = 0;
  }
  int64_t count() { return number_of(db, "SELECT ifnull(max(number) + 1, 0) FROM leaves"); }

  Sqlite db;
  std::optional<Statement> leaf, put, erase;
  int64_t since_checkpoint = 0;
};

struct SqliteStore::Reader {
  explicit Reader(const fs::path& file) : db(file, kWhat, Sqlite::Access::kRead) {
    db.run("PRAGMA mmap_size = 0");
    leaves.emplace(db, "SELECT number, leaf, hash FROM leaves WHERE number >= ? AND number < ? ORDER BY number");
    get.emplace(db, "SELECT value, checksum FROM rows WHERE space = ? AND key = ?");
    scan.emplace(db, "SELECT key, value, checksum FROM rows WHERE space = ? AND key >= ? ORDER BY key LIMIT ?");
  }
  Sqlite db;
  std::optional<Statement> leaves, get, scan;
};

SqliteStore::SqliteStore(const fs::path& directory)
    : file_(directory / "ledger.db"), lock_(lock_in(directory.string(), "lock")) {
  if (!lock_) throw Error(ErrorKind::kIo, "another process works with it", directory.string(), "stop that one first");
  start();
}

SqliteStore::~SqliteStore() {
  if (failed_) return;
  try {
    writer_->checkpoint("TRUNCATE");
  } catch (...) {  // the log stays, and is read at the next start
  }
}

void SqliteStore::start() {
  const bool made = !fs::exists(file_);
  writer_ = std::make_unique<Writer>(file_);
  Sqlite& db = writer_->db;
  if (number_of(db, "PRAGMA user_version") == 0 && number_of(db, "SELECT count(*) FROM sqlite_schema") == 0) {
    db.run(kSchema);
  }
  if (made) sync_directory(file_.parent_path());
  if (number_of(db, "PRAGMA user_version") != kFormat) {
    throw Error(ErrorKind::kUnsupported, std::string(kWhat) + " is of another version", db.name());
  }
  // What a crash has left in the log is written anew, and with it reaches the disk for sure.
  writer_->checkpoint("TRUNCATE");
  check_file();
  writer_->prepare();
  Statement id(db, "SELECT id FROM store");
  if (id.step()) id_ = id.blob(0);
  if (id_.size() != 16) throw Error(ErrorKind::kBadFile, std::string(kWhat) + " is damaged", db.name());
  size_ = writer_->count();
  if (size_ > 0) {
    leaf(0);
    leaf(size_ - 1);
  }
}

void SqliteStore::check_file() {
  if (fs::file_size(file_) > kCheckedWhole) return;
  Statement check(writer_->db, "PRAGMA quick_check(1)");
  if (!check.step() || check.text(0) != "ok") {
    throw Error(ErrorKind::kBadFile, fmt::format("{} is damaged: {}", kWhat, check.text(0)), writer_->db.name());
  }
}

void SqliteStore::refuse_if_failed() const {
  if (!failed_) return;
  const std::lock_guard lock(mutex_);
  throw Error(ErrorKind::kIo, failure_, file_.string(), "look after the disk, then start again");
}

void SqliteStore::fail(const std::string& why) const {
  const std::lock_guard lock(mutex_);
  if (failed_) return;
  failure_ = "has stopped for good, since the system refused it something: " + why;
  failed_ = true;
}

void SqliteStore::append(int64_t expected_size, std::span<const Batch> batches) {
  refuse_if_failed();
  int64_t size = expected_size;
  bool refused = false;
  try {
    Transaction transaction(writer_->db);
    if (writer_->count() != expected_size) {
      refused = true;
      throw Error(ErrorKind::kIo,
                  fmt::format("the ledger has {} leaves where {} are expected: somebody else appends", writer_->count(),
                              expected_size),
                  file_.string());
    }
    for (const Batch& batch : batches) {
      for (const Bytes& leaf : batch.leaves) {
        writer_->leaf->bind(size++).bind_blob(leaf).bind_blob(leaf_hash(leaf)).run();
        writer_->leaf->reset();
        writer_->since_checkpoint += static_cast<int64_t>(leaf.size());
      }
      for (const auto& [space, key, value] : batch.writes) {
        Statement& statement = value ? *writer_->put : *writer_->erase;
        statement.bind(space).bind_blob(key);
        if (value) statement.bind_blob(*value).bind_blob(row_checksum(space, key, *value));
        statement.run();
        statement.reset();
        writer_->since_checkpoint += static_cast<int64_t>(key.size() + (value ? value->size() : 0));
      }
    }
    transaction.commit();
  } catch (const std::exception& error) {
    if (!refused) fail(error.what());
    throw;
  }
  writer_->since_checkpoint += 4 * 4096;  // pages that each commit writes whole
  size_ = size;
}

void SqliteStore::maintain() {
  refuse_if_failed();
  if (writer_->since_checkpoint < kPassiveAfter) return;
  try {
    std::error_code none;
    const uintmax_t log = fs::file_size(file_.string() + "-wal", none);
    writer_->checkpoint(!none && log > kTruncateAbove ? "TRUNCATE" : "PASSIVE");
  } catch (const std::exception& error) {
    fail(error.what());
    throw;
  }
}

std::unique_ptr<SqliteStore::Reader> SqliteStore::take_reader() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto reader = std::move(idle_.back());
      idle_.pop_back();
      return reader;
    }
  }
  return std::make_unique<Reader>(file_);
}

// Work on a connection of its own, so that what it calls may read too. After an error the connection is closed.
template <typename Work>
auto SqliteStore::read(Work work) const {
  refuse_if_failed();
  try {
    auto reader = take_reader();
    auto result = work(*reader);
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kIdleReaders) idle_.push_back(std::move(reader));
    return result;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) fail(error.what());
    throw;
  }
}

void SqliteStore::leaves(int64_t begin, int64_t end, const EachLeaf& each) const {
  if (begin < 0 || begin > end || end > size_) {
    throw Error(ErrorKind::kNotFound, fmt::format("the ledger has no leaf {}", end - 1), file_.string());
  }
  read([&](Reader& reader) {
    reader.leaves->bind(begin).bind(end);
    int64_t next = begin;
    for (; reader.leaves->step(); ++next) {
      if (reader.leaves->number(0) != next) break;
      const Bytes leaf = reader.leaves->blob(1);
      require_leaf(reader.db, next, leaf, reader.leaves->blob(2));
      each(next, leaf);
    }
    if (next != end) {
      throw Error(ErrorKind::kBadFile, fmt::format("{} is damaged: leaf {} is missing", kWhat, next), file_.string());
    }
    reader.leaves->reset();
    return 0;
  });
}

Bytes SqliteStore::leaf(int64_t index) const {
  Bytes found;
  leaves(index, index + 1, [&](int64_t, ByteView leaf) { found.assign(leaf.begin(), leaf.end()); });
  return found;
}

std::optional<Bytes> SqliteStore::get(int space, ByteView key) const {
  return read([&](Reader& reader) {
    std::optional<Bytes> value;
    reader.get->bind(space).bind_blob(key);
    if (reader.get->step()) {
      value = reader.get->blob(0);
      if (reader.get->blob(1) != row_checksum(space, key, *value)) {
        throw Error(ErrorKind::kBadFile, fmt::format("a row of space {} is not what was written", space),
                    file_.string());
      }
    }
    reader.get->reset();
    return value;
  });
}

void SqliteStore::scan(int space, ByteView prefix, ByteView from, int64_t limit, const EachRow& each) const {
  const ByteView first = std::ranges::lexicographical_compare(prefix, from) ? from : prefix;
  read([&](Reader& reader) {
    reader.scan->bind(space).bind_blob(first).bind(limit);
    while (reader.scan->step()) {
      const Bytes key = reader.scan->blob(0), value = reader.scan->blob(1);
      if (!begins_with(key, prefix)) break;
      if (reader.scan->blob(2) != row_checksum(space, key, value)) {
        throw Error(ErrorKind::kBadFile, fmt::format("a row of space {} is not what was written", space),
                    file_.string());
      }
      each(key, value);
    }
    reader.scan->reset();
    return 0;
  });
}

}  // namespace fieldprint::ledger
