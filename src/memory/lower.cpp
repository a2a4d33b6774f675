// Down is automatic: suspensions, revocations and what falls with them. The effect comes before the event is on disk;
// where it cannot be logged, the store refuses everything from then on.
#include <algorithm>
#include <deque>
#include <unordered_set>

#include "fieldprint/error.h"
#include "memory/memory.h"

namespace fieldprint::memory {

std::vector<RecordId> Memory::descendants(const RecordId& id) const {
  std::vector<RecordId> found;
  std::unordered_set<RecordId, IdHash> known{id};
  std::deque<RecordId> next{id};
  for (; !next.empty(); next.pop_front()) {
    const RecordId parent = next.front();
    shelf_->scan(kChildren, parent, [&](ledger::ByteView key, ledger::ByteView) {
      const RecordId child = ledger::digest_of(key.subspan(parent.size()));
      if (known.insert(child).second) {
        found.push_back(child);
        next.push_back(child);
      }
    });
  }
  return found;
}

void Memory::lower(std::vector<Event>& events, const RecordId& id, const std::string& cause,
                   std::vector<RecordId>& fallen) {
  const Row* row = registry_.find(id);
  if (!row || !is_live(row->status)) return;
  events.push_back(event(EventKind::kSuspend, "gateway"));
  events.back().set(Field::kId, ledger::ByteView(id)).set(Field::kCause, cause);
  fallen.push_back(id);
}

void Memory::tell_lowered(const std::vector<RecordId>& fallen) {
  lowered_.insert(lowered_.end(), fallen.begin(), fallen.end());
  lowered_more_.notify_all();
}

std::vector<RecordId> Memory::suspend(const std::string& actor, const RecordId& id, const std::string& cause) {
  std::unique_lock lock(mutex_);
  const Row& row = registry_.row(id);
  if (!is_live(row.status)) {
    throw Error(ErrorKind::kUnsupported,
                "the record is " + std::string(status_name(row.status)) + " (T7: only what is live is suspended)");
  }
  std::vector<Event> events{event(EventKind::kSuspend, actor)};
  events.back().set(Field::kId, ledger::ByteView(id)).set(Field::kCause, cause);
  std::vector<RecordId> fallen{id};
  for (const RecordId& child : descendants(id)) lower(events, child, hex(id), fallen);
  tell_lowered(fallen);
  put_locked(events, {});
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
  return fallen;
}

// Whoever has the source in its label, as the records themselves say, and what descends from them: anchors, whose own
// sources are their approvers. "Any source" names none.
void Memory::lower_source(std::vector<Event>& events, ledger::ByteView source, std::vector<RecordId>& fallen) {
  SourceId wanted;
  if (source.size() != wanted.size()) return;
  std::ranges::copy(source, wanted.begin());
  for (const auto& [id, row] : registry_.rows()) {
    if (!is_live(row.status) && row.status != Status::kSuperseded) continue;
    const Sources& sources = record(id).label.sources;
    if (sources.is_any() || !sources.holds(wanted)) continue;
    std::vector<RecordId> all = descendants(id);
    all.insert(all.begin(), id);
    for (const RecordId& one : all) {
      const bool fell = std::ranges::find(fallen, one) != fallen.end();
      if (!fell) lower(events, one, one == id ? "override:source" : hex(id), fallen);
    }
  }
}

void Memory::alarm(const std::string& what, const std::string& detail) {
  Event event = this->event(EventKind::kAlarm, "monitor");
  event.set(Field::kCause, what).set(Field::kDetail, detail.substr(0, 512));
  put({event});
}

void Memory::expire_due() {
  const int64_t time = now_ms();
  std::vector<Event> events;
  std::vector<RecordId> fallen;
  while (!expiring_.empty() && expiring_.begin()->first < time) {
    const RecordId id = expiring_.begin()->second;
    expiring_.erase(expiring_.begin());
    const Row& row = registry_.row(id);
    if (!is_live(row.status) && row.status != Status::kSuspended) continue;
    events.push_back(event(EventKind::kExpire, "clock"));
    events.back().set(Field::kId, ledger::ByteView(id));
    fallen.push_back(id);
  }
  if (events.empty()) return;
  tell_lowered(fallen);
  put_locked(events, {});
}

bool Memory::is_bad(const RecordId& id) const {
  const Row& row = registry_.row(id);
  return row.status == Status::kRevoked || row.status == Status::kSuspended || row.integrity == Integrity::kHostile;
}

std::optional<RecordId> Memory::bad_ancestor(const RecordId& id) const {
  std::unordered_set<RecordId, IdHash> known;
  std::deque<RecordId> next{id};
  for (; !next.empty(); next.pop_front()) {
    for (const RecordId& parent : record(next.front()).lineage) {
      if (!known.insert(parent).second) continue;
      if (is_bad(parent)) return parent;
      next.push_back(parent);
    }
  }
  return std::nullopt;
}

}  // namespace fieldprint::memory
