// Erasing: the event first, then the key of the payload is overwritten. What stays in the ledger is a commitment that
// nobody can guess the text from. A crash in between is made good at the next start (kShreds).
#include "fieldprint/error.h"
#include "memory/memory.h"

namespace fieldprint::memory {

// Candidates and anchors that were made of the record hold the same text: they lose it too.
std::vector<RecordId> Memory::erase(const MemoryCaller& caller, const RecordId& id) {
  std::unique_lock lock(mutex_);
  const Record erased = record(id);
  if (!visible(caller, erased)) no_record();
  if (registry_.row(id).erased) throw Error(ErrorKind::kNotFound, "the text has been erased already");
  std::vector<RecordId> all{id};
  std::string text;
  try {
    text = payload(id, erased).text;
    for (const RecordId& child : descendants(id)) {
      if (!registry_.row(child).erased && payload(child, record(child)).text == text) all.push_back(child);
    }
  } catch (const Error&) {  // damaged: there is no text to find others by
  }
  std::vector<Event> events;
  std::vector<ledger::IndexWrite> writes;
  for (const RecordId& one : all) {
    if (registry_.row(one).status == Status::kActive) {
      throw Error(ErrorKind::kUnsupported,
                  "the anchor " + hex(one) + " holds this text and is ACTIVE; revoke it first (T12)");
    }
    const Record own = record(one);
    if (const auto kept = shelf_->get(kPayloads, one)) {
      writes.push_back(put_row(kShreds, one, ledger::encode(decode_sealed(*kept).place)));
    }
    writes.push_back(erase_row(kPayloads, one));
    writes.push_back(erase_row(kCodes, codes_key(own.principal, one)));
    if (!text.empty()) writes.push_back(erase_row(kTexts, text_key(own.principal, own.kind, text)));
    forget_commits(one, writes);  // runs that saw it hold its text too
    events.push_back(event(EventKind::kErase, "principal:" + caller.principal));
    events.back().set(Field::kId, ledger::ByteView(one));
  }
  put_locked(events, std::move(writes));
  for (const RecordId& one : all) index_of(erased.principal).remove(one);
  tell_lowered(all);
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
  resume_shreds();
  return all;
}

void Memory::resume_shreds() {
  std::vector<std::pair<ledger::Bytes, int64_t>> due;
  shelf_->scan(kShreds, {}, [&](ledger::ByteView key, ledger::ByteView value) {
    due.emplace_back(ledger::Bytes(key.begin(), key.end()), ledger::decode(value).integer(0, INT64_MAX));
  });
  for (const auto& [key, place] : due) keys_->shred(place);
  if (due.empty()) return;
  std::vector<ledger::IndexWrite> writes;
  for (const auto& [key, place] : due) writes.push_back(erase_row(kShreds, key));
  const std::lock_guard lock(mutex_);
  shelf_->put({}, std::move(writes));
}

}  // namespace fieldprint::memory
