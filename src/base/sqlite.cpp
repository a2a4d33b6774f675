#include "base/sqlite.h"

#include <cassert>

#include "fieldprint/error.h"

namespace fieldprint {

Sqlite::Sqlite(const std::filesystem::path& file, std::string what, Access access)
    : name_(file.string()), what_(std::move(what)) {
  sqlite3* connection = nullptr;
  const int flags = access == Access::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(name_.c_str(), &connection, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  connection_.reset(connection);  // there is one to close even where opening failed
  if (code != SQLITE_OK) fail(code);
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, 5000);  // another process may write to the same file
}

void Sqlite::fail(int code) const {
  const int kind = code & 0xff;
  std::string text = connection_ ? sqlite3_errmsg(connection_.get()) : sqlite3_errstr(code);
  if (kind == SQLITE_NOMEM) throw std::bad_alloc();
  if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB) {
    throw Error(ErrorKind::kBadFile, what_ + " is damaged: " + text, name_);
  }
  if (kind == SQLITE_FULL)
    throw Error(ErrorKind::kIo, "the disk is full", name_, "make room; nothing of before is lost");
  if (kind == SQLITE_BUSY) {
    throw Error(ErrorKind::kIo, what_ + " is busy", name_, "is another process writing to it?");
  }
  throw Error(ErrorKind::kIo, what_ + " refuses: " + text, name_);
}

void Sqlite::run(const char* sql) {
  const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

int64_t Sqlite::changes() const { return sqlite3_changes64(connection_.get()); }

Statement::Statement(Sqlite& database, std::string_view sql) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database.connection_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  statement_.reset(statement);
  check(code);
}

void Statement::check(int code) const {
  if (code != SQLITE_OK) database_.fail(code);
}

Statement& Statement::bind(std::string_view text) {
  check(sqlite3_bind_text64(statement_.get(), ++bound_, text.data() ? text.data() : "", text.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind_blob(std::span<const std::byte> bytes) {
  check(sqlite3_bind_blob64(statement_.get(), ++bound_, bytes.empty() ? "" : static_cast<const void*>(bytes.data()),
                            bytes.size(), SQLITE_TRANSIENT));
  return *this;
}

Statement& Statement::bind(int64_t number) {
  check(sqlite3_bind_int64(statement_.get(), ++bound_, number));
  return *this;
}

Statement& Statement::bind_or_null(const std::optional<std::string>& text) {
  if (text) return bind(std::string_view(*text));
  check(sqlite3_bind_null(statement_.get(), ++bound_));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail(code);
  return false;
}

void Statement::run() {
  [[maybe_unused]] const bool row = step();
  assert(!row);
}

std::vector<std::byte> Statement::blob(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return {bytes, bytes + size};
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  bound_ = 0;
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return bytes ? std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)))
               : std::string();
}

int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_.get(), column); }

bool Statement::null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

// IMMEDIATE: the right to write is had at once, so that no later statement is refused for it.
Transaction::Transaction(Sqlite& database) : database_(database) { database_.run("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.run("ROLLBACK");
  } catch (...) {  // SQLite has rolled back by itself, as it does on a full disk
  }
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace fieldprint
