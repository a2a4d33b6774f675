// Recall: what an agent remembers of a question. The index only proposes; whatever is given out has been checked again:
// bytes against id, text against commitment, embedding against digest, scope, status, lineage.
#include <algorithm>

#include "fieldprint/error.h"
#include "memory/memory.h"

namespace fieldprint::memory {

namespace {

bool retrievable(const Row& row) { return row.status == Status::kAdmitted || is_anchor(row.status); }

constexpr size_t kScanMore = 4;  // times the limit, since some of those found may not fit

}  // namespace

Recall Memory::recall(const MemoryCaller& caller, const Query& query) {
  check_caller(caller);
  if (query.limit < 1 || query.limit > 100) throw Error(ErrorKind::kUsage, "limit is from 1 to 100");
  if (query.text.empty()) throw Error(ErrorKind::kBadInput, "there is nothing to look for");
  if (query.text.size() > (64 << 10)) throw Error(ErrorKind::kLimit, "the query is longer than 65,536 bytes");
  const Codes codes = encode(query.text);
  Recall recall;
  std::unique_lock lock(mutex_);
  check_open();
  expire_due();
  SessionContext* context = caller.session.empty() ? nullptr : &session(caller);
  const auto hits =
      index_of(caller.principal).search(codes, kScanMore * static_cast<size_t>(query.limit), [&](const RecordId& id) {
        const Row* row = registry_.find(id);
        return row && !row->erased && retrievable(*row);
      });
  std::vector<std::pair<RecordId, std::string>> damaged;
  for (const Hit& hit : hits) {
    if (static_cast<int>(recall.items.size()) == query.limit || hit.score <= 0) break;
    try {
      Recalled item;
      item.id = hit.id;
      item.row = registry_.row(hit.id);
      item.record = record(hit.id);
      const bool same_scope = item.record.principal == caller.principal && item.record.agent == registry_.agent();
      const bool comparable = item.record.embedding && item.record.embedding->encoder == encoder_->name();
      if (!comparable || !same_scope || (item.record.influence & kRetrieve) == 0 || bad_ancestor(hit.id)) continue;
      item.payload = payload(hit.id, item.record);
      const Codes own = this->codes(hit.id, item.record);
      if (!item.record.embedding || codes_digest(own) != item.record.embedding->digest) {
        throw Error(ErrorKind::kBadFile, "its embedding is not the one that was recorded");
      }
      item.score = dot(codes, own);  // not the index's copy
      if (cosine_of(codes, own) < encoder_->least_cosine()) continue;
      item.tokens = query.count_tokens ? query.count_tokens(item.payload.text)
                                       : static_cast<int>((item.payload.text.size() + 3) / 4);
      if (recall.tokens + item.tokens > query.tokens) continue;
      recall.tokens += item.tokens;
      recall.items.push_back(std::move(item));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kBadFile || error.kind() == ErrorKind::kBadInput) {
        damaged.emplace_back(hit.id, error.what());
      }
    }
  }
  std::ranges::sort(recall.items, [](const Recalled& a, const Recalled& b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  });

  std::vector<Event> events;
  std::vector<RecordId> fallen;
  for (const auto& [id, why] : damaged) {
    events.push_back(event(EventKind::kAlarm, "gateway"));
    events.back().set(Field::kCause, "storage").set(Field::kDetail, hex(id) + ": " + why.substr(0, 400));
    lower(events, id, "storage", fallen);
  }
  if (!fallen.empty()) tell_lowered(fallen);
  ledger::Array ids, scores;
  std::vector<RecordId> shown;
  for (const Recalled& item : recall.items) {
    ids.emplace_back(ledger::ByteView(item.id));
    scores.emplace_back(item.score);
    shown.push_back(item.id);
  }
  Event receipt = event(EventKind::kReceipt, "principal:" + caller.principal);
  receipt.set(Field::kQuery, ledger::ByteView(ledger::tagged_digest("query", ledger::view_of(query.text))))
      .set(Field::kEncoder, encoder_->name())
      .set(Field::kIds, std::move(ids))
      .set(Field::kScores, std::move(scores))
      .set(Field::kSession, caller.session)
      .set(Field::kPrincipal, caller.principal);
  events.push_back(std::move(receipt));
  std::vector<ledger::IndexWrite> writes;
  if (context && !shown.empty()) {
    for (const Recalled& item : recall.items) context->echo.shown(item.payload.text);
    if (add_seen(*context, shown)) {
      writes.push_back(put_row(kSessions, session_key(caller.principal, caller.session), encode_seen(*context)));
    }
  }
  recall.receipt = put_locked(events, std::move(writes)) + static_cast<int64_t>(events.size()) - 1;
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
  return recall;
}

std::optional<RecordId> Memory::find_exact(const MemoryCaller& caller, std::string_view text) const {
  const std::lock_guard lock(mutex_);
  for (int kind = 1; kind <= static_cast<int>(RecordKind::kEvent); ++kind) {
    const auto kept = shelf_->get(kTexts, text_key(caller.principal, static_cast<RecordKind>(kind), text));
    if (kept) return ledger::digest_of(*kept);
  }
  return std::nullopt;
}

std::vector<Recalled> Memory::anchors(const MemoryCaller& caller) const {
  const std::lock_guard lock(mutex_);
  std::vector<Recalled> anchors;
  if (!no_anchors().empty() || !ledger_->read_only().empty()) return anchors;  // what is old holds nobody
  for (const RecordId& id : registry_.endorsed()) {
    const Row& row = registry_.row(id);
    if (!is_anchor(row.status) || row.erased || (row.valid_until && now_ms() > *row.valid_until)) continue;
    Recalled anchor;
    anchor.record = record(id);
    if (!visible(caller, anchor.record)) continue;
    anchor.id = id;
    anchor.row = row;
    anchor.payload = payload(id, anchor.record);
    anchors.push_back(std::move(anchor));
  }
  return anchors;
}

}  // namespace fieldprint::memory
