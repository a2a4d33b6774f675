// What the engine tells the memory: anchors that it has computed and pinned, commits at the boundaries of a run,
// rollbacks.
#include <algorithm>
#include <chrono>

#include "fieldprint/error.h"
#include "memory/memory.h"

namespace fieldprint::memory {

void Memory::compiled(const RecordId& id, const Digest& kv, const Digest& model, const std::string& layout,
                      int64_t tokens) {
  if (const auto why = cannot_pin(id))
    throw Error(ErrorKind::kUnsupported, "the anchor is not compiled: " + *why + " (T5)");
  Event event = this->event(EventKind::kCompile, "engine");
  event.set(Field::kId, ledger::ByteView(id)).set(Field::kKvDigest, ledger::ByteView(kv));
  event.set(Field::kModel, ledger::ByteView(model)).set(Field::kLayout, layout).set(Field::kTokens, tokens);
  std::unique_lock lock(mutex_);
  put_locked({event}, {put_row(kCounters, anchor_tokens_key(id), ledger::encode(tokens))});
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
}

ledger::Bytes Memory::index_key(int64_t index) {
  ledger::Bytes key(8);
  for (size_t i = 0; i < 8; ++i) key[i] = static_cast<std::byte>(index >> (8 * (7 - i)));
  return key;
}

namespace {
// What seals a commit's replay is bound to the event.
RecordId commit_key_id(int64_t index) { return ledger::tagged_digest("commit", ledger::encode(index)); }
}  // namespace

ledger::Bytes Memory::anchor_tokens_key(const RecordId& id) {
  ledger::Bytes key(1 + id.size(), std::byte{'t'});
  std::ranges::copy(id, key.begin() + 1);
  return key;
}

Digest anchor_set_digest(const std::vector<RecordId>& ids) {
  ledger::Array set;
  for (const RecordId& id : ids) set.emplace_back(ledger::ByteView(id));
  return ledger::tagged_digest("anchor-set", ledger::encode(set));
}

void Memory::activated(const std::vector<RecordId>& ids) {
  if (ids.empty()) return;
  for (const RecordId& id : ids) {
    if (const auto why = cannot_pin(id))
      throw Error(ErrorKind::kUnsupported, "the anchor is not pinned: " + *why + " (T6)");
  }
  std::unique_lock lock(mutex_);
  // The tokens of all that are ACTIVE then.
  int64_t tokens = 0;
  for (const RecordId& id : registry_.endorsed()) {
    const bool active = registry_.row(id).status == Status::kActive || std::ranges::find(ids, id) != ids.end();
    const auto kept = active ? shelf_->get(kCounters, anchor_tokens_key(id)) : std::nullopt;
    if (kept) tokens += ledger::decode(*kept).integer();
  }
  if (tokens > registry_.policy().anchor_tokens) {
    throw Error(ErrorKind::kUnsupported, "the anchors have " + std::to_string(tokens) + " tokens, at most " +
                                             std::to_string(registry_.policy().anchor_tokens) + " are pinned (policy)");
  }
  const Digest digest = anchor_set_digest(ids);
  std::vector<Event> events;
  if (std::ranges::all_of(ids, [&](const RecordId& id) { return registry_.row(id).status == Status::kActive; })) return;
  for (const RecordId& id : ids) {
    events.push_back(event(EventKind::kActivate, "engine"));
    events.back().set(Field::kId, ledger::ByteView(id)).set(Field::kAnchorSet, ledger::ByteView(digest));
  }
  put_locked(std::move(events), {});
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
}

int64_t Memory::commit(const Commit& commit) {
  Label label{Integrity::kUser, {}};
  std::unique_lock lock(mutex_);
  check_open();
  for (const RecordId& id : commit.seen) label = join(label, record(id).label);
  label.integrity = std::min(label.integrity, commit.integrity);
  Event event = this->event(EventKind::kCommit, "engine");
  event.set(Field::kSession, commit.session)
      .set(Field::kBoundary, commit.boundary)
      .set(Field::kTokenIds, ledger::ByteView(commit.token_ids))
      .set(Field::kAnchorSet, ledger::ByteView(anchor_set_digest(commit.anchors)))
      .set(Field::kIntegrity, static_cast<int64_t>(label.integrity))
      .set(Field::kSources, ledger::ByteView(sources_digest(label.sources)))
      .set(Field::kHidden, ledger::ByteView(commit.hidden))
      .set(Field::kPages, ledger::ByteView(commit.pages))
      .set(Field::kFrom, commit.from)
      .set(Field::kTo, commit.to)
      .set(Field::kModel, ledger::ByteView(commit.model))
      .set(Field::kBoundaryCause, commit.cause);
  std::vector<ledger::IndexWrite> writes;
  const int64_t index = registry_.size();
  if (!commit.replay.empty()) {
    const ledger::Bytes key = index_key(index);
    const ledger::Bytes sealed = seal(keys_->key(next_place_), commit_key_id(index), commit.replay);
    writes.push_back(put_row(kCommits, key, ledger::encode(ledger::Array{commit.principal, next_place_, sealed})));
    ++next_place_;
    writes.push_back(put_row(kCounters, ledger::view_of("place"), ledger::encode(next_place_)));
    for (const auto* ids : {&commit.seen, &commit.anchors}) {
      for (const RecordId& id : *ids) {
        ledger::Bytes of(id.begin(), id.end());
        of.insert(of.end(), key.begin(), key.end());
        writes.push_back(put_row(kCommitsOf, of, {}));
      }
    }
  }
  put_locked({event}, std::move(writes));
  lock.unlock();
  shelf_->wait(index + 1);
  return index;
}

void Memory::commits_of(const std::string& principal,
                        const std::function<void(int64_t, const ledger::Bytes&)>& each) const {
  shelf_->scan(kCommits, {}, [&](ledger::ByteView key, ledger::ByteView row) {
    int64_t index = 0;
    for (const std::byte b : key) index = index << 8 | static_cast<int64_t>(b);
    const ledger::Value value = ledger::decode(row);
    const ledger::Array& parts = value.array();
    if (parts.size() != 3 || parts[0].text() != principal) return;
    try {
      each(index, open_sealed(keys_->key(parts[1].integer(0, INT64_MAX)), commit_key_id(index), parts[2].bytes()));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kNotFound) throw;  // erased
    }
  });
}

