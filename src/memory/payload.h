// What a record holds: its text and where it came from, encrypted under a key of its own (key_file.h), committed to by
// the record. Pure functions, for any thread.
#pragma once

#include <string>

#include "memory/key_file.h"
#include "memory/record.h"

namespace fieldprint::memory {

struct Payload {
  std::string text, adapter, uri, title;
  bool operator==(const Payload&) const = default;
};

ledger::Bytes encode_payload(const Payload& payload);
Payload decode_payload(ledger::ByteView bytes);  // Error kBadInput

using Salt = Digest;
Salt draw_salt();
Digest payload_digest(const Salt& salt, ledger::ByteView encoded);  // the commitment in the record

// What the store keeps under the record's id.
struct SealedPayload {
  int64_t place = 0;  // of its key
  Salt salt = {};
  ledger::Bytes ciphertext;
};
ledger::Bytes encode_sealed(const SealedPayload& sealed);
SealedPayload decode_sealed(ledger::ByteView bytes);  // Error kBadInput

// AES-256-GCM with a nonce of zeros: each key seals one payload. The id is additional data.
ledger::Bytes seal(const PayloadKey& key, const RecordId& id, ledger::ByteView plain);
ledger::Bytes open_sealed(const PayloadKey& key, const RecordId& id, ledger::ByteView sealed);  // Error kBadFile

}  // namespace fieldprint::memory
