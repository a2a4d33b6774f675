#include "ledger/hash.h"

#include <algorithm>
#include <cassert>

#include "base/sha256.h"
#include "fieldprint/error.h"

namespace fieldprint::ledger {

Digest sha256(std::initializer_list<ByteView> parts) {
  thread_local Sha256 hash;
  for (const ByteView part : parts) hash.update(part);
  return hash.digest();
}

Digest tagged_digest(std::string_view type, ByteView bytes) {
  assert(!type.empty() && type.find('\0') == std::string_view::npos);
  return sha256({view_of("fieldprint/"), view_of(type), view_of(std::string_view("/v1\0", 4)), bytes});
}

Digest digest_of(ByteView bytes) {
  Digest digest;
  if (bytes.size() != digest.size()) throw Error(ErrorKind::kBadInput, "a digest has to be 32 bytes");
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

Digest digest_from_base64(std::string_view text) { return digest_of(from_base64(text)); }

}  // namespace fieldprint::ledger
