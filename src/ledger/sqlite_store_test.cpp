#include "ledger/sqlite_store.h"

#include "base/rng.h"
#include "base/sqlite.h"
#include "ledger/hash.h"
#include "support/store_conformance.h"
#include "support/trials.h"

namespace fieldprint::ledger {
namespace {

std::unique_ptr<LedgerStore> open_sqlite(const std::filesystem::path& directory) {
  return std::make_unique<SqliteStore>(directory);
}
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConformance, testing::Values(open_sqlite));

Bytes column_of(Sqlite& db, const std::string& table, const std::string& column, int64_t row) {
  Statement get(db, "SELECT " + column + " FROM " + table + " LIMIT 1 OFFSET " + std::to_string(row));
  return get.step() ? get.blob(0) : Bytes();
}

void change(Sqlite& db, const std::string& table, const std::string& column, const Bytes& from, const Bytes& to) {
  Statement(db, "UPDATE " + table + " SET " + column + " = ? WHERE " + column + " = ?")
      .bind_blob(to)
      .bind_blob(from)
      .run();
}

TEST(SqliteStoreTrial, NoBitOfALeafOrARowIsFree) {
  const TempHome home;
  Batch batch;
  // Far from each other, so that no change makes one of them another.
  const auto bytes = [](const char* what, int i) {
    const Digest digest = tagged_digest(what, bytes_of(std::to_string(i)));
    return Bytes(digest.begin(), digest.end());
  };
  for (int i = 0; i < 8; ++i) {
    batch.leaves.push_back(bytes("leaf", i));
    batch.writes.push_back({1, bytes("key", i), bytes("value", i)});
  }
  SqliteStore store(home.path());
  store.append(0, {&batch, 1});
  Sqlite db(home.path() / "ledger.db", "the same file under another hand");
  db.run("PRAGMA synchronous = OFF");
  constexpr std::pair<const char*, const char*> kColumns[] = {
      {"leaves", "leaf"}, {"leaves", "hash"}, {"rows", "key"}, {"rows", "value"}, {"rows", "checksum"}};
  const auto whole = [&] {
    try {
      store.leaves(0, 8, [](int64_t, ByteView) {});
      store.scan(1, {}, {}, 100, [](ByteView, ByteView) {});
      return true;
    } catch (const Error& error) {
      return error.kind() != ErrorKind::kBadFile;
    }
  };
  Rng rng(5);
  int found = 0;
  const int count = trials(50'000);
  for (int i = 0; i < count; ++i) {
    const auto& [table, column] = kColumns[rng.next() % std::size(kColumns)];
    const Bytes before = column_of(db, table, column, rng.below(8));
    Bytes after = before;
    const int64_t bit = rng.below(static_cast<int64_t>(before.size()) * 8);
    after[static_cast<size_t>(bit / 8)] ^= std::byte{1} << (bit % 8);
    change(db, table, column, before, after);
    found += !whole();
    change(db, table, column, after, before);
  }
  EXPECT_EQ(found, count);
  EXPECT_TRUE(whole());
}

TEST(SqliteStore, ADamagedFileIsRefused) {
  const TempHome home;
  {
    SqliteStore store(home.path());
    const Batch batch{{bytes_of("leaf")}, {}};
    store.append(0, {&batch, 1});
  }
  std::string file = slurp(home.path() / "ledger.db");
  for (size_t at = 100; at < 4096; ++at) file[at] = static_cast<char>(at);
  spill(home.path() / "ledger.db", file);
  EXPECT_THROW(SqliteStore{home.path()}, Error);
  spill(home.path() / "ledger.db", "no database at all, but text of some length, as if somebody had put it here");
  EXPECT_THROW(SqliteStore{home.path()}, Error);
}

TEST(SqliteStore, WhatIsErasedIsGoneFromTheFile) {
  const TempHome home;
  {
    SqliteStore store(home.path());
    const Batch put{{}, {{1, bytes_of("key"), bytes_of("a secret of some length")}}};
    const Batch erase{{}, {{1, bytes_of("key"), std::nullopt}}};
    store.append(0, {&put, 1});
    store.append(0, {&erase, 1});
  }
  EXPECT_EQ(slurp(home.path() / "ledger.db").find("a secret"), std::string::npos);
}

}  // namespace
}  // namespace fieldprint::ledger
