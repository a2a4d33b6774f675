#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "fieldprint/chat_template.h"
#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"

namespace fieldprint {
namespace {

// A token a letter; "<s>" is token 1 where special text is parsed.
class Letters : public Tokenizer {
 public:
  explicit Letters(bool adds) : adds_(adds) {}

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override {
    std::vector<TokenId> ids;
    if (options.add_special && adds_) ids.push_back(1);
    for (size_t i = 0; i < text.size(); ++i) {
      if (options.parse_special && text.substr(i, 3) == "<s>") {
        ids.push_back(1);
        i += 2;
      } else {
        ids.push_back(text[i]);
      }
    }
    if (options.add_special) ids.push_back(2);
    return ids;
  }
  std::string_view piece(TokenId, bool) const override { return "<s>"; }
  std::string decode(std::span<const TokenId>, bool) const override { return {}; }
  int size() const override { return 128; }
  TokenId bos() const override { return 1; }
  TokenId eos() const override { return 2; }
  bool ends_generation(TokenId token) const override { return token == 2; }
  bool adds_bos() const override { return adds_; }
  TokenId find(std::string_view) const override { return kNoToken; }
  bool space_is_prefix_after(TokenId) const override { return false; }

 private:
  bool adds_;
};

TEST(EncodePrompt, PutsOneBosInFrontAndNoEosBehind) {
  EXPECT_EQ(encode_prompt(Letters(true), "ab"), (std::vector<TokenId>{1, 'a', 'b'}));
  EXPECT_EQ(encode_prompt(Letters(true), ""), (std::vector<TokenId>{1}));
}

TEST(EncodePrompt, AddsNoSecondBosToATemplateThatBringsItsOwn) {
  EXPECT_EQ(encode_prompt(Letters(true), "<s>ab"), (std::vector<TokenId>{1, 'a', 'b'}));
}

TEST(EncodePrompt, AddsNoneWhereTheVocabularyAsksForNone) {
  EXPECT_EQ(encode_prompt(Letters(false), "ab"), (std::vector<TokenId>{'a', 'b'}));
  EXPECT_EQ(encode_prompt(Letters(false), "<s>ab"), (std::vector<TokenId>{1, 'a', 'b'}));
}

TEST(ReadChatTemplate, FindsTheTemplateAndTheTextsOfBosAndEos) {
  const auto path =
      std::filesystem::temp_directory_path() / ("fieldprint_prompt_test_" + std::to_string(::getpid()) + ".gguf");
  GgufWriter writer;
  writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"<pad>", "<s>", "</s>"});
  writer.set("tokenizer.ggml.bos_token_id", uint32_t{1});
  writer.set("tokenizer.ggml.eos_token_id", uint32_t{7});  // out of range: no text
  writer.set("tokenizer.chat_template", "{{ bos_token }}");
  writer.write(path);
  const TemplateSource found = read_chat_template(path);
  std::filesystem::remove(path);
  EXPECT_EQ(found.source, "{{ bos_token }}");
  EXPECT_EQ(found.bos_token, "<s>");
  EXPECT_EQ(found.eos_token, "");
}

}  // namespace
}  // namespace fieldprint
