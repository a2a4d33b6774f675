// Bytes, and the two texts that they are written in: lower-case hex and base64 (RFC 4648, section 4, with padding).
// Pure functions, for any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint::ledger {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

inline ByteView view_of(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string_view text_of(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string to_hex(ByteView bytes);
std::string to_base64(ByteView bytes);

// The one text that to_hex or to_base64 would make of the result, and no other: upper-case hex, spaces, missing
// padding and bits left over are refused with Error kBadInput.
Bytes from_hex(std::string_view text);
Bytes from_base64(std::string_view text);

}  // namespace fieldprint::ledger
