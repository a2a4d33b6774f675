// Erasing: the event first, then the key of the payload is overwritten. What stays in the ledger is a commitment that
// nobody can guess the text from. A crash in between is made good at the next start (kShreds).
#include "fieldprint/error.h"
#include "memory/memory.h"

namespace fieldprint::memory {

void Memory::erase(const MemoryCaller& caller, const RecordId& id) {
  std::unique_lock lock(mutex_);
  const Record erased = record(id);
  if (!visible(caller, erased)) throw Error(ErrorKind::kNotFound, "there is no record " + hex(id));
  const auto kept = shelf_->get(kPayloads, id);
  if (!kept) throw Error(ErrorKind::kNotFound, "the payload has been erased");
  const SealedPayload sealed = decode_sealed(*kept);
  std::vector<ledger::IndexWrite> writes{put_row(kShreds, id, ledger::encode(sealed.place)), erase_row(kPayloads, id),
                                         erase_row(kCodes, codes_key(erased.principal, id))};
  try {
    writes.push_back(erase_row(kTexts, text_key(erased.principal, payload(id, erased).text)));
  } catch (const Error&) {  // damaged: there is no text to find it by
  }
  forget_commits(id, writes);  // runs that saw it hold its text too
  Event event = this->event(EventKind::kErase, "principal:" + caller.principal);
  event.set(Field::kId, ledger::ByteView(id));
  put_locked({event}, std::move(writes));
  index_of(erased.principal).remove(id);
  tell_lowered({id});
  const int64_t size = registry_.size();
  lock.unlock();
  shelf_->wait(size);
  resume_shreds();
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
