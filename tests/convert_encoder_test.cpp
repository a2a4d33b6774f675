// Folders of sentence-transformers become GGUF files: their WordPiece vocabulary, how vectors are pooled, names with a
// prefix, tensors of other tasks left out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fieldprint/embed.h"
#include "fieldprint/quantize.h"
#include "fieldprint/synth.h"
#include "make/json_file.h"
#include "models/architecture.h"
#include "support/files.h"
#include "support/hugging_face_folder.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::vector<std::string> kVocabulary = {"[PAD]", "[UNK]", "[CLS]",  "[SEP]", "[MASK]",
                                              "hello", "un",    "##want", "##ed",  "!"};

class ConvertEncoder : public testing::Test {
 protected:
  void SetUp() override {
    SynthOptions options;
    options.preset = "tiny-bert";
    options.mix = "F32";
    synth(path("tiny.gguf"), options);
    const auto file = GgufFile::open(path("tiny.gguf"));
    fs::create_directories(folder_ / "1_Pooling");
    for (const ArchitectureRow* row : architectures()) {
      for (const Preset& preset : row->presets) {
        if (preset.name != "tiny-bert") continue;
        write_json(folder_ / "config.json", JsonFile::parse(preset.config, "config").root());
        HfTensors tensors;
        for (const PlannedTensor& planned : tensors_of(row->tensors, row->read(Metadata(*file)))) {
          if (!planned.wanted) continue;
          const GgufTensor& tensor = file->tensor(planned.here);
          HfTensor out{"F32", {}, {reinterpret_cast<const char*>(tensor.data), tensor.bytes}};
          for (int i = tensor.dims - 1; i >= 0; --i) out.shape.push_back(tensor.shape[static_cast<size_t>(i)]);
          tensors["bert." + planned.there] = out;
        }
        tensors["bert.pooler.dense.bias"] = {"F32", {4}, std::string(16, '\0')};
        write_safetensors(folder_ / "model.safetensors", tensors);
      }
    }
    write_json(folder_ / "tokenizer_config.json", {{"do_lower_case", true}, {"cls_token", "[CLS]"}});
    std::string lines;
    for (const std::string& token : kVocabulary) lines += token + "\n";
    spill(folder_ / "vocab.txt", lines);
  }

  std::string path(const char* name) const { return (home_.path() / name).string(); }
  void modules(const json& pooling, const std::string& type = "sentence_transformers.models.Pooling") {
    spill(folder_ / "modules.json", json::array({{{"type", "sentence_transformers.models.Transformer"}, {"path", ""}},
                                                 {{"type", type}, {"path", "1_Pooling"}}})
                                        .dump());
    write_json(folder_ / "1_Pooling/config.json", pooling);
  }
  std::shared_ptr<GgufFile const> convert() {
    QuantizeOptions options;
    options.mix = "F32";
    quantize(folder_.string(), path("converted.gguf"), options);
    return GgufFile::open(path("converted.gguf"));
  }

  TempHome home_;
  const fs::path folder_ = home_.path() / "folder";
};

TEST_F(ConvertEncoder, WeightsAndVocabularyAreThoseOfTheFolder) {
  const auto file = convert();
  EXPECT_EQ(file->string("tokenizer.ggml.model"), "bert");
  const auto& tokens = file->array("tokenizer.ggml.tokens")->strings;
  ASSERT_EQ(tokens.size(), 320u);
  EXPECT_EQ(tokens[2], "[CLS]");
  EXPECT_EQ(tokens[5], "\u2581hello");
  EXPECT_EQ(tokens[7], "want");
  EXPECT_EQ(file->integer("tokenizer.ggml.cls_token_id"), 2);
  EXPECT_EQ(file->integer("tokenizer.ggml.seperator_token_id"), 3);
  EXPECT_EQ(file->integer("tokenizer.ggml.token_type_count"), 2);
  Embedder converted(Model::load(path("converted.gguf"))), original(Model::load(path("tiny.gguf")));
  EXPECT_THAT(converted.tokens("Hello UNwanted!"), testing::ElementsAre(2, 5, 6, 7, 8, 9, 3));
  const std::vector<TokenId> ids[] = {{2, 5, 6, 7, 8, 9, 3}};
  EXPECT_EQ(converted.embed_tokens(ids), original.embed_tokens(ids));
  EXPECT_EQ(converted.embed("Hello UNwanted!"), original.embed_tokens(ids));
}

