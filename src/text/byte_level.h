// The alphabet in which byte-level vocabularies (GPT-2 and after) write bytes: printable Latin-1 characters stand for
// themselves, the other 68 bytes are U+0100 .. U+0143 in order. So a space is written U+0120.
#pragma once

#include <string>
#include <string_view>

namespace fieldprint {

// The bytes that `text` writes. False where it has a character outside the alphabet; `bytes` is unspecified then.
bool bytes_from_alphabet(std::string_view text, std::string& bytes);

// How the alphabet writes `bytes`.
std::string bytes_to_alphabet(std::string_view bytes);

}  // namespace fieldprint
