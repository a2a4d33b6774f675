// The records of an export: each hashed to its id and held to its form, with what the rules need of all of them at
// once. The file is read twice and hashed both times, so that nothing of it has to be kept but this.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cbor.h"
#include "files.h"
#include "hash.h"
#include "report.h"

namespace fieldprint::verify {

enum class RecordKind : uint8_t { kObservation = 1, kUser, kInference, kEvent, kAnchor };

// Integrity, as far as the rules name it.
constexpr uint64_t kIntegrityHostile = 0, kIntegrityExternal = 1, kIntegrityUser = 2, kIntegrityWitnessed = 3;
constexpr uint64_t kIntegrityEndorsed = 4;
constexpr uint64_t kPin = 4;  // bit of the permitted influence

// Where a record comes from (docs/formats/memory.md, "Records", field 5).
struct Label {
  uint64_t integrity = 0;
  bool any_source = false;
  std::string_view sources = {};                              // CBOR of the array of ids, or of 0
  std::vector<std::string_view> source_ids = {};              // 16 bytes each, sorted
  std::optional<std::vector<std::string_view>> readers = {};  // sorted; absent: everybody of the scope
};

// A record as views into its bytes.
struct Record {
  RecordKind kind = RecordKind::kObservation;
  std::string_view agent, principal;
  Label label;
  std::string_view label_bytes;  // its CBOR
  uint64_t base_size = 0;
  std::string_view lineage_bytes;         // CBOR of the array
  std::vector<std::string_view> lineage;  // ids of 32 bytes, sorted
  std::string_view payload;               // 32 bytes
  std::string_view embedding;             // its CBOR, or empty
  uint64_t influence = 0, confidence = 0;
  uint64_t valid_until = 0;     // 0: absent
  std::string_view supersedes;  // 32 bytes, or empty
  uint64_t created = 0;
};

// `items` is where the CBOR is decoded to. Nothing where the bytes are no record; `rule` and `error` say why.
std::optional<Record> parse_record(std::string_view bytes, std::vector<cbor::Item>& items, std::string_view& rule,
                                   std::string& error);

class Records {
 public:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

  // What stays of a record.
  struct Entry {
    uint64_t offset = 0;  // in the file, of its bytes
    uint32_t length = 0;
    bool readable = false;  // it has its form; otherwise nothing below is known
    RecordKind kind = RecordKind::kObservation;
    uint8_t influence = 0;
    uint32_t label = 0, principal = 0, agent = 0;
    uint32_t supersedes = kNone;
    bool supersedes_unknown = false, lineage_unknown = false;  // an id that is no record's
    uint64_t base_size = 0, valid_until = 0, created = 0;
    uint64_t lineage_begin = 0;
    uint32_t lineage_count = 0;
  };

  // Reads the file "records". Faults: those of open_file(), "records.form", "records.order", "cbor.canonical",
  // "record.form".
  Records(const Files& files, Report& report);
  ~Records();
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  uint32_t size() const { return static_cast<uint32_t>(ids_.size()); }
  uint32_t find(const Hash& id) const;  // kNone where there is none
  const Hash& id(uint32_t record) const { return ids_[record]; }
  const Entry& operator[](uint32_t record) const { return entries_[record]; }
  std::span<const uint32_t> lineage(uint32_t record) const;
  std::span<const uint32_t> children(uint32_t record) const;  // those in whose lineage it is
  const Label& label(uint32_t record) const;
  std::string_view name(uint32_t number) const;  // of Entry::principal and agent

  // The bytes once more. Nothing where they are not those that were read first.
  std::optional<std::string> bytes(uint32_t record) const;

 private:
  struct Interned;
  void read_ids(Report& report);
  void read_fields(Report& report);
  void link_children();

  std::unique_ptr<Reader> file_;
  std::vector<Hash> ids_;  // sorted
  std::vector<Entry> entries_;
  std::vector<uint32_t> buckets_;  // by an id's first two bytes: where it begins in ids_
  std::vector<uint32_t> lineage_;
  std::vector<uint64_t> children_begin_;
  std::vector<uint32_t> children_;
  std::unique_ptr<Interned> interned_;
};

}  // namespace fieldprint::verify
