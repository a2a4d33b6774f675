// sign.db: what a ledger remembers of its own signatures, apart from the leaves, so that what happened to one file can
// be told from the other: the last head of each origin that was signed, the heads that were given up, and which files
// on which disk it belongs to. In SQLite with synchronous=FULL and a rollback journal: one file between two signatures.
//
// One thread at a time. Errors are for stopping at.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/sqlite.h"
#include "ledger/checkpoint.h"

namespace fieldprint::ledger {

struct SignedHead {
  Checkpoint checkpoint;
  std::string note;  // as the log signed it, without witnesses; "" for a log that has signed nothing
};

class SignDb {
 public:
  explicit SignDb(const std::filesystem::path& file);

  SignedHead head(const std::string& origin);  // of size 0 where the origin is new
  // Error kIo where the last head is not `from` (another signs too), or where `to` is not above it.
  void advance(const Checkpoint& from, const SignedHead& to);

  // The identities of what it belongs to; "" before the first bind().
  std::string bound_to();
  void bind(const std::string& identities);

  // The origin under which signing goes on; nothing before the first.
  std::optional<std::string> origin();
  // From now on another origin, since the log of the last one lost leaves that were signed.
  void begin(const std::string& origin);
  // The note that was last given up so; "" where none was.
  std::string abandoned();

 private:
  Sqlite db_;
};

}  // namespace fieldprint::ledger
