#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string_view>

namespace fieldprint {
namespace {

TEST(Sha256, KnownAnswers) {  // FIPS 180-2, appendix B
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(std::string_view("abc")))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PiecesEqualTheWhole) {
  const std::string text(100'000, 'x');
  const auto bytes = std::as_bytes(std::span(text));
  Sha256 hash;
  for (size_t i = 0; i < bytes.size(); i += 777) hash.update(bytes.subspan(i, std::min<size_t>(777, bytes.size() - i)));
  EXPECT_EQ(hash.hex(), sha256_hex(bytes));
}

TEST(Sha256, OneObjectHashesAgain) {
  const auto abc = std::as_bytes(std::span(std::string_view("abc")));
  Sha256 hash;
  hash.update(abc);
  EXPECT_EQ(hash.hex(), sha256_hex(abc));
  EXPECT_EQ(hash.hex(), sha256_hex({}));
  hash.update(abc);
  EXPECT_EQ(hash.digest()[0], std::byte{0xba});
}

}  // namespace
}  // namespace fieldprint
