// Signed notes (c2sp.org/signed-note) with Ed25519 keys, and the cosignatures of witnesses (c2sp.org/tlog-cosignature,
// Ed25519). A signature counts only where libsodium accepts it, which refuses small-order keys and malleable
// signatures.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint::verify {

constexpr uint8_t kEd25519 = 1;      // a signature over the note's text
constexpr uint8_t kCosignature = 4;  // a witness's timestamp, and a signature over both

// A verifier key: NAME+ID+BASE64, where the id has to be that of name, type and key.
struct Vkey {
  std::string text;  // as it was written
  std::string name;
  uint32_t id = 0;
  uint8_t type = 0;
  std::array<uint8_t, 32> key = {};
};

// Nothing where it is not the one spelling of a vkey of the types above.
std::optional<Vkey> parse_vkey(std::string_view text);

struct SignatureLine {
  std::string_view name;
  uint32_t id = 0;
  std::string bytes;  // behind the key's id
};

struct Note {
  std::string_view text;  // with its last newline
  std::vector<SignatureLine> signatures;
};

// Views into `bytes`. Where it is not a note, nothing, and `error` says why as a sentence. At most 64 signatures of at
// most 8 KiB each: more than any key here makes, and room for kinds that are ignored.
std::optional<Note> parse_note(std::string_view bytes, std::string& error);

enum class Signed { kNo, kWrong, kRight };

// Whether a line of the note is by `key`, and right. Where several are by it, all have to be right.
Signed signature_of(const Note& note, const Vkey& key);

// The time in a witness's signature, in seconds since 1970; of a line that signature_of() called right.
uint64_t cosignature_time(const SignatureLine& line);

}  // namespace fieldprint::verify
