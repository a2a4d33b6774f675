#include "base/random_id.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include "fieldprint/error.h"

namespace fieldprint {

std::string random_id() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) throw Error(ErrorKind::kIo, "the system gives no random numbers");
  std::string id;
  for (const unsigned char byte : bytes) id += fmt::format("{:02x}", byte);
  return id;
}

}  // namespace fieldprint
