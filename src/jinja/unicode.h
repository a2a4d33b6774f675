// Unicode as Python's str sees it: code points, character classes, case mappings. All text is valid UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fieldprint::jinja {

bool is_valid_utf8(std::string_view text);
size_t count_code_points(std::string_view text);

// The code point at text[pos]; pos moves past it.
uint32_t decode_at(std::string_view text, size_t& pos);
// The code point that ends at text[pos]; pos moves to its first byte.
uint32_t decode_before(std::string_view text, size_t& pos);
void append_utf8(std::string& out, uint32_t code_point);

// Byte offset of the n-th code point, counted from a byte offset.
size_t advance_code_points(std::string_view text, size_t from, size_t n);

bool is_space(uint32_t c);
bool is_line_break(uint32_t c);
bool is_alpha(uint32_t c);
bool is_decimal(uint32_t c);
bool is_digit(uint32_t c);
bool is_numeric(uint32_t c);
bool is_alnum(uint32_t c);
bool is_lower(uint32_t c);
bool is_upper(uint32_t c);
bool is_titlecase(uint32_t c);
bool is_cased(uint32_t c);
bool is_printable(uint32_t c);
bool is_word(uint32_t c);  // \w

void append_upper(std::string& out, uint32_t c);
void append_title(std::string& out, uint32_t c);
void append_fold(std::string& out, uint32_t c);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);    // with the final sigma
std::string to_title(std::string_view text);    // str.title()
std::string to_capital(std::string_view text);  // str.capitalize()
std::string swap_case(std::string_view text);
std::string fold_case(std::string_view text);

}  // namespace fieldprint::jinja
