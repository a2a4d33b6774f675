// Damaged and hostile files: each is one clear sentence, never a crash.
#include "gguf/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

// A file by hand, wrong where a test wants it to be.
class Raw {
 public:
  Raw(uint64_t tensors, uint64_t entries, uint32_t version = 3) { text("GGUF").u32(version).u64(tensors).u64(entries); }
  explicit Raw(std::string_view start) { text(start); }

  Raw& text(std::string_view bytes) { return bytes_ += bytes, *this; }
  Raw& u8(uint8_t value) { return number(&value, 1); }
  Raw& u32(uint32_t value) { return number(&value, 4); }
  Raw& u64(uint64_t value) { return number(&value, 8); }
  Raw& f32(float value) { return number(&value, 4); }
  Raw& string(std::string_view value) { return u64(value.size()).text(value); }
  Raw& key(std::string_view name, GgufKind kind) { return string(name).u32(static_cast<uint32_t>(kind)); }
  Raw& array(std::string_view name, GgufKind kind, uint64_t count) {
    return key(name, GgufKind::kArray).u32(static_cast<uint32_t>(kind)).u64(count);
  }
  Raw& tensor(std::string_view name, std::vector<uint64_t> shape, uint32_t type, uint64_t offset) {
    string(name).u32(static_cast<uint32_t>(shape.size()));
    for (uint64_t length : shape) u64(length);
    return u32(type).u64(offset);
  }
  Raw& pad(size_t alignment) { return bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment), *this; }
  Raw& zeros(size_t count) { return bytes_.resize(bytes_.size() + count), *this; }

  const std::string& bytes() const { return bytes_; }

 private:
  Raw& number(const void* value, size_t size) { return bytes_.append(static_cast<const char*>(value), size), *this; }

  std::string bytes_;
};

struct Outcome {
  std::string message = "no error", hint;
  ErrorKind kind{};
};

Outcome outcome_of(std::string_view bytes) {
  // A copy of the exact size, so that a sanitizer sees the first byte read too far.
  const auto copy = std::make_unique<std::byte[]>(bytes.size());
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  try {
    parse_gguf({copy.get(), bytes.size()}, "m.gguf");
  } catch (const Error& error) {
    return {error.what(), error.hint(), error.kind()};
  }
  return {};
}

constexpr uint32_t kF32 = 0, kQ4_1 = 3;