void Memory::forget_commits(const RecordId& id, std::vector<ledger::IndexWrite>& writes) {
  shelf_->scan(kCommitsOf, id, [&](ledger::ByteView of, ledger::ByteView) {
    const ledger::ByteView key = of.subspan(id.size());
    const auto row = shelf_->get(kCommits, key);
    writes.push_back(erase_row(kCommitsOf, of));
    if (!row) return;
    const ledger::Value value = ledger::decode(*row);
    writes.push_back(put_row(kShreds, key, ledger::encode(value.array().at(1).integer(0, INT64_MAX))));
    writes.push_back(erase_row(kCommits, key));
  });
}

int64_t Memory::rolled_back(const std::string& session, const std::string& cause, int64_t from, int64_t to,
                            int64_t dropped, const std::vector<RecordId>& written) {
  std::unique_lock lock(mutex_);
  std::vector<Event> events;
  std::vector<RecordId> fallen;
  for (const RecordId& id : written) {
    lower(events, id, "rollback", fallen);
    for (const RecordId& child : descendants(id)) lower(events, child, hex(id), fallen);
  }
  ledger::Array ids;
  for (const RecordId& id : fallen) ids.emplace_back(ledger::ByteView(id));
  events.push_back(event(EventKind::kRollback, "engine"));
  events.back()
      .set(Field::kSession, session)
      .set(Field::kCause, cause)
      .set(Field::kFrom, from)
      .set(Field::kTo, to)
      .set(Field::kDropped, dropped)
      .set(Field::kIds, std::move(ids));
  if (!fallen.empty()) tell_lowered(fallen);
  const auto count = static_cast<int64_t>(events.size());
  const int64_t index = put_locked(std::move(events), {}) + count - 1;
  lock.unlock();
  shelf_->wait(index + 1);
  return index;
}

Memory::Lowered Memory::lowered(int64_t after, int wait_ms) const {
  std::unique_lock lock(mutex_);
  if (after < 0) {
    Lowered all{static_cast<int64_t>(lowered_.size()), {}};
    for (const auto& [id, row] : registry_.rows()) {
      if (!is_live(row.status) || row.erased) all.ids.push_back(id);
    }
    return all;
  }
  const auto from = static_cast<size_t>(after);
  lowered_more_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] { return lowered_.size() > from; });
  Lowered more{static_cast<int64_t>(lowered_.size()), {}};
  if (from < lowered_.size()) more.ids.assign(lowered_.begin() + static_cast<ptrdiff_t>(from), lowered_.end());
  return more;
}

}  // namespace fieldprint::memory
