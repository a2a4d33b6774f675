// A record: what an agent remembers, as docs/formats/memory.md writes it. It never changes; what it may do is a status
// (registry.h). The text itself is not in it, only a commitment to it (payloads.h).
// Pure values, for any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/label.h"

namespace fieldprint::memory {

using RecordId = Digest;
std::string hex(const Digest& digest);

enum class RecordKind { kObservation = 1, kUser, kInference, kEvent, kAnchor };
std::string_view kind_name(RecordKind kind);  // "OBS", "USR", "INF", "EPI", "ANC"
// What a record of this kind may have at most, whoever writes it. An anchor gets more by signatures alone.
Integrity kind_integrity(RecordKind kind);

// What a record may be used for, as bits.
enum Influence : int64_t { kRetrieve = 1, kShapeReasoning = 2, kShapeIdentity = 4 };
int64_t kind_influence(RecordKind kind);

struct Embedding {
  std::string encoder;  // with its version: encoder.h
  int64_t dimensions = 0;
  Digest digest = {};  // digest("embedding", INT8 codes)
  bool operator==(const Embedding&) const = default;
};

struct Record {
  RecordKind kind = RecordKind::kObservation;
  std::string agent;
  std::string principal;
  Label label;
  int64_t base_size = 0;          // events in the ledger when it was written
  std::vector<RecordId> lineage;  // sorted, each once
  Digest payload = {};            // digest("payload", salt + payload)
  std::optional<Embedding> embedding = {};
  int64_t influence = 0;
  int64_t confidence = 100;  // percent
  std::optional<int64_t> valid_until = {};
  std::optional<RecordId> supersedes = {};
  int64_t created = 0;
  bool operator==(const Record&) const = default;
};

ledger::Bytes encode_record(const Record& record);
Record decode_record(ledger::ByteView bytes);  // Error kBadInput for whatever encode_record() would not write
RecordId record_id(ledger::ByteView encoded);

// digest("sources", ...) and digest("lineage", ...), as statements name them.
Digest sources_digest(const Sources& sources);
Digest lineage_digest(const std::vector<RecordId>& lineage);

}  // namespace fieldprint::memory
