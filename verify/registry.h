// The registry: what status each record has after the events so far, and the Merkle root over its rows
// (docs/formats/memory.md, "The registry").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hash.h"
#include "records.h"

namespace fieldprint::verify {

enum class Status : uint8_t {
  kNone,
  kAdmitted,
  kProposed,
  kEndorsed,
  kCompiled,
  kActive,
  kSuspended,
  kSuperseded,
  kRevoked,
  kExpired
};

std::string_view name_of(Status status);  // "ADMITTED"; kNone: "not there"
inline bool is_live(Status status) { return status >= Status::kAdmitted && status <= Status::kActive; }
inline bool is_anchor(Status status) { return status >= Status::kEndorsed && status <= Status::kActive; }

struct Row {
  Status status = Status::kNone;
  Status before = Status::kNone;  // while SUSPENDED
  bool erased = false;
  bool fallen = false;   // descends from a REVOKED record
  uint64_t brought = 0;  // events by their index
  uint64_t changed = 0;
  uint64_t tokens = 0;  // of the last COMPILE
};

class Registry {
 public:
  explicit Registry(const Records& records)
      : records_(records), rows_(records.size()), hashes_(records.size()), stale_(records.size(), true) {}

  const Row& operator[](uint32_t record) const { return rows_[record]; }
  uint64_t rows() const { return count_; }
  uint64_t tokens_active() const { return tokens_active_; }

  // The changes, without a question whether they are allowed. bring() is for records that are not there yet.
  void bring(uint32_t record, Status status, Status before, uint64_t event);
  void set(uint32_t record, Status status, uint64_t event);  // SUSPENDED keeps what was before
  void erase(uint32_t record, uint64_t event);
  void compile(uint32_t record, uint64_t tokens);
  void fall(uint32_t record) { rows_[record].fallen = true; }

  // Of all rows. It takes a hash for each record, so that all calls together are bounded: nothing where that is used
  // up.
  std::optional<Hash> root();

 private:
  void change(uint32_t record, Status status, uint64_t event);
  std::string encoded(uint32_t record) const;

  const Records& records_;
  std::vector<Row> rows_;
  std::vector<Hash> hashes_;  // of the rows as leaves
  std::vector<bool> stale_;   // those to be hashed anew
  uint64_t count_ = 0, tokens_active_ = 0;
  std::optional<Hash> root_;  // where nothing has changed since
  uint64_t hashes_left_ = 1'000'000'000;
};

}  // namespace fieldprint::verify
