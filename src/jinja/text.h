// What string methods and text filters share.
#pragma once

#include "jinja/value.h"

namespace fieldprint::jinja {

// `chars`: what to take off; null for white space.
Value strip(Heap& heap, const String& text, const String* chars, bool left, bool right);
// A list of pieces; null separator: runs of white space. `most` < 0: no limit.
Value split(Heap& heap, const String& text, const String* separator, int64_t most, bool from_right);
std::span<const Value> split_lines(Heap& heap, const String& text, bool keep_ends);
// `most` < 0: all. The result is markup if `text` is.
Value replace(Heap& heap, const String& text, std::string_view old, const String& fresh, int64_t most);
Value join(Heap& heap, const String& separator, std::span<const Value> strings, bool markup);
// side: '<' text to the left, '>' to the right, '^' in the middle, as str.center() does it.
Value pad_text(Heap& heap, const String& text, int64_t width, const String& fill, char side);
// Like string_view's find and rfind, but linear however the texts repeat themselves.
size_t find_text(Heap& heap, std::string_view text, std::string_view wanted, size_t from = 0);
size_t rfind_text(Heap& heap, std::string_view text, std::string_view wanted);
size_t count_occurrences(Heap& heap, std::string_view text, std::string_view wanted);  // wanted is not empty

}  // namespace fieldprint::jinja
