// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace fieldprint {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> bytes);
  std::string hex();                   // 64 lower-case hex digits; what is updated then begins the next hash
  std::array<std::byte, 32> digest();  // the same as bytes

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::span<const std::byte> bytes);

// How often the calling thread has called update() or asked for a digest: for tests of threads that must not hash.
uint64_t sha256_calls();

}  // namespace fieldprint