TEST(GgufHostile, EveryDamageHasItsSentence) {
  using K = GgufKind;
  const ErrorKind bad = ErrorKind::kBadFile, unsupported = ErrorKind::kUnsupported;
  struct Case {
    Raw file;
    ErrorKind kind;
    std::string sentence;
  };
  const uint64_t huge = ~uint64_t{0};
  const std::vector<Case> cases = {
      {Raw(""), bad, "is empty"},
      {Raw("GGU"), bad, "is not a GGUF file"},
      {Raw("ggml and more bytes than a header"), bad, "is not a GGUF file"},
      {Raw("GGUF\3"), bad, "is cut short: a GGUF file has at least 24 bytes, this one 5"},
      {Raw(0, 0, 1), unsupported, "is a GGUF file of version 1; versions 2 and 3 can be read"},
      {Raw(0, 0, 0), unsupported, "is a GGUF file of version 0; versions 2 and 3 can be read"},
      {Raw(0, 0, 4), unsupported, "is a GGUF file of version 4; versions 2 and 3 can be read"},
      {Raw(0, 0, 0x03000000), unsupported, "is a big-endian GGUF file; only little-endian ones can be read"},

      // Counts.
      {Raw(0, huge), bad, "claims 18446744073709551615 metadata entries, more than its 24 bytes can hold"},
      {Raw(huge, 0), bad, "claims 18446744073709551615 tensors, more than its 24 bytes can hold"},
      {Raw(0, 2).zeros(27), bad, "claims 2 metadata entries, more than its 51 bytes can hold"},

      // Metadata.
      {Raw(0, 1).u64(huge).zeros(20), bad, "metadata entry 1 runs past the end of the file (52 bytes)"},
      {Raw(0, 1).string("").u32(0).zeros(9), bad, "metadata entry 1 has no name"},
      {Raw(0, 1).string(std::string(65536, 'k')).u32(0).u8(1), bad, "metadata entry 1 has a name of 65536 bytes"},
      {Raw(0, 2).key("a", K::kU8).u8(1).key("a", K::kU8).u8(2).zeros(8), bad, "metadata key 'a' stands twice"},
      {Raw(0, 1).string("a").u32(13).u64(0), bad, "metadata entry 'a' has a value of unknown kind 13"},
      {Raw(0, 1).key("a", K::kU64).u32(0), bad, "metadata entry 'a' runs past the end of the file"},
      {Raw(0, 1).key("a", K::kBool).u8(2), bad, "metadata entry 'a' is a bool of value 2, neither 0 nor 1"},
      {Raw(0, 1).key("a", K::kString).u64(5).text("1234"), bad, "metadata entry 'a' runs past the end of the file"},
      {Raw(0, 1).key("\x1b[31m\n", K::kString).u64(5), bad, "metadata entry '\\x1b[31m\\x0a' runs past the end"},

      // Arrays.
      {Raw(0, 1).array("a", K::kArray, 1).u32(0).u64(0), unsupported, "metadata entry 'a' is an array of arrays"},
      {Raw(0, 1).key("a", K::kArray).u32(99).u64(0), bad, "metadata entry 'a' has a value of unknown kind 99"},
      {Raw(0, 1).array("a", K::kU8, huge), bad,
       "metadata entry 'a' claims an array of 18446744073709551615 values, more than the 0 bytes left"},
      {Raw(0, 1).array("a", K::kU64, huge / 8 + 2).u64(0), bad, "claims an array of 2305843009213693953 values"},
      {Raw(0, 1).array("a", K::kF32, 3).zeros(11), bad, "claims an array of 3 values, more than the 11 bytes left"},
      {Raw(0, 1).array("a", K::kString, 2).zeros(15), bad, "claims an array of 2 values, more than the 15 bytes left"},
      {Raw(0, 1).array("a", K::kString, 2).string("x").u64(1), bad, "metadata entry 'a' runs past the end of the file"},
      {Raw(0, 1).array("a", K::kBool, 2).u8(1).u8(3), bad, "metadata entry 'a' holds a bool that is neither 0 nor 1"},

      // Alignment and splits.
      {Raw(0, 1).key("general.alignment", K::kU32).u32(0), bad, "general.alignment is 0, which is not a power of two"},
      {Raw(0, 1).key("general.alignment", K::kU32).u32(24), bad,
       "general.alignment is 24, which is not a power of two"},
      {Raw(0, 1).key("general.alignment", K::kU32).u32(4), bad,
       "general.alignment is 4, which is not a power of two of"},
      {Raw(0, 1).key("general.alignment", K::kString).string("32"), bad,
       "general.alignment is of kind string, not u32"},
      {Raw(0, 1).key("split.count", K::kU8).u8(0), bad, "says that it is file 1 of 0 of a model"},
      {Raw(0, 1).key("split.count", K::kU32).u32(65536), bad, "says that it is file 1 of 65536 of a model"},
      {Raw(0, 2).key("split.count", K::kU8).u8(3).key("split.no", K::kU8).u8(3), bad, "says that it is file 4 of 3"},
      {Raw(0, 1).key("split.no", K::kI32).u32(~0u), bad, "split.no is -1"},
      {Raw(0, 1).key("split.no", K::kU64).u64(huge), bad, "split.no is 18446744073709551615"},
      {Raw(0, 1).key("split.tensors.count", K::kF32).f32(1), bad, "split.tensors.count is of kind f32, not an integer"},

      // Tensors.
      {Raw(1, 0).u64(huge).zeros(25), bad, "tensor 1 runs past the end of the file"},
      {Raw(1, 0).tensor("", {1, 1}, kF32, 0), bad, "tensor 1 has no name"},
      {Raw(2, 0).tensor("t", {1}, kF32, 0).tensor("t", {1}, kF32, 32).zeros(64), bad, "tensor 't' stands twice"},
      {Raw(1, 0).tensor("t", {}, kF32, 0).zeros(8), bad, "tensor 't' has 0 dimensions; 1 to 4 are possible"},
      {Raw(1, 0).tensor("t", {1, 1, 1, 1, 1}, kF32, 0), bad, "tensor 't' has 5 dimensions; 1 to 4 are possible"},
      {Raw(1, 0).tensor("t", {4, 0}, kF32, 0), bad, "tensor 't' has a dimension of length 0"},
      {Raw(1, 0).tensor("t", {1u << 31, 1u << 31, 2, 1}, kF32, 0), bad, "tensor 't' claims more elements than"},
      {Raw(1, 0).tensor("t", {huge}, kF32, 0), bad, "tensor 't' claims more elements than"},
      {Raw(1, 0).tensor("t", {uint64_t{1} << 62, 1}, kF32, 0), bad,
       "tensor 't' claims 4611686018427387904 values of F32"},
      {Raw(1, 0).tensor("t", {4}, 4, 0).pad(32).zeros(16), unsupported, "tensor 't' has the unknown type number 4"},
      {Raw(1, 0).tensor("t", {4}, 26, 0).pad(32).zeros(16), unsupported,
       "tensor 't' has the type I32 (26), which is not one of weights"},
      {Raw(1, 0).tensor("t", {48, 2}, kQ4_1, 0).pad(32).zeros(60), bad,
       "tensor 't' has rows of 48 values, which is not a multiple of the 32 in a block of Q4_1"},
      {Raw(1, 0).tensor("t", {4}, kF32, 8).pad(32).zeros(64), bad,
       "tensor 't' lies at offset 8, which is not a multiple of the alignment 32"},
      {Raw(1, 0).tensor("t", {4}, kF32, 0).pad(32).zeros(15), bad,
       "tensor 't' runs past the end of the file (79 bytes)"},
      {Raw(1, 0).tensor("t", {4}, kF32, 0), bad, "tensor 't' runs past the end of the file"},
      {Raw(1, 0).tensor("t", {4}, kF32, huge - 31).pad(32).zeros(64), bad, "tensor 't' runs past the end of the file"},
      {Raw(1, 1).key("general.alignment", K::kU32).u32(1u << 31).tensor("t", {4}, kF32, 0).zeros(64), bad,
       "tensor 't' runs past the end of the file"},
      {Raw(2, 0).tensor("a", {16}, kF32, 0).tensor("b", {4}, kF32, 32).pad(32).zeros(64), bad, "'a' and 'b' overlap"},
      {Raw(2, 0).tensor("a", {4}, kF32, 0).tensor("b", {4}, kF32, 0).pad(32).zeros(64), bad, "' overlap"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = outcome_of(c.file.bytes());
    EXPECT_THAT(outcome.message, testing::StartsWith("m.gguf: "));
    EXPECT_THAT(outcome.message, HasSubstr(c.sentence));
    EXPECT_EQ(outcome.kind, c.kind) << c.sentence;
    EXPECT_THAT(outcome.message, testing::Not(HasSubstr("\n")));
  }
}

TEST(GgufHostile, WhatIsNoModelGetsAHint) {
  EXPECT_THAT(outcome_of("version https://git-lfs.github.com/spec/v1\n").hint, HasSubstr("git lfs pull"));
  EXPECT_THAT(outcome_of("<!DOCTYPE html>").hint, HasSubstr("web page"));
}

// Something of everything, valid.
std::string valid_file(uint32_t version = 3) {
  using K = GgufKind;
  Raw file(3, 7, version);
  file.key("general.alignment", K::kU32).u32(32);
  file.key("split.count", K::kU8).u8(1);
  file.key("name", K::kString).string("tiny");
  file.key("rate", K::kF32).f32(0.5f);
  file.array("tokens", K::kString, 3).string("a").string("").string("ccc");
  file.array("ids", K::kU32, 2).u32(1).u32(2);
  file.array("flags", K::kBool, 2).u8(0).u8(1);
  file.tensor("a", {8}, kF32, 32).tensor("b", {32, 2}, kQ4_1, 64).tensor("c", {2, 2, 1, 2}, kF32, 0);
  return file.pad(32).zeros(64 + 40).bytes();
}

TEST(GgufHostile, BothVersionsAreRead) {
  for (const uint32_t version : {2u, 3u}) {
    const std::string bytes = valid_file(version);
    const auto file = GgufFile::parse(std::as_bytes(std::span(bytes)), "m.gguf");
    EXPECT_EQ(file->version(), version);
    EXPECT_EQ(file->metadata().size(), 6u) << "split.count is a matter of files";
    EXPECT_EQ(file->find("split.count"), nullptr);
    EXPECT_EQ(file->string("name"), "tiny");
    EXPECT_EQ(file->array("tokens")->strings[2], "ccc");
    EXPECT_EQ(file->array("flags")->integer(1), 1);
    const GgufTensor& b = file->tensor("b");
    EXPECT_EQ(b.bytes, 40u);
    EXPECT_EQ(reinterpret_cast<const char*>(b.data) + b.bytes, bytes.data() + bytes.size());
    EXPECT_EQ(file->tensor("c").dims, 4);
  }
}

TEST(GgufHostile, EveryTruncationIsAnError) {
  const std::string bytes = valid_file();
  EXPECT_EQ(outcome_of(bytes).message, "no error");
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Outcome outcome = outcome_of(std::string_view(bytes).substr(0, size));
    ASSERT_NE(outcome.message, "no error") << size;
    ASSERT_EQ(outcome.kind, ErrorKind::kBadFile) << size << ": " << outcome.message;
  }
}

