// Numbers in text.
#pragma once

#include <clocale>
#include <cstdlib>

namespace fieldprint {

// strtod as in the locale "C": what a program that uses the library has set with setlocale() does not count.
inline double strtod_c(const char* text, char** end = nullptr) {
  static const locale_t locale = ::newlocale(LC_ALL_MASK, "C", nullptr);
  return ::strtod_l(text, end, locale);
}

}  // namespace fieldprint
