#include "safetensors/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

std::vector<std::byte> file_of(std::string_view header, size_t data) {
  std::vector<std::byte> bytes(8 + header.size() + data);
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, sizeof(length));
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  for (size_t i = 0; i < data; ++i) bytes[8 + header.size() + i] = static_cast<std::byte>(i);
  return bytes;
}

std::string refusal(const std::vector<std::byte>& bytes) {
  try {
    SafetensorsFile::parse(bytes, "test");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string refusal(std::string_view header, size_t data) { return refusal(file_of(header, data)); }

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirData) {
  const auto bytes = file_of(R"({"__metadata__": {"format": "pt"},
      "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [4, 16]},
      "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
      "empty": {"dtype": "I64", "shape": [0, 5], "data_offsets": [4, 4]}}   )",
                             16);
  const auto file = SafetensorsFile::parse(bytes, "test");
  ASSERT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[0].type, find_quant_type("F32"));
  EXPECT_EQ(file->tensors()[1].name, "empty");
  EXPECT_EQ(file->tensors()[1].type, nullptr);
  const SafeTensor& b = file->tensors()[2];
  EXPECT_EQ(b.shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(b.bytes, 12u);
  EXPECT_EQ(b.data[0], std::byte{4});
}

TEST(SafetensorsHostile, EveryLieIsRefused) {
  EXPECT_THAT(refusal(std::vector<std::byte>(7)), HasSubstr("too short"));
  EXPECT_THAT(refusal(std::vector<std::byte>(8, std::byte{0xff})), HasSubstr("at most 100000000"));
  std::vector<std::byte> longer = file_of("{}", 0);
  longer[0] = std::byte{3};
  EXPECT_THAT(refusal(longer), HasSubstr("more than it has"));
  EXPECT_THAT(refusal("{", 0), HasSubstr("header: this is not valid JSON (line 1, column 2)"));
  EXPECT_THAT(refusal("[]", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal(std::string(100'000, '['), 0), HasSubstr("levels deep"));
  EXPECT_THAT(refusal("{\"\xff\": 1}", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(R"({"a": 1})", 0), HasSubstr("'a' has no dtype"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": 4}})", 0), HasSubstr("'a' has no dtype"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F12", "shape": [1], "data_offsets": [0, 4]}})", 4),
              HasSubstr("unknown dtype 'F12'"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "data_offsets": [0, 4]}})", 4), HasSubstr("no shape"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", 4),
              HasSubstr("that is none"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}})", 4),
              HasSubstr("that is none"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1,1,1,1,1,1,1,1,1], "data_offsets": [0, 4]}})", 4),
              HasSubstr("at most 8"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}})", 0),
              HasSubstr("more values than can be counted"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", 4),
              HasSubstr("lies at 4 to 0"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}})", 4),
              HasSubstr("the data end at 4"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", 4), HasSubstr("ask for 8"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}})", 4), HasSubstr("no two offsets"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                          "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}})",
                      6),
              HasSubstr("overlaps"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                          "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
                      4),
              HasSubstr("overlaps"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                          "a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
                      8),
              HasSubstr("two members of one object are named 'a'"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})", 8), HasSubstr("before 'a'"));
  EXPECT_THAT(refusal(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 8), HasSubstr("at the end"));
}

TEST(SafetensorsHostile, EveryCutIsRefused) {
  const auto whole = file_of(R"({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}})", 4);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(refusal({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}), "") << size;
  }
  EXPECT_EQ(refusal(whole), "");
}

}  // namespace
}  // namespace fieldprint