TEST(GgufHostile, FlippedBitsNeverCrash) {
  const std::string bytes = valid_file();
  size_t accepted = 0;
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {  // each alone
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    accepted += outcome_of(damaged).message == "no error";
  }
  EXPECT_GT(accepted, 104u * 8);  // the tensors' own bytes at least: no checksum guards them
  EXPECT_LT(accepted, bytes.size() * 8);
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {  // several at once, also whole bytes
    std::string damaged = bytes;
    for (unsigned i = 0; i <= random() % 8; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    outcome_of(damaged);
  }
}

TEST(GgufHostile, WhatIsAcceptedCanBeReadToTheEnd) {
  // A flip may change a length and still be a valid file; then every view must lie inside it.
  const std::string bytes = valid_file();
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    GgufContents contents;
    try {
      contents = parse_gguf(std::as_bytes(std::span(damaged)), "m.gguf");
    } catch (const Error&) {
      continue;
    }
    const auto inside = [&](const void* data, uint64_t size) {
      const char* start = static_cast<const char*>(data);
      return size == 0 || (start >= damaged.data() && start + size <= damaged.data() + damaged.size());
    };
    for (const auto& [key, value] : contents.metadata) {
      ASSERT_TRUE(inside(key.data(), key.size()));
      if (const auto* array = std::get_if<GgufArray>(&value.value)) {
        ASSERT_TRUE(inside(array->data, array->count * gguf_kind_bytes(array->kind)));
        for (std::string_view text : array->strings) ASSERT_TRUE(inside(text.data(), text.size()));
      }
    }
    for (const GgufTensor& tensor : contents.tensors) {
      ASSERT_TRUE(inside(tensor.data, tensor.bytes));
      ASSERT_EQ(tensor.bytes, tensor.type->bytes(tensor.elements()));
    }
  }
}

}  // namespace
}  // namespace fieldprint
