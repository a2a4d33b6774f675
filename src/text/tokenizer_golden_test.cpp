// Real vocabularies against the ids that llama.cpp and Hugging Face tokenizers give. Not every machine has the data.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"
#include "support/paths.h"
#include "text/load_tokenizer.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

// The default model's file, which is SmolLM2's vocabulary too.
fs::path default_model() {
  const char* data = std::getenv("XDG_DATA_HOME");
  const char* home = std::getenv("HOME");
  const fs::path root =
      data != nullptr && *data != '\0' ? fs::path(data) : fs::path(home != nullptr ? home : "") / ".local/share";
  return root / "fieldprint/models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

struct Golden {
  const char* name;
  int lines;
  bool exact = true;  // detokenising gives the text back, byte for byte
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

class TokenizerGolden : public testing::TestWithParam<Golden> {};

TEST_P(TokenizerGolden, GivesTheSameIdsAndTheTextBack) {
  if (shared_dir().empty()) GTEST_SKIP() << "no ../shared here: golden token ids not checked";
  const std::string name = GetParam().name;
  const fs::path folder = shared_dir() / "golden/tokenizer";
  const fs::path model = name == "smollm2" ? default_model() : folder / (name + "-vocab.gguf");
  if (!fs::exists(model))
    GTEST_SKIP() << model << " is not here: run 'fieldprint pull smollm2-135m' to check its token ids";

  const auto file = GgufFile::open(model.string());
  const auto tokenizer = load_tokenizer(*file);
  std::ifstream lines(folder / (name + ".jsonl"));
  int count = 0, wrong = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto golden = nlohmann::json::parse(line);
    const auto text = golden["text"].get<std::string>();
    const auto ids = tokenizer->encode(text, {.add_special = true, .parse_special = true});
    const auto plain = tokenizer->encode(text, {.add_special = false, .parse_special = false});
    const bool same =
        ids == golden["ids"].get<std::vector<TokenId>>() && plain == golden["plain"].get<std::vector<TokenId>>();
    const std::string back = tokenizer->decode(plain);
    if (same && (!GetParam().exact || back == text)) continue;
    if (++wrong <= 3)
      ADD_FAILURE() << name << " line " << count + 1 << (same ? " decodes to " + back : " has other ids: " + text);
  }
  EXPECT_EQ(count, GetParam().lines);
  EXPECT_EQ(wrong, 0);
}

// SentencePiece's kin turn a U+2581 of the text into a space; falcon has no token for the byte 0x0B.
INSTANTIATE_TEST_SUITE_P(Vocabularies, TokenizerGolden,
                         testing::Values(Golden{"gpt-2", 1000}, Golden{"lfm2", 1000}, Golden{"llama-bpe", 1000},
                                         Golden{"llama-spm", 1000, false}, Golden{"qwen2", 1000},
                                         Golden{"smollm2", 1000}, Golden{"phi-3", 500, false}, Golden{"qwen35", 500},
                                         Golden{"gemma-4", 500, false}, Golden{"deepseek-coder", 500},
                                         Golden{"starcoder", 500}, Golden{"falcon", 500, false}));

}  // namespace
}  // namespace fieldprint
