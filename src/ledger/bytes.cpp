#include "ledger/bytes.h"

#include <sodium.h>

#include "fieldprint/error.h"

namespace fieldprint::ledger {

std::string to_hex(ByteView bytes) {
  std::string out(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  out.pop_back();
  return out;
}

std::string to_base64(ByteView bytes) {
  std::string out(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  out.pop_back();
  return out;
}

// Below, libsodium must not be given the null pointer of an empty vector.

Bytes from_hex(std::string_view text) {
  if (text.empty()) return {};
  if (text.size() % 2 != 0) throw Error(ErrorKind::kBadInput, "not lower-case hex");
  Bytes out(text.size() / 2);
  size_t length = 0;
  const int code = sodium_hex2bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(),
                                  nullptr, &length, nullptr);
  if (code != 0 || length != out.size() || to_hex(out) != text) throw Error(ErrorKind::kBadInput, "not lower-case hex");
  return out;
}

Bytes from_base64(std::string_view text) {
  if (text.empty()) return {};
  if (text.size() % 4 != 0) throw Error(ErrorKind::kBadInput, "not base64 as RFC 4648 writes it");
  Bytes out(text.size() / 4 * 3);
  size_t length = 0;
  const int code = sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(),
                                     nullptr, &length, nullptr, sodium_base64_VARIANT_ORIGINAL);
  out.resize(code == 0 ? length : 0);
  if (code != 0 || to_base64(out) != text) throw Error(ErrorKind::kBadInput, "not base64 as RFC 4648 writes it");
  return out;
}

}  // namespace fieldprint::ledger
