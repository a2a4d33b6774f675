// The digests of a commit (docs/formats/memory.md, COMMIT): what the recorder and the audit have to make alike.
// Pure functions, for any thread.
#pragma once

#include <span>
#include <vector>

#include "fieldprint/boundaries.h"
#include "fieldprint/model.h"
#include "memory/record.h"

namespace fieldprint::memory {

// digest("tokens", ids as int32, little-endian).
Digest token_digest(std::span<const TokenId> tokens);

// digest("hidden", INT8 codes): round(x * 16) to nearest even, clamped to +-127. The digest of no codes where there is
// no state. Error kBadInput for what is not finite.
Digest hidden_digest(std::span<const float> hidden);

// The next link of the chain: digest("pages", last link + CBOR [[begin, end, kind, source, clearance], ...] + token
// digest).
Digest next_link(const Digest& last, const Boundary& boundary);

// What an audit needs to compute a boundary again: CBOR {1: tokens, 2: labels [[kind, source, clearance], ...],
// 3: pages [[begin, end, label], ...], 4: answer, 5: stream, 6: begins anew}.
ledger::Bytes encode_replay(const Boundary& boundary);
Boundary decode_replay(ledger::ByteView bytes);  // without `hidden`; Error kBadInput

// digest("model", fingerprint of the model).
Digest model_digest(const Model& model);

}  // namespace fieldprint::memory
