#include "hash.h"

#include <openssl/evp.h>

#include <cassert>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace fieldprint::verify {
namespace {

// Looking the algorithm up costs more than hashing a leaf, so it is done once, and each thread keeps its context.
struct Context {
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm{EVP_MD_fetch(nullptr, "SHA256", nullptr), EVP_MD_free};
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> state{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

}  // namespace

Hash sha256(std::initializer_list<std::string_view> parts) {
  thread_local Context context;
  Hash result;
  bool good = context.algorithm && context.state &&
              EVP_DigestInit_ex2(context.state.get(), context.algorithm.get(), nullptr) == 1;
  for (std::string_view part : parts)
    good = good && EVP_DigestUpdate(context.state.get(), part.data(), part.size()) == 1;
  if (!good || EVP_DigestFinal_ex(context.state.get(), result.data(), nullptr) != 1)
    throw std::runtime_error("OpenSSL cannot compute SHA-256");
  return result;
}

Hash digest(std::string_view type, std::string_view bytes) {
  return sha256({"fieldprint/", type, std::string_view("/v1\0", 4), bytes});
}

Hash to_hash(std::string_view bytes) {
  Hash hash;
  assert(bytes.size() == hash.size());
  std::memcpy(hash.data(), bytes.data(), hash.size());
  return hash;
}

}  // namespace fieldprint::verify
