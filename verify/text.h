// Small forms of text in which notes, statements and paths carry bytes and numbers. Each has one spelling: what is read
// here, written again, is what was read, or it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint::verify {

std::string hex(std::string_view bytes);
// Lower-case digits only, an even number of them.
std::optional<std::string> from_hex(std::string_view text);
// RFC 4648 section 4, with padding and unused bits of zero.
std::optional<std::string> from_base64(std::string_view text);
// Decimal digits without a leading zero, below 2^63.
std::optional<uint64_t> from_decimal(std::string_view text);

bool is_utf8(std::string_view text);
// UTF-8 without ASCII control characters other than the newline (C2SP signed-note).
bool is_note_text(std::string_view text);
// Neither empty nor with a Unicode space, a plus or a control character (C2SP signed-note).
bool is_key_name(std::string_view name);

// Lines of `text`, which has to end in a newline (or is empty); without their newlines.
std::vector<std::string_view> lines_of(std::string_view text);

// For a terminal: control characters and broken UTF-8 become \xNN, and what is longer than `length_max` bytes is cut.
std::string printable(std::string_view text, size_t length_max = 200);
// With a comma after each three digits: 1,234,567.
std::string grouped(uint64_t number);

}  // namespace fieldprint::verify
