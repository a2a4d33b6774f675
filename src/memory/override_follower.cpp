// The memory below its override (src/override/): flags are read before each operation; what is about records, REVOKE
// and SUSPEND_SOURCE, is applied here, and every command is logged. The override has acted already when we hear of it:
// what the ledger does not have yet is applied at the next start.
#include <chrono>

#include "fieldprint/error.h"
#include "fieldprint/override.h"
#include "memory/memory.h"

namespace fieldprint::memory {

namespace {

constexpr std::chrono::milliseconds kLook{20};

std::string argument(const OverrideEntry& entry, std::string_view name) {
  for (const auto& [key, value] : entry.arguments) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

void Memory::follow_override() {
  if (!override_.fault().empty() || !ledger_->read_only().empty()) return;
  const std::string directory = directory_ + "/override";
  uint64_t applied = 0;
  if (const auto kept = shelf_->get(kCounters, ledger::view_of("override"))) {
    applied = static_cast<uint64_t>(ledger::decode(*kept).integer(0, INT64_MAX));
  }
  for (const OverrideEntry& entry : override_entries(directory, applied)) {
    std::unique_lock lock(mutex_);
    std::vector<Event> events{event(EventKind::kOverride, "override")};
    events.back().set(Field::kCommand, entry.note);
    std::vector<RecordId> fallen;
    if (entry.command == "REVOKE") {
      const RecordId id = ledger::digest_of(ledger::from_hex(argument(entry, "record")));
      const Row* row = registry_.find(id);
      if (row && row->status != Status::kRevoked && row->status != Status::kExpired) {
        events.push_back(event(EventKind::kRevoke, "override"));
        events.back().set(Field::kId, ledger::ByteView(id)).set(Field::kCommand, entry.note);
        fallen.push_back(id);
        for (const RecordId& child : descendants(id)) lower(events, child, hex(id), fallen);
      }
    } else if (entry.command == "SUSPEND_SOURCE") {
      lower_source(events, ledger::from_hex(argument(entry, "source")), fallen);
    }
    if (!fallen.empty()) tell_lowered(fallen);
    put_locked(events, {put_row(kCounters, ledger::view_of("override"), ledger::encode(entry.epoch))});
    const int64_t size = registry_.size();
    lock.unlock();
    shelf_->wait(size);
    if (!entry.in_force) confirm_override(directory, entry.counter);  // what raises waits for the ledger
  }
}

void Memory::follow_loop() {
  uint64_t seen = override_.now().epoch;
  std::unique_lock lock(follow_mutex_);
  while (!follow_wake_.wait_for(lock, kLook, [&] { return stopping_; })) {
    const uint64_t now = override_.now().epoch;
    if (now == seen) continue;
    seen = now;
    lock.unlock();
    try {
      follow_override();
    } catch (const std::exception&) {
      seen = now - 1;  // a full disk, perhaps: again at the next look
    }
    lock.lock();
  }
}

}  // namespace fieldprint::memory
