#include "gguf/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "fieldprint/error.h"
#include "support/cpu_time.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::shared_ptr<const GgufFile> sample() {
  static const std::vector<float> kWeights = {1, 2, 3, 4, 5, 6};
  static const auto kBytes = [] {
    GgufWriter writer;
    writer.set("general.architecture", "llama");
    writer.set("u32", uint32_t{7});
    writer.set("u64", ~uint64_t{0});
    writer.set("i32", -7);
    writer.set("f32", 0.5f);
    writer.set("yes", true);
    writer.set("ids", std::vector<int32_t>{1, -2, 3});
    writer.set("scores", std::vector<float>{1.5f, -2.5f});
    writer.set("texts", std::vector<std::string>{"a", "", "c\n"});
    writer.add_tensor("weights", *find_quant_type("F32"), {3, 2}, std::as_bytes(std::span(kWeights)));
    return writer.bytes();
  }();
  return GgufFile::parse(kBytes, "sample.gguf");
}

TEST(Gguf, TypedAccessGivesTheValue) {
  const auto file = sample();
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->path(), "sample.gguf");
  EXPECT_EQ(file->string("general.architecture"), "llama");
  EXPECT_EQ(file->integer("u32"), 7);
  EXPECT_EQ(file->integer("i32"), -7);
  EXPECT_EQ(file->number("i32"), -7.0);
  EXPECT_EQ(file->number("u32"), 7.0);
  EXPECT_EQ(file->number("f32"), 0.5);
  EXPECT_TRUE(file->boolean("yes", false));
  const GgufArray* ids = file->array("ids");
  ASSERT_NE(ids, nullptr);
  EXPECT_EQ(ids->count, 3u);
  EXPECT_EQ(ids->integer(1), -2);
  EXPECT_EQ(ids->number(1), -2.0);
  EXPECT_EQ(file->array("scores")->number(1), -2.5);
  EXPECT_EQ(file->array("texts")->strings, (std::vector<std::string_view>{"a", "", "c\n"}));
  const GgufTensor& weights = file->tensor("weights");
  EXPECT_EQ(weights.dims, 2);
  EXPECT_EQ(weights.elements(), 6u);
  EXPECT_EQ(weights.row_bytes(), 12u);
  float last = 0;
  std::memcpy(&last, weights.data + 20, 4);
  EXPECT_EQ(last, 6.0f);
}

TEST(Gguf, FallbacksStandForAbsentKeysOnly) {
  const auto file = sample();
  EXPECT_EQ(file->integer("absent", 5), 5);
  EXPECT_EQ(file->number("absent", 0.25), 0.25);
  EXPECT_TRUE(file->boolean("absent", true));
  EXPECT_EQ(file->string("absent", "x"), "x");
  EXPECT_EQ(file->array("absent"), nullptr);
  EXPECT_EQ(file->find("absent"), nullptr);
  EXPECT_EQ(file->find_tensor("absent"), nullptr);
  EXPECT_THAT(error_of([&] { file->integer("f32", 5); }), HasSubstr("'f32' is of kind f32, not an integer"));
  EXPECT_THAT(error_of([&] { file->boolean("u32", true); }), HasSubstr("'u32' is of kind u32, not a bool"));
}

TEST(Gguf, WrongKindsAndAbsentNamesAreSentences) {
  const auto file = sample();
  EXPECT_EQ(error_of([&] { file->integer("llama.block_count"); }),
            "sample.gguf: the metadata lacks 'llama.block_count'");
  EXPECT_EQ(error_of([&] { file->tensor("output.weight"); }), "sample.gguf: there is no tensor 'output.weight'");
  EXPECT_THAT(error_of([&] { file->integer("u64"); }),
              HasSubstr("'u64' is 18446744073709551615, which is out of range"));
  EXPECT_THAT(error_of([&] { file->integer("yes"); }), HasSubstr("is of kind bool, not an integer"));
  EXPECT_THAT(error_of([&] { file->number("general.architecture"); }), HasSubstr("is of kind string, not a number"));
  EXPECT_THAT(error_of([&] { file->string("ids"); }), HasSubstr("is of kind array, not a string"));
  EXPECT_THAT(error_of([&] { file->array("u32"); }), HasSubstr("is of kind u32, not an array"));
  EXPECT_THAT(error_of([&] { file->array("texts")->integer(0); }), HasSubstr("of string, not of integers"));
  EXPECT_THAT(error_of([&] { file->array("scores")->integer(0); }), HasSubstr("of f32, not of integers"));
  EXPECT_THAT(error_of([&] { file->array("texts")->number(0); }), HasSubstr("of strings, not of numbers"));
}

TEST(Gguf, FilesThatAreNotThere) {
  EXPECT_THAT(error_of([] { GgufFile::open("/nowhere/model.gguf"); }), HasSubstr("/nowhere/model.gguf: "));
  EXPECT_THAT(error_of([] { GgufFile::open("/"); }), HasSubstr("is not a regular file"));
}

TEST(Gguf, RealVocabulariesOpenFast) {
  if (shared_dir().empty()) GTEST_SKIP() << "the vocabularies lie in ../shared, which is absent";
  for (const auto& entry : std::filesystem::directory_iterator(shared_dir() / "golden" / "tokenizer")) {
    if (entry.path().extension() != ".gguf") continue;
    SCOPED_TRACE(entry.path());
    GgufFile::open(entry.path());  // once, so that the disk does not count
    const double start = cpu_seconds();
    const auto file = GgufFile::open(entry.path());
    const double ms = 1000 * (cpu_seconds() - start);
    const GgufArray* tokens = file->array("tokenizer.ggml.tokens");
    ASSERT_NE(tokens, nullptr);
    EXPECT_GT(tokens->count, 30000u);
    std::printf("%-22s %7zu tokens, opened in %.2f ms\n", entry.path().filename().c_str(), tokens->strings.size(), ms);
    EXPECT_LT(ms, 500);  // generous for a debug build under sanitizers on a busy machine
  }
}

TEST(Gguf, GoldenModelsOpen) {
  if (shared_dir().empty()) GTEST_SKIP() << "the models lie in ../shared, which is absent";
  const auto file = GgufFile::open(shared_dir() / "golden" / "logits" / "llama-q4_1.gguf");
  EXPECT_EQ(file->string("general.architecture"), "llama");
  EXPECT_EQ(file->integer("llama.embedding_length"), 256);
  const GgufTensor& query = file->tensor("blk.0.attn_q.weight");
  EXPECT_EQ(query.type->name, "Q4_1");
  EXPECT_EQ(query.shape[0], 256u);
  EXPECT_EQ(query.bytes, query.elements() / 32 * 20);
}

}  // namespace
}  // namespace fieldprint