TEST_F(ConvertEncoder, PoolingIsAsItsModuleSays) {
  EXPECT_EQ(convert()->integer("bert.pooling_type"), 1);
  modules({{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}});
  EXPECT_EQ(convert()->integer("bert.pooling_type"), 2);
  EXPECT_EQ(Embedder(Model::load(path("converted.gguf"))).pooling(), Pooling::kFirst);
  modules({{"pooling_mode_max_tokens", true}});
  EXPECT_THAT(refusal([&] { convert(); }), testing::HasSubstr("pools otherwise"));
  modules(json::object(), "sentence_transformers.models.Dense");
  EXPECT_THAT(refusal([&] { convert(); }), testing::HasSubstr("Dense"));
}

TEST_F(ConvertEncoder, TokenizerJsonSaysTheSameAsVocabTxt) {
  const auto by_lines = convert();
  json vocabulary = json::object();
  for (size_t i = 0; i < kVocabulary.size(); ++i) vocabulary[kVocabulary[i]] = i;
  json tokenizer = {{"added_tokens", json::array({{{"id", 2}, {"content", "[CLS]"}, {"special", true}}})},
                    {"normalizer",
                     {{"type", "BertNormalizer"},
                      {"clean_text", true},
                      {"handle_chinese_chars", true},
                      {"strip_accents", nullptr},
                      {"lowercase", true}}},
                    {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                    {"model",
                     {{"type", "WordPiece"},
                      {"unk_token", "[UNK]"},
                      {"continuing_subword_prefix", "##"},
                      {"max_input_chars_per_word", 100},
                      {"vocab", vocabulary}}}};
  write_json(folder_ / "tokenizer.json", tokenizer);
  const auto by_json = convert();
  EXPECT_EQ(by_lines->array("tokenizer.ggml.tokens")->strings.size(), 320u);
  for (size_t i = 0; i < 320; ++i) {
    EXPECT_EQ(by_json->array("tokenizer.ggml.tokens")->strings[i],
              by_lines->array("tokenizer.ggml.tokens")->strings[i]);
    EXPECT_EQ(by_json->array("tokenizer.ggml.token_type")->integer(i),
              by_lines->array("tokenizer.ggml.token_type")->integer(i));
  }
  tokenizer["normalizer"]["lowercase"] = false;
  write_json(folder_ / "tokenizer.json", tokenizer);
  EXPECT_FALSE(convert()->boolean("tokenizer.ggml.normalizer.lowercase", true));
  tokenizer["normalizer"]["clean_text"] = false;
  write_json(folder_ / "tokenizer.json", tokenizer);
  EXPECT_THAT(refusal([&] { convert(); }), testing::HasSubstr("normalizer/clean_text"));
}

TEST_F(ConvertEncoder, OtherActivationsAndPositionsAreRefused) {
  json config = JsonFile((folder_ / "config.json").string()).root();
  config["hidden_act"] = "gelu_new";
  write_json(folder_ / "config.json", config);
  EXPECT_THAT(refusal([&] { convert(); }), testing::HasSubstr("gelu_new"));
  config["hidden_act"] = "gelu";
  config["position_embedding_type"] = "relative_key";
  write_json(folder_ / "config.json", config);
  EXPECT_THAT(refusal([&] { convert(); }), testing::HasSubstr("relative_key"));
}

}  // namespace
}  // namespace fieldprint
