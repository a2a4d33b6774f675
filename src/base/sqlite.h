// SQLite, as far as this program needs it: a connection and statements with bound parameters. Errors are
// fieldprint::Error: kBadFile for a damaged file, kIo for what the system refused. Not for several threads at once.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

class Sqlite {
 public:
  enum class Access { kWrite, kRead };

  // Opens or makes the file; ":memory:" is gone with the object. `what` names it in errors: "the database of
  // conversations". kRead: the file has to be there and is not written to.
  Sqlite(const std::filesystem::path& file, std::string what, Access access = Access::kWrite);

  // One statement or several, without parameters and rows.
  void run(const char* sql);
  int64_t changes() const;  // rows that the last statement touched

  const std::string& name() const { return name_; }
  sqlite3* handle() const { return connection_.get(); }  // for what has no word here
  [[noreturn]] void fail(int code) const;                // as an Error

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
  };
  std::string name_, what_;
  std::unique_ptr<sqlite3, Close> connection_;
};

// A statement, from its parameters to its last row:
//   Statement rows(db, "SELECT title FROM conversations WHERE owner = ?");
//   rows.bind(owner);
//   while (rows.step()) use(rows.text(0));
class Statement {
 public:
  Statement(Sqlite& database, std::string_view sql);

  Statement& bind(std::string_view text);
  Statement& bind_blob(std::span<const std::byte> bytes);
  Statement& bind(int64_t number);
  Statement& bind_or_null(const std::optional<std::string>& text);

  bool step();   // false: no row is left
  void run();    // where no rows are expected
  void reset();  // back to the start, to bind anew

  std::string text(int column) const;  // "" for NULL
  std::vector<std::byte> blob(int column) const;
  int64_t number(int column) const;
  bool null(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  void check(int code) const;

  Sqlite& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

// Undone, unless commit() was reached.
class Transaction {
 public:
  explicit Transaction(Sqlite& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Sqlite& database_;
  bool open_ = true;
};

}  // namespace fieldprint
