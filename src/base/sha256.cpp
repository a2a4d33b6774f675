#include "base/sha256.h"

#include <openssl/evp.h>

#include <cassert>

namespace fieldprint {

namespace {

// Fetched once: looking the algorithm up takes longer than hashing a few bytes.
const EVP_MD* algorithm() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched;
}

thread_local uint64_t calls = 0;

}  // namespace

uint64_t sha256_calls() { return calls; }

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) { EVP_DigestInit_ex2(context_->evp, algorithm(), nullptr); }
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  ++calls;
  EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size());
}

std::array<std::byte, 32> Sha256::digest() {
  ++calls;
  std::array<std::byte, 32> digest;
  unsigned length = 0;
  EVP_DigestFinal_ex(context_->evp, reinterpret_cast<unsigned char*>(digest.data()), &length);
  assert(length == digest.size());
  EVP_DigestInit_ex2(context_->evp, nullptr, nullptr);
  return digest;
}

std::string Sha256::hex() {
  std::string out;
  for (const std::byte byte : digest()) {
    out += "0123456789abcdef"[static_cast<int>(byte) >> 4];
    out += "0123456789abcdef"[static_cast<int>(byte) & 15];
  }
  return out;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

}  // namespace fieldprint
