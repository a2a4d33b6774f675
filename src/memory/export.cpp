#include "memory/export.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "memory/setup.h"

namespace fieldprint::memory {

namespace {

namespace fs = std::filesystem;

void write_length(AtomicFile& file, size_t length) {
  std::byte bytes[4];
  for (size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::byte>(length >> (8 * i));
  file.write(bytes);
}

// What the label rule of docs/formats/memory.md says of this record, or nothing.
std::optional<std::string> label_fault(const Memory& memory, const Record& record, const Row& row) {
  if (record.label.integrity != row.integrity) return "its label is not the one in the ledger";
  const bool endorsed = record.kind == RecordKind::kAnchor && row.integrity == Integrity::kEndorsed;
  if (endorsed)
    return record.lineage.size() == 1 ? std::nullopt : std::optional<std::string>("an anchor has one candidate");
  if (record.label.integrity > kind_integrity(record.kind)) return "its kind does not allow its integrity";
  for (const RecordId& parent : record.lineage) {
    const Record from = memory.record(parent);
    if (!at_most(record.label, from.label))
      return "its label is above that of " + hex(parent) + ", from which it descends";
    if (from.principal != record.principal) return "it descends from another principal's record";
  }
  return std::nullopt;
}

}  // namespace

Exported export_memory(Memory& memory, const MemoryCaller& caller, const std::string& directory, bool payloads) {
  if (fs::exists(directory) && !fs::is_empty(directory)) {
    throw Error(ErrorKind::kUsage, "the directory is there and not empty", directory);
  }
  // The registry's root goes into the ledger, so that whoever replays the events can compare.
  const int64_t at = memory.put_state();
  memory.ledger().wait_signed(at + 1);

  fs::create_directories(directory);
  Exported exported;
  exported.size = memory.ledger().export_to(directory);
  AtomicFile key((fs::path(directory) / "log.vkey").string());
  key.write(memory.with_registry([](const Registry& registry) {
    const auto log = std::ranges::find(registry.keys(), KeyRole::kLog, &Key::role);
    return log->verifier.vkey() + "\n";  // GENESIS has it
  }));
  key.commit();
  std::vector<RecordId> ids;
  memory.with_registry([&](const Registry& registry) {
    for (const RecordId& id : registry.sorted_ids()) {
      if (registry.row(id).brought < exported.size) ids.push_back(id);
    }
    return 0;
  });
  AtomicFile records((fs::path(directory) / "records").string());
  for (const RecordId& id : ids) {
    const ledger::Bytes bytes = encode_record(memory.record(id));
    write_length(records, bytes.size());
    records.write(bytes);
    ++exported.records;
  }
  records.commit();
  if (payloads) {
    AtomicFile file((fs::path(directory) / "payloads").string());
    for (const RecordId& id : ids) {
      const Record record = memory.record(id);
      if (!memory.visible(caller, record) || memory.row(id).erased) continue;
      const ledger::Bytes plain = encode_payload(memory.payload(id, record));
      file.write(id);
      file.write(memory.salt(id));
      write_length(file, plain.size());
      file.write(plain);
      ++exported.payloads;
    }
    file.commit();
    AtomicFile commits((fs::path(directory) / "commits").string());
    memory.commits_of(caller.principal, [&](int64_t index, const ledger::Bytes& replay) {
      if (index >= exported.size) return;
      std::byte number[8];
      for (size_t i = 0; i < 8; ++i) number[i] = static_cast<std::byte>(index >> (8 * i));
      commits.write(number);
      write_length(commits, replay.size());
      commits.write(replay);
    });
    commits.commit();
  }
  return exported;
}

Verified verify_memory(Memory& memory) {
  Verified verified;
  const auto fault = [&](const std::string& what) {
    if (verified.faults.size() < 100) verified.faults.push_back(what);
  };
  if (const std::string why = memory.ledger().read_only(); !why.empty()) fault(why);
  // As far as is signed and durable; what comes in meanwhile is for the next time.
  memory.ledger().wait_signed(memory.ledger().durable_size());
  const int64_t size = memory.ledger().signed_size();
  ledger::MerkleTree tree;
  Registry replayed;
  try {
    memory.ledger().leaves(0, size, [&](int64_t index, ledger::ByteView leaf) {
      tree.append(ledger::leaf_hash(leaf));
      const Event event = decode_event(leaf);
      replayed.apply(index, event);
      verified.signatures += event.kind != EventKind::kGenesis && event.find(Field::kNote) != nullptr;
      ++verified.events;
    });
    if (tree.root() != memory.ledger().root(size)) fault("the events on disk are not those that were signed");
  } catch (const Error& error) {
    fault("event " + std::to_string(verified.events) + ": " + error.what());
  }
  for (const RecordId& id : replayed.sorted_ids()) {
    const Row& row = replayed.row(id);
    ++verified.records;
    try {
      const Row now = memory.row(id);
      if (now.changed < size && !(now == row)) fault("record " + hex(id) + ": its status is not what the events say");
      const Record record = memory.record(id);
      if (const auto wrong = label_fault(memory, record, row)) fault("record " + hex(id) + ": " + *wrong);
      if (row.erased || now.erased) {
        ++verified.erased;
        continue;
      }
      memory.payload(id, record);
      const auto codes = memory.codes(id, record);
      if (record.embedding && codes_digest(codes) != record.embedding->digest) {
        fault("record " + hex(id) + ": its embedding is not the one that was recorded");
      }
      ++verified.payloads;
    } catch (const Error& error) {
      fault("record " + hex(id) + ": " + error.what());
    }
  }
  return verified;
}

}  // namespace fieldprint::memory
