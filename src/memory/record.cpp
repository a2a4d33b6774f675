#include "memory/record.h"

#include <algorithm>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {

using ledger::Array;
using ledger::Map;
using ledger::Value;

constexpr int64_t kVersion = 1;
constexpr std::string_view kKindNames[] = {"", "OBS", "USR", "INF", "EPI", "ANC"};

// The keys of docs/formats/memory.md.
enum Key {
  kRecordVersion = 1,
  kKind,
  kAgent,
  kPrincipal,
  kLabel,
  kBaseSize,
  kLineage,
  kPayload,
  kEmbedding,
  kInfluence,
  kConfidence,
  kValidUntil,
  kSupersedes,
  kCreated
};

Value label_value(const Label& label) {
  Map map{{1, static_cast<int64_t>(label.integrity)}, {2, label.sources.cbor()}};
  if (label.readers) map.set(3, Array(label.readers->begin(), label.readers->end()));
  return map;
}

Label label_from(const Map& map) {
  Label label;
  label.integrity = static_cast<Integrity>(map.at(1).integer(0, 5));
  label.sources = Sources::from_cbor(map.at(2));
  if (const Value* readers = map.find(3)) {
    label.readers.emplace();
    for (const Value& reader : readers->array()) label.readers->insert(reader.text());
  }
  return label;
}

Array digests(const std::vector<RecordId>& ids) {
  Array array;
  for (const RecordId& id : ids) array.emplace_back(ledger::ByteView(id));
  return array;
}

}  // namespace

std::string hex(const Digest& digest) { return ledger::to_hex(digest); }

std::string_view kind_name(RecordKind kind) { return kKindNames[static_cast<int>(kind)]; }

Integrity kind_integrity(RecordKind kind) {
  switch (kind) {
    case RecordKind::kObservation:
      return Integrity::kExternal;
    case RecordKind::kEvent:
      return Integrity::kWitnessed;
    default:
      return Integrity::kUser;
  }
}

int64_t kind_influence(RecordKind kind) {
  return kind == RecordKind::kAnchor ? kRetrieve | kShapeReasoning | kShapeIdentity : kRetrieve | kShapeReasoning;
}

ledger::Bytes encode_record(const Record& record) {
  Map map{{kRecordVersion, kVersion},
          {kKind, static_cast<int64_t>(record.kind)},
          {kAgent, record.agent},
          {kPrincipal, record.principal},
          {kLabel, label_value(record.label)},
          {kBaseSize, record.base_size},
          {kLineage, digests(record.lineage)},
          {kPayload, ledger::ByteView(record.payload)},
          {kInfluence, record.influence},
          {kConfidence, record.confidence},
          {kCreated, record.created}};
  if (record.embedding) {
    map.set(kEmbedding, Map{{1, record.embedding->encoder},
                            {2, record.embedding->dimensions},
                            {3, ledger::ByteView(record.embedding->digest)}});
  }
  if (record.valid_until) map.set(kValidUntil, *record.valid_until);
  if (record.supersedes) map.set(kSupersedes, ledger::ByteView(*record.supersedes));
  return ledger::encode(map);
}

Record decode_record(ledger::ByteView bytes) {
  const Value value = ledger::decode(bytes);
  const Map& map = value.map();
  Record record;
  map.at(kRecordVersion).integer(kVersion, kVersion);
  record.kind = static_cast<RecordKind>(map.at(kKind).integer(1, 5));
  record.agent = map.at(kAgent).text();
  record.principal = map.at(kPrincipal).text();
  record.label = label_from(map.at(kLabel).map());
  record.base_size = map.at(kBaseSize).integer(0, INT64_MAX);
  for (const Value& id : map.at(kLineage).array()) record.lineage.push_back(ledger::digest_of(id.bytes()));
  record.payload = ledger::digest_of(map.at(kPayload).bytes());
  if (const Value* embedding = map.find(kEmbedding)) {
    const Map& fields = embedding->map();
    record.embedding =
        Embedding{fields.at(1).text(), fields.at(2).integer(1, 1 << 20), ledger::digest_of(fields.at(3).bytes())};
  }
  record.influence = map.at(kInfluence).integer(0, 7);
  record.confidence = map.at(kConfidence).integer(0, 100);
  if (const Value* valid = map.find(kValidUntil)) record.valid_until = valid->integer(1, INT64_MAX);
  if (const Value* supersedes = map.find(kSupersedes)) record.supersedes = ledger::digest_of(supersedes->bytes());
  record.created = map.at(kCreated).integer(0, INT64_MAX);
  // Fields that this version does not know, lists that are not sorted: there is one way to write a record.
  if (!std::ranges::equal(encode_record(record), bytes) || !std::ranges::is_sorted(record.lineage) ||
      std::ranges::adjacent_find(record.lineage) != record.lineage.end()) {
    throw Error(ErrorKind::kBadInput, "a record is not in its one form");
  }
  return record;
}

RecordId record_id(ledger::ByteView encoded) { return ledger::tagged_digest("record", encoded); }

Digest sources_digest(const Sources& sources) {
  return ledger::tagged_digest("sources", ledger::encode(sources.cbor()));
}

Digest lineage_digest(const std::vector<RecordId>& lineage) {
  return ledger::tagged_digest("lineage", ledger::encode(digests(lineage)));
}

}  // namespace fieldprint::memory
