#include "ledger/sign_db.h"

#include <fmt/format.h>

#include "fieldprint/error.h"

namespace fieldprint::ledger {
namespace {

constexpr const char* kSchema = R"(
BEGIN IMMEDIATE;
CREATE TABLE heads (number INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, root BLOB NOT NULL,
                    note TEXT NOT NULL) STRICT;
CREATE TABLE bound (one INTEGER PRIMARY KEY CHECK (one = 1), identities TEXT NOT NULL) STRICT;
PRAGMA user_version = 1;
COMMIT;
)";

int64_t number_of(Sqlite& db, const char* sql) {
  Statement statement(db, sql);
  return statement.step() ? statement.number(0) : 0;
}

std::string text_of_query(Sqlite& db, const char* sql) {
  Statement statement(db, sql);
  return statement.step() ? statement.text(0) : "";
}

}  // namespace

SignDb::SignDb(const std::filesystem::path& file) : db_(file, "the database of signatures") {
  db_.run("PRAGMA mmap_size = 0");
  db_.run("PRAGMA journal_mode = DELETE");
  db_.run("PRAGMA synchronous = FULL");
  if (number_of(db_, "PRAGMA user_version") == 0 && number_of(db_, "SELECT count(*) FROM sqlite_schema") == 0) {
    db_.run(kSchema);
  }
  if (number_of(db_, "PRAGMA user_version") != 1) {
    throw Error(ErrorKind::kUnsupported, "the database of signatures is of another version", db_.name());
  }
  if (const std::string check = text_of_query(db_, "PRAGMA quick_check(1)"); check != "ok") {
    throw Error(ErrorKind::kBadFile, "the database of signatures is damaged: " + check, db_.name());
  }
}

SignedHead SignDb::head(const std::string& origin) {
  Statement row(db_, "SELECT size, root, note FROM heads WHERE origin = ?");
  row.bind(origin);
  if (!row.step() || row.number(0) == 0) return {{origin, 0, sha256({})}, ""};
  try {
    return {{origin, row.number(0), digest_of(row.blob(1))}, row.text(2)};
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFile, error.what(), db_.name());
  }
}

void SignDb::advance(const Checkpoint& from, const SignedHead& to) {
  if (to.checkpoint.origin != from.origin || to.checkpoint.size <= from.size) {
    throw Error(ErrorKind::kIo, "a head may only follow a smaller one", db_.name());
  }
  Statement update(db_, "UPDATE heads SET size = ?, root = ?, note = ? WHERE origin = ? AND size = ? AND root = ?");
  update.bind(to.checkpoint.size).bind_blob(to.checkpoint.root).bind(to.note);
  update.bind(from.origin).bind(from.size).bind_blob(from.root).run();
  if (db_.changes() != 1) {
    throw Error(ErrorKind::kIo, fmt::format("another has signed after size {}", from.size), db_.name());
  }
}

std::string SignDb::bound_to() { return text_of_query(db_, "SELECT identities FROM bound"); }

void SignDb::bind(const std::string& identities) {
  Statement(db_, "INSERT INTO bound VALUES (1, ?) ON CONFLICT DO UPDATE SET identities = excluded.identities")
      .bind(identities)
      .run();
}

std::optional<std::string> SignDb::origin() {
  const std::string origin = text_of_query(db_, "SELECT origin FROM heads ORDER BY number DESC LIMIT 1");
  return origin.empty() ? std::nullopt : std::optional(origin);
}

void SignDb::begin(const std::string& origin) {
  Statement(db_, "INSERT INTO heads (origin, size, root, note) VALUES (?, 0, ?, '')")
      .bind(origin)
      .bind_blob(sha256({}))
      .run();
}

std::string SignDb::abandoned() {
  return text_of_query(db_, "SELECT note FROM heads ORDER BY number DESC LIMIT 1 OFFSET 1");
}

}  // namespace fieldprint::ledger
