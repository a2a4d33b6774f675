#include "server/page.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "server/embedded.h"

FIELDPRINT_EMBED(page, FIELDPRINT_PAGE)

namespace fieldprint::server {

namespace {

std::string sha256_base64(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 4 * (SHA256_DIGEST_LENGTH + 2) / 3 + 1> letters;
  const int length = EVP_EncodeBlock(letters.data(), digest.data(), SHA256_DIGEST_LENGTH);
  return {reinterpret_cast<const char*>(letters.data()), static_cast<size_t>(length)};
}

// 'sha256-...' of each element of a name, as browsers read a page: from the end of its first tag to the next closing
// one, whatever stands between.
std::string hashes(std::string_view html, std::string_view wanted) {
  std::string out;
  size_t at = 0;
  for (;;) {
    const size_t script = html.find("<script", at), style = html.find("<style", at);
    if (script == html.npos && style == html.npos) return out;
    const std::string name = script < style ? "script" : "style";
    const size_t begin = html.find('>', std::min(script, style)) + 1, end = html.find("</" + name, begin);
    assert(begin != 0 && end != html.npos);
    if (name == wanted) out += " 'sha256-" + sha256_base64(html.substr(begin, end - begin)) + "'";
    at = end + 1;
  }
}

}  // namespace

std::string_view page() { return page_embedded(); }

std::string page_policy(std::string_view html) {
  return "default-src 'none'; script-src" + hashes(html, "script") + "; style-src" + hashes(html, "style") +
         "; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

}  // namespace fieldprint::server
