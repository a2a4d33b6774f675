// SHA-256 as the ledger uses it. The only cryptography of the checker besides verify/note.h; both are libraries'
// (OpenSSL, libsodium), nothing is shared with the program whose exports are checked.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace fieldprint::verify {

using Hash = std::array<uint8_t, 32>;

// Of the parts one after the other.
Hash sha256(std::initializer_list<std::string_view> parts);

// SHA-256 over "fieldprint/" type "/v1" 0x00 and the bytes (docs/formats/memory.md).
Hash digest(std::string_view type, std::string_view bytes);

inline std::string_view view(const Hash& hash) { return {reinterpret_cast<const char*>(hash.data()), hash.size()}; }
// `bytes` has to be 32 long.
Hash to_hash(std::string_view bytes);

}  // namespace fieldprint::verify
