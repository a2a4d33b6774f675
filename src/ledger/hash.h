// Digests: SHA-256, bare where a specification asks for it (RFC 6962), else over a tag that keeps apart what digests
// are of, so that none can stand for another. Pure functions, for any thread.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string_view>

#include "ledger/bytes.h"

namespace fieldprint::ledger {

using Digest = std::array<std::byte, 32>;

// SHA-256 of the parts, one after the other.
Digest sha256(std::initializer_list<ByteView> parts);

// SHA-256("fieldprint/" type "/v1" 0x00 bytes). `type` is a constant of the caller's, without a NUL.
Digest tagged_digest(std::string_view type, ByteView bytes);

// A digest from what was read. Error kBadInput unless it is 32 bytes.
Digest digest_of(ByteView bytes);
Digest digest_from_base64(std::string_view text);

}  // namespace fieldprint::ledger
