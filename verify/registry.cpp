#include "registry.h"

#include <array>

#include "cbor.h"
#include "tree.h"

namespace fieldprint::verify {

std::string_view name_of(Status status) {
  constexpr std::array<std::string_view, 10> kNames = {"not there", "ADMITTED",  "PROPOSED",   "ENDORSED", "COMPILED",
                                                       "ACTIVE",    "SUSPENDED", "SUPERSEDED", "REVOKED",  "EXPIRED"};
  return kNames[static_cast<size_t>(status)];
}

void Registry::bring(uint32_t record, Status status, Status before, uint64_t event) {
  rows_[record].brought = event;
  rows_[record].before = before;
  ++count_;
  change(record, status, event);
}

void Registry::set(uint32_t record, Status status, uint64_t event) {
  Row& row = rows_[record];
  row.before = status == Status::kSuspended ? row.status : Status::kNone;
  change(record, status, event);
}

void Registry::change(uint32_t record, Status status, uint64_t event) {
  Row& row = rows_[record];
  if (row.status == Status::kActive) tokens_active_ -= row.tokens;
  if (status == Status::kActive) tokens_active_ += row.tokens;
  row.status = status;
  row.changed = event;
  stale_[record] = true;
  root_.reset();
}

void Registry::erase(uint32_t record, uint64_t event) {
  rows_[record].erased = true;
  change(record, rows_[record].status, event);
}

void Registry::compile(uint32_t record, uint64_t tokens) {
  Row& row = rows_[record];
  if (row.status == Status::kActive) tokens_active_ += tokens - row.tokens;
  row.tokens = tokens;
}

std::string Registry::encoded(uint32_t record) const {
  const Row& row = rows_[record];
  const Records::Entry& entry = records_[record];
  const uint64_t integrity = entry.readable ? records_.label(record).integrity : 0;
  std::string map, pairs;
  uint64_t count = 0;
  const auto put = [&](uint64_t key, uint64_t value) {
    cbor::put_unsigned(pairs, key);
    cbor::put_unsigned(pairs, value);
    ++count;
  };
  cbor::put_unsigned(pairs, 1);
  cbor::put_bytes(pairs, view(records_.id(record)));
  ++count;
  put(2, static_cast<uint64_t>(entry.kind));
  put(3, integrity);
  put(4, static_cast<uint64_t>(row.status));
  if (row.before != Status::kNone) put(5, static_cast<uint64_t>(row.before));
  put(6, row.brought);
  put(7, row.changed);
  if (entry.valid_until != 0) put(8, entry.valid_until);
  if (row.erased) put(9, 1);
  cbor::put_head(map, cbor::Type::kMap, count);
  return map + pairs;
}

std::optional<Hash> Registry::root() {
  if (root_) return root_;
  if (hashes_left_ < records_.size()) return std::nullopt;
  hashes_left_ -= records_.size();
  Frontier frontier;
  for (uint32_t i = 0; i < records_.size(); ++i) {
    if (rows_[i].status == Status::kNone) continue;
    if (stale_[i]) {
      hashes_[i] = leaf_hash(encoded(i));
      stale_[i] = false;
    }
    frontier.append(hashes_[i]);
  }
  return root_ = frontier.root();
}

}  // namespace fieldprint::verify
