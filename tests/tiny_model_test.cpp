// The model that other tests build on: its files are valid, repeatable and sane.
#include "support/tiny_model.h"

#include <gtest/gtest.h>

#include <set>

#include "support/paths.h"

namespace fieldprint {
namespace {

TEST(TinyModel, EveryTypeHasWeightsOfTheDeviationAskedFor) {
  for (const char* type : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"}) {
    SCOPED_TRACE(type);
    TinyModelShape shape;
    shape.type = type;
    shape.tied = false;
    const auto bytes = tiny_model_bytes(shape);
    const auto file = GgufFile::parse(bytes, "tiny");
    ASSERT_EQ(file->tensors().size(), 3u + 9u * 2u);
    for (const GgufTensor& tensor : file->tensors()) {
      if (tensor.dims == 1) continue;
      SCOPED_TRACE(tensor.name);
      EXPECT_EQ(tensor.type->name, type);
      std::vector<float> values(tensor.elements());
      tensor.type->decode(tensor.data, values.data(), static_cast<int64_t>(values.size()));
      double sum = 0, squares = 0;
      for (float value : values) sum += value, squares += static_cast<double>(value) * value;
      const auto n = static_cast<double>(values.size());
      const double expected =
          tensor.name == "token_embd.weight" ? 0.3 : 1 / std::sqrt(static_cast<double>(tensor.shape[0]));
      EXPECT_NEAR(std::sqrt(squares / n), expected, expected * 0.1);
      EXPECT_NEAR(sum / n, 0, expected * 0.1);
    }
  }
}

TEST(TinyModel, SameSeedSameBytes) {
  TinyModelShape shape;
  shape.type = "Q4_1";
  const auto bytes = tiny_model_bytes(shape);
  EXPECT_EQ(bytes, tiny_model_bytes(shape));
  shape.seed = 2;
  EXPECT_NE(bytes, tiny_model_bytes(shape));
  const TinyModelFile file(shape);
  EXPECT_EQ(GgufFile::open(file.path())->size(), bytes.size());
}

TEST(TinyModel, HasTheTensorsAndKeysOfAGoldenModel) {
  if (shared_dir().empty()) GTEST_SKIP() << "the golden models lie in ../shared, which is absent";
  const auto golden = GgufFile::open(shared_dir() / "golden" / "logits" / "llama-q8_0.gguf");
  TinyModelShape shape;
  shape.layers = 3;
  shape.width = 256, shape.heads = 8, shape.kv_heads = 2, shape.ffn_width = 512;
  shape.vocabulary = 320;
  shape.type = "Q8_0";
  const auto bytes = tiny_model_bytes(shape);
  const auto tiny = GgufFile::parse(bytes, "tiny");
  for (const auto& [key, value] : golden->metadata()) {
    if (key == "general.file_type") continue;  // a hint of the converter's for people
    ASSERT_NE(tiny->find(key), nullptr) << key;
    EXPECT_EQ(tiny->find(key)->kind, value.kind) << key;
  }
  ASSERT_EQ(tiny->tensors().size(), golden->tensors().size());
  for (const GgufTensor& tensor : golden->tensors()) {
    const GgufTensor& ours = tiny->tensor(tensor.name);
    EXPECT_EQ(ours.shape, tensor.shape) << tensor.name;
    EXPECT_EQ(ours.type, tensor.type) << tensor.name;
  }
  // Byte b is token b in both.
  const GgufArray &tokens = *tiny->array("tokenizer.ggml.tokens"), &expected = *golden->array("tokenizer.ggml.tokens");
  for (size_t byte = 0; byte < 256; ++byte) EXPECT_EQ(tokens.strings[byte], expected.strings[byte]);
}

TEST(TinyModel, MergesMakeTokensOfTheVocabulary) {
  const auto bytes = tiny_model_bytes();
  const auto file = GgufFile::parse(bytes, "tiny");
  const GgufArray& tokens = *file->array("tokenizer.ggml.tokens");
  const std::set<std::string_view> known(tokens.strings.begin(), tokens.strings.end());
  EXPECT_EQ(known.size(), 288u);  // no token stands twice
  for (std::string_view merge : file->array("tokenizer.ggml.merges")->strings) {
    const size_t gap = merge.find(' ');
    const std::string left(merge.substr(0, gap)), right(merge.substr(gap + 1));
    EXPECT_TRUE(known.contains(left) && known.contains(right) && known.contains(left + right)) << merge;
  }
}

}  // namespace
}  // namespace fieldprint
