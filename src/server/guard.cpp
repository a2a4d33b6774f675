#include "server/guard.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/sha256.h"

namespace fieldprint::server {

bool equal_keys(const std::string& a, const std::string& b) {
  const std::string x = sha256_hex(std::as_bytes(std::span(a))), y = sha256_hex(std::as_bytes(std::span(b)));
  return CRYPTO_memcmp(x.data(), y.data(), x.size()) == 0;
}

std::string bearer_token(const HttpRequest& request) {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view given = request.header("authorization");
  const auto same = [](char a, char b) { return a == b || (b >= 'A' && b <= 'Z' && a == b + 32); };  // "bearer" too
  if (given.size() <= kBearer.size() ||
      !std::equal(kBearer.begin(), kBearer.end(), given.begin(), [&](char b, char a) { return same(a, b); }))
    return {};
  return std::string(given.substr(kBearer.size()));
}

std::string host_name(std::string_view host) {  // without a port
  if (host.starts_with('[')) return std::string(host.substr(0, host.find(']') + 1));
  return std::string(host.substr(0, host.rfind(':')));
}

bool is_loopback(const std::string& host) {
  // Digits alone: 127.example.org is a name, which its owner may point to this machine.
  if (host.starts_with("127.")) return host.find_first_not_of("0123456789.") == host.npos;
  return host == "localhost" || host.ends_with(".localhost") || host == "[::1]" || host == "::1";
}

}  // namespace fieldprint::server
