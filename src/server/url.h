// Percent-encoding (RFC 3986) and query strings.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "fieldprint/error.h"

namespace fieldprint::server {

// Throws Error kBadInput for a % without two hexadecimal digits, and for a byte 0. `plus`: + is a space, as in queries.
inline std::string url_decoded(std::string_view text, bool plus) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    throw Error(ErrorKind::kBadInput, "a % in the address stands before no hexadecimal number");
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) throw Error(ErrorKind::kBadInput, "the address ends within a %");
      c = static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
      if (c == '\0') throw Error(ErrorKind::kBadInput, "the address has a byte 0");
    } else if (plus && c == '+') {
      c = ' ';
    }
    out += c;
  }
  return out;
}

inline std::map<std::string, std::string> query_values(std::string_view query) {
  std::map<std::string, std::string> values;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equal = std::min(pair.find('='), pair.size());
    if (pair.empty()) continue;
    values[url_decoded(pair.substr(0, equal), true)] = url_decoded(pair.substr(std::min(equal + 1, pair.size())), true);
  }
  return values;
}

}  // namespace fieldprint::server
