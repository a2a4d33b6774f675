#include "memory/sessions.h"

#include <algorithm>

namespace fieldprint::memory {

ledger::Bytes session_key(const std::string& principal, const std::string& session) {
  const Digest digest = ledger::tagged_digest("session", ledger::encode(ledger::Array{principal, session}));
  return {digest.begin(), digest.end()};
}

ledger::Bytes encode_seen(const SessionContext& context) {
  ledger::Array ids;
  for (const RecordId& id : context.seen) ids.emplace_back(ledger::ByteView(id));
  return ledger::encode(ledger::Map{{1, context.any ? 1 : 0}, {2, std::move(ids)}});
}

void decode_seen(ledger::ByteView bytes, SessionContext& context) {
  const ledger::Value value = ledger::decode(bytes);
  context.any = value.map().at(1).integer(0, 1) == 1;
  for (const ledger::Value& id : value.map().at(2).array()) context.seen.push_back(ledger::digest_of(id.bytes()));
}

bool add_seen(SessionContext& context, const std::vector<RecordId>& ids) {
  bool changed = false;
  for (const RecordId& id : ids) {
    const auto place = std::ranges::lower_bound(context.seen, id);
    if (place != context.seen.end() && *place == id) continue;
    changed = true;
    if (context.seen.size() == SessionContext::kSeenMost) {
      context.any = true;
      return changed;
    }
    context.seen.insert(place, id);
  }
  return changed;
}

}  // namespace fieldprint::memory
