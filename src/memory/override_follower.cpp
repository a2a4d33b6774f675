// The memory below its override (src/override/): flags are read before each operation; what is about records, REVOKE
// and SUSPEND_SOURCE, is applied here, and every command is logged. The override has acted already when we hear of it:
// what the ledger does not have yet is applied at the next start.
#include <algorithm>
#include <chrono>

#include "fieldprint/error.h"
#include "fieldprint/override.h"
#include "memory/memory.h"

namespace fieldprint::memory {

namespace {

constexpr std::chrono::milliseconds kLook{20};
constexpr int kLooksBetweenTries = 50;

std::string argument(const OverrideEntry& entry, std::string_view name) {
  for (const auto& [key, value] : entry.arguments) {
    if (key == name) return value;
  }
  return {};
}

// Tells the override's process of commands that wait for the ledger and are in it. True where it has to be told again,
// since it does not listen now; what it refuses has waited in vain: its time is over, or a later command undid it.
bool confirm_logged(const std::string& directory, int64_t logged) {
  const std::vector<uint64_t> waiting = override_status(directory).waiting;
  if (waiting.empty()) return false;
  bool again = false;
  for (const OverrideEntry& entry : override_entries(directory)) {
    if (logged-- <= 0 || std::ranges::find(waiting, entry.counter) == waiting.end()) continue;
    try {
      confirm_override(directory, entry.counter);
    } catch (const Error& error) {
      again |= error.kind() != ErrorKind::kBadInput;
    }
  }
  return again;
}

}  // namespace

// Each command is one OVERRIDE event, in their order: the ledger itself says how far it has them, and nothing beside
// it.
std::vector<OverrideEntry> Memory::not_logged(std::vector<OverrideEntry> accepted) const {
  const std::lock_guard lock(mutex_);
  const auto logged = static_cast<size_t>(registry_.overrides());
  const bool fits =
      logged == 0 || (logged <= accepted.size() && accepted[logged - 1].note == registry_.last_override());
  if (!fits) {
    throw Error(ErrorKind::kBadFile, "the override's files are older than what the ledger has of them",
                directory_ + "/override");
  }
  accepted.erase(accepted.begin(), accepted.begin() + static_cast<ptrdiff_t>(logged));
  return accepted;
}

void Memory::follow_override() {
  if (!override_.fault().empty() || !ledger_->read_only().empty()) return;
  const std::string directory = directory_ + "/override";
  for (const OverrideEntry& entry : not_logged(override_entries(directory))) {
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
    put_locked(events, {});
    const int64_t size = registry_.size();
    lock.unlock();
    shelf_->wait(size);
  }
}

void Memory::follow_loop() {
  const std::string directory = directory_ + "/override";
  uint64_t seen = 0;  // so that what waits since before the start is confirmed, too
  bool waits = false;
  int looks = 0;
  std::unique_lock lock(follow_mutex_);
  while (!follow_wake_.wait_for(lock, kLook, [&] { return stopping_; })) {
    const uint64_t now = override_.now().epoch;
    const bool again = waits && ++looks % kLooksBetweenTries == 0;
    if (now == seen && !again) continue;
    lock.unlock();
    try {
      follow_override();
      waits = confirm_logged(directory, with_registry([](const Registry& registry) { return registry.overrides(); }));
      seen = now;
    } catch (const std::exception&) {  // a full disk, perhaps: again at the next look
    }
    lock.lock();
  }
}

}  // namespace fieldprint::memory
