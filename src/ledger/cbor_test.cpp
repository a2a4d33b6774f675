#include "ledger/cbor.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "ledger/hash.h"
#include "support/files.h"

namespace fieldprint::ledger {
namespace {

std::string hex_of(const Value& value) { return to_hex(encode(value)); }
std::string refusal_of(std::string_view hex) {
  return refusal([&] { decode(from_hex(hex)); });
}

TEST(Cbor, ExamplesOfTheRfc) {  // RFC 8949, appendix A
  EXPECT_EQ(hex_of(0), "00");
  EXPECT_EQ(hex_of(23), "17");
  EXPECT_EQ(hex_of(24), "1818");
  EXPECT_EQ(hex_of(1000), "1903e8");
  EXPECT_EQ(hex_of(1000000), "1a000f4240");
  EXPECT_EQ(hex_of(int64_t{1000000000000}), "1b000000e8d4a51000");
  EXPECT_EQ(hex_of(-1), "20");
  EXPECT_EQ(hex_of(-1000), "3903e7");
  EXPECT_EQ(hex_of(std::numeric_limits<int64_t>::max()), "1b7fffffffffffffff");
  EXPECT_EQ(hex_of(std::numeric_limits<int64_t>::min()), "3b7fffffffffffffff");
  EXPECT_EQ(hex_of(from_hex("01020304")), "4401020304");
  EXPECT_EQ(hex_of("IETF"), "6449455446");
  EXPECT_EQ(hex_of("\u6c34"), "63e6b0b4");
  EXPECT_EQ(hex_of(Array{1, Array{2, 3}, Array{4, 5}}), "8301820203820405");
  EXPECT_EQ(hex_of(Map{{3, 4}, {1, 2}}), "a201020304");
  EXPECT_EQ(hex_of(Map{}), "a0");
}

TEST(Cbor, KeysStandInTheOrderOfTheirBytes) {
  EXPECT_EQ(hex_of(Map{{-2, 0}, {256, 0}, {-1, 0}, {0, 0}, {24, 0}}),
            "a5000018180019010000"
            "20002100");
}

TEST(Cbor, RefusesWhatIsNotCanonical) {
  const char* const broken[] = {
      "",      // nothing
      "1817",  // 23 in two bytes
      "190017",
      "1900ff",
      "1a0000ffff",
      "1b00000000ffffffff",
      "3817",
      "5800",
      "7800",
      "9800",
      "b800",
      "1bffffffffffffffff",  // beyond 64 bits with a sign
      "3b8000000000000000",
      "f90000",
      "fa00000000",
      "fb0000000000000000",  // floats
      "f4",
      "f5",
      "f6",
      "f7",
      "f8ff",  // false, true, null, undefined, a simple value
      "c000",
      "d81800",  // tags
      "5fff",
      "7fff",
      "9fff",
      "bfff",
      "ff",  // indefinite
      "1c",
      "1d",
      "1e",
      "3f",              // reserved
      "a2010201030000",  // a key twice, and more
      "a201020103",
      "a203040102",  // twice; falling
      "a220002000",
      "a221002000",
      "a220000000",
      "a1616101",
      "a14000",  // keys that are no integers
      "0000",    // something follows
      "42ff",
      "6261",
      "8101ff",
      "81",
      "a101",
      "1b00",
      "61ff",
      "62c0af",
      "63eda080",  // not UTF-8: stray, overlong, surrogate
      "9b7fffffffffffffff",
      "5b7fffffffffffffff",
      "bb7fffffffffffffff",
  };
  for (const char* hex : broken) EXPECT_THROW(decode(from_hex(hex)), Error) << hex;
  EXPECT_EQ(refusal_of("c000"), "CBOR: tags, floats and simple values do not belong here");
}

TEST(Cbor, DepthHasABound) {
  Value deep = 7;
  for (int i = 0; i < kCborDepthMax; ++i) deep = Array{std::move(deep)};
  EXPECT_EQ(decode(encode(deep)), deep);
  const Value deeper = Array{deep};
  EXPECT_EQ(refusal([&] { encode(deeper); }), "CBOR: nested more than 16 deep");
  EXPECT_THROW(decode(from_hex(std::string(34, '8') + std::string("00"))), Error);
  EXPECT_EQ(refusal_of("8181818181818181818181818181818181"
                       "00"),
            "CBOR: nested more than 16 deep");
}

TEST(Cbor, AccessAsksForTheKind) {
  const Value map = Map{{1, "a"}, {2, 300}};
  EXPECT_EQ(map.map().at(1).text(), "a");
  EXPECT_EQ(map.map().find(3), nullptr);
  EXPECT_EQ(refusal([&] { map.map().at(3); }), "CBOR: a map without the key 3");
  EXPECT_EQ(refusal([&] { map.map().at(1).integer(); }), "CBOR: a text stands where an integer is expected");
  EXPECT_EQ(refusal([&] { map.map().at(2).integer(0, 255); }), "CBOR: 300 is not within 0 to 255");
  EXPECT_EQ(refusal([] { Value(uint64_t{1} << 63); }), "CBOR: integers end at 2^63 - 1");
  EXPECT_EQ(refusal([] { encode(Value("\xff")); }), "CBOR: a text that is not UTF-8");
}

Value any_value(Rng& rng, int depth) {
  const int64_t size = rng.below(4);
  switch (rng.below(depth > 0 ? 5 : 3)) {
    case 0:
      return static_cast<int64_t>(rng.next() >> rng.below(64)) * (rng.below(2) ? 1 : -1);
    case 1: {
      Bytes bytes;
      for (int64_t i = 0; i < size * 20; ++i) bytes.push_back(static_cast<std::byte>(rng.next()));
      return bytes;
    }
    case 2: {
      std::string text;
      for (int64_t i = 0; i < size * 10; ++i)
        append_utf8(text, static_cast<uint32_t>(rng.below(0xD800) >> rng.below(16)));
      return text;
    }
    case 3: {
      Array array;
      for (int64_t i = 0; i < size; ++i) array.push_back(any_value(rng, depth - 1));
      return array;
    }
    default: {
      Map map;
      for (int64_t i = 0; i < size; ++i) {
        map.set(static_cast<int64_t>(rng.next()) >> rng.below(64), any_value(rng, depth - 1));
      }
      return map;
    }
  }
}

TEST(Cbor, DecodeUndoesEncode) {
  Rng rng(1);
  for (int i = 0; i < 20'000; ++i) {
    const Value value = any_value(rng, 4);
    const Bytes bytes = encode(value);
    ASSERT_EQ(decode(bytes), value) << to_hex(bytes);
    ASSERT_EQ(encode(decode(bytes)), bytes);
  }
}

// Every change of a bit gives another value or none: no two encodings of one.
TEST(Cbor, NoBitIsFree) {
  Rng rng(2);
  for (int i = 0; i < 300; ++i) {
    const Value value = any_value(rng, 3);
    Bytes bytes = encode(value);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      try {
        ASSERT_FALSE(decode(bytes) == value) << to_hex(bytes);
      } catch (const Error&) {
      }
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  }
}

TEST(Hash, TagsKeepDigestsApart) {
  EXPECT_EQ(to_hex(sha256({view_of("a"), view_of("bc")})),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(tagged_digest("record", view_of("x")), sha256({view_of(std::string_view("fieldprint/record/v1\0x", 22))}));
  EXPECT_NE(tagged_digest("record", view_of("x")), tagged_digest("leaf", view_of("x")));
}

TEST(Bytes, HexAndBase64AreStrict) {
  EXPECT_EQ(to_base64(view_of("foobar")), "Zm9vYmFy");
  EXPECT_EQ(to_base64(view_of("fo")), "Zm8=");
  EXPECT_EQ(from_base64("Zm8="), Bytes({std::byte{'f'}, std::byte{'o'}}));
  EXPECT_EQ(from_base64(""), Bytes());
  for (const char* text : {"Zm8", "Zm9=", "Zm8=\n", " Zm8=", "Zm8==", "Z", "Zm8=Zm8=", "Z-8=", "===="}) {
    EXPECT_THROW(from_base64(text), Error) << text;
  }
  EXPECT_EQ(to_hex(from_hex("00ff10")), "00ff10");
  for (const char* text : {"0", "0g", "FF", "0x00", "00 "}) EXPECT_THROW(from_hex(text), Error) << text;
}

}  // namespace
}  // namespace fieldprint::ledger
