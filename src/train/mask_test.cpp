// What is learned of conversations, template by template, against fixtures that were read through; and what is refused.
#include "train/mask.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "support/files.h"
#include "support/paths.h"
#include "support/tiny_vocabulary.h"

namespace fieldprint {
namespace {

using nlohmann::json;

// A vocabulary of bytes in which whatever looks like a control token in the template is one, and `eos` ends answers.
std::unique_ptr<Tokenizer> tokenizer_of(const std::string& source, const std::string& eos,
                                        const std::string& eot = "") {
  TinyVocabulary vocabulary = tiny_byte_level("llama-bpe");
  std::set<std::string> names = {eos};
  if (!eot.empty()) names.insert(eot);
  static const std::regex pattern(
      "<\\|[A-Za-z_/]+\\|?>|<\uFF5C[^\uFF5C<>]*\uFF5C>|<[a-z_]+\\|>|</?s>|<(?:start|end)_of_turn>|\\[/"
      "?[A-Z_]+\\]|\\[e~\\[|\\]~[a-z!]+\\[?\\]?");
  for (std::sregex_iterator it(source.begin(), source.end(), pattern), end; it != end; ++it) names.insert(it->str());
  for (const std::string& name : names) {
    const auto known = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), name);
    auto id = static_cast<int32_t>(known - vocabulary.tokens.begin());
    if (known == vocabulary.tokens.end()) id = vocabulary.add(name, kTinyControl);
    if (name == eos) vocabulary.ids[1].second = id;
    if (name == eot) vocabulary.ids.emplace_back("eot_token_id", id);
  }
  return vocabulary.load();
}

// The runs of tokens that are learned, as text.
std::vector<std::string> learned(const Example& example, const Tokenizer& tokenizer) {
  std::vector<std::string> runs;
  for (size_t i = 0; i < example.tokens.size(); ++i) {
    if (example.weights[i] == 0) continue;
    if (i == 0 || example.weights[i - 1] == 0) runs.emplace_back();
    runs.back() += tokenizer.piece(example.tokens[i]);
  }
  return runs;
}

TEST(TrainMasks, OfEveryGoldenTemplateAreThoseCheckedByHand) {
  const auto folder = shared_dir() / "golden" / "templates";
  if (shared_dir().empty() || !std::filesystem::exists(folder))
    GTEST_SKIP() << "../shared/golden/templates is not here";
  const json fixtures = json::parse(slurp(source_dir() / "tests" / "golden" / "train_masks.json"));
  std::set<std::string> seen;
  for (const json& fixture : fixtures["templates"]) {
    const std::string name = fixture["template"];
    seen.insert(name);
    const ChatTemplate chat_template(slurp(folder / name));
    const auto tokenizer = tokenizer_of(chat_template.source(), fixture["eos"], fixture.value("eot", ""));
    for (const auto& [label, row] : fixtures["rows"].items()) {
      json got;
      try {
        got = json::array();
        for (const Example& example : mask_row(read_row(row.dump()), *tokenizer, &chat_template))
          got.push_back(learned(example, *tokenizer));
      } catch (const RowError& error) {
        got = error.detail;
      }
      EXPECT_EQ(got, fixture[label]) << name << " " << label;
    }
  }
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    EXPECT_TRUE(file.path().extension() != ".jinja" || seen.contains(file.path().filename())) << file.path();
  }
}

// Messages of ChatML, with thoughts of the last answer alone.
constexpr const char* kChatMl =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content and loop.last %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

using Runs = std::vector<std::vector<std::string>>;  // of each example

class Masked : public testing::Test {
 protected:
  std::vector<Example> examples(const std::string& row, const std::string& source = kChatMl,
                                const RowOptions& options = {}) {
    const ChatTemplate chat_template(source);
    return mask_row(read_row(row, options), *tokenizer_, &chat_template, {}, &notes_);
  }
  Runs runs(const std::string& row, const std::string& source = kChatMl, const RowOptions& options = {}) {
    Runs all;
    for (const Example& example : examples(row, source, options)) all.push_back(learned(example, *tokenizer_));
    return all;
  }
  RowFault fault(const std::string& row, const std::string& source = kChatMl) {
    try {
      examples(row, source);
    } catch (const RowError& error) {
      return error.fault;
    }
    ADD_FAILURE() << row;
    return RowFault::kJson;
  }

  std::unique_ptr<Tokenizer> tokenizer_ = tokenizer_of(kChatMl, "<|im_end|>");
  MaskNotes notes_;
};

TEST_F(Masked, EveryTurnIsLearnedAndNothingElse) {
  const std::string row = R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"a"},)"
                          R"({"role":"assistant","content":"b"},{"role":"user","content":"c"},)"
                          R"({"role":"assistant","content":"d"}]})";
  EXPECT_EQ(runs(row), (Runs{{"b<|im_end|>", "d<|im_end|>"}}));
  EXPECT_EQ(notes_.turns, 2);
  const Example example = examples(row)[0];
  EXPECT_EQ(tokenizer_->decode(example.tokens),
            "<s><|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
            "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>")
      << "what comes behind the last answer teaches nothing";
}

TEST_F(Masked, ATurnOfWeight0IsRead) {
  EXPECT_EQ(runs(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0},)"
                 R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}]})"),
            (Runs{{"d<|im_end|>"}}));
}

TEST_F(Masked, AThoughtIsLearnedWhereItWasThoughtAndGoneLater) {
  const auto all = examples(R"({"messages":[{"role":"user","content":"a"},)"
                            R"({"role":"assistant","content":"b","reasoning_content":"t"},)"
                            R"({"role":"user","content":"c"},{"role":"assistant","content":"d"}]})");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(learned(all[0], *tokenizer_), std::vector<std::string>{"<think>t</think>b<|im_end|>"});
  EXPECT_EQ(learned(all[1], *tokenizer_), std::vector<std::string>{"d<|im_end|>"});
  EXPECT_EQ(tokenizer_->decode(all[1].tokens).find("think"), std::string::npos);
}

TEST_F(Masked, ThoughtsThatTheTemplateHasNoPlaceForAreCounted) {
  EXPECT_EQ(runs(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","thinking":"t"}]})",
                 "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}"
                 "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"),
            (Runs{{"b<|im_end|>"}}));
  EXPECT_EQ(notes_.thoughts_dropped, 1);
}

TEST_F(Masked, ATokenAcrossTheBorderIsCutThere) {
  // "\n\n" is one token, yet the model is asked behind the first newline.
  const auto all = examples(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"\nb"}]})");
  EXPECT_EQ(learned(all[0], *tokenizer_), std::vector<std::string>{"\nb<|im_end|>"});
}

TEST_F(Masked, WhatAMessageSaysIsNoControlToken) {
  const auto all = examples(R"({"messages":[{"role":"user","content":"x<|im_end|>"},)"
                            R"({"role":"assistant","content":"<|im_end|>y"}]})");
  EXPECT_EQ(learned(all[0], *tokenizer_), std::vector<std::string>{"<|im_end|>y<|im_end|>"});
  EXPECT_EQ(std::count(all[0].tokens.begin(), all[0].tokens.end(), tokenizer_->eos()), 2);
}

TEST_F(Masked, AnswersThatTheTemplateDoesNotEndGetEos) {
  EXPECT_EQ(runs(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})",
                 "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
                 "{% if add_generation_prompt %}assistant: {% endif %}"),
            (Runs{{"b\n<|im_end|>"}}));
  EXPECT_EQ(notes_.ended_by_eos, 1);
}

TEST_F(Masked, PairsAreAQuestionAndAnAnswerOrStayRaw) {
  const std::string pair = R"({"prompt":"a","completion":"b"})";
  EXPECT_EQ(runs(pair), (Runs{{"b<|im_end|>"}}));
  EXPECT_EQ(runs(pair, kChatMl, {.raw = true}), (Runs{{"b<|im_end|>"}}));
  EXPECT_EQ(tokenizer_->decode(examples(pair, kChatMl, {.raw = true})[0].tokens), "<s>ab<|im_end|>");
  EXPECT_EQ(runs(R"({"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
                 R"({"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}]})"),
            (Runs{{"d<|im_end|>"}}));
}

TEST_F(Masked, OfATextAllIsLearnedAndItsEnd) { EXPECT_EQ(runs(R"({"text":"xyz"})"), (Runs{{"xyz<|im_end|>"}})); }

TEST_F(Masked, ShareGpt) {
  EXPECT_EQ(runs(R"({"system":"S","conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]})"),
            (Runs{{"b<|im_end|>"}}));
}

TEST_F(Masked, FaultsHaveTheirNames) {
  EXPECT_EQ(fault("{"), RowFault::kJson);
  EXPECT_EQ(fault("[1]"), RowFault::kJson);
  EXPECT_EQ(fault("{\"text\":\"\xff\"}"), RowFault::kUtf8);
  EXPECT_EQ(fault(R"({"question":"a"})"), RowFault::kShape);
  EXPECT_EQ(fault(R"({"messages":"a"})"), RowFault::kShape);
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":3}]})"), RowFault::kShape);
  for (const char* part : {"null", "{}", R"({"type":null})", R"({"type":3,"text":"a"})", R"({"type":"text","text":3})"})
    EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":[)" + std::string(part) + "]}]}"), RowFault::kShape)
        << part;
  EXPECT_EQ(fault(R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":")" +
                  std::string(5000, '[') + R"("}}]}]})"),
            RowFault::kShape);
  EXPECT_EQ(fault(R"({"messages":[{"role":"narrator","content":"a"}]})"), RowFault::kRole);
  EXPECT_EQ(fault(R"({"messages":[]})"), RowFault::kEmpty);
  EXPECT_EQ(fault(R"({"text":""})"), RowFault::kEmpty);
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":"a"}]})"), RowFault::kMasked);
  const std::string good = R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})";
  EXPECT_EQ(fault(good, "{{ raise_exception('no') }}"), RowFault::kTemplate);
  EXPECT_EQ(fault(good, "{% if add_generation_prompt %}asked{% else %}kept otherwise{% endif %}"), RowFault::kTemplate)
      << "where the answer begins cannot be told";
  EXPECT_EQ(fault(good, "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"), RowFault::kTemplate)
      << "the answer is left out";
}

}  // namespace
}  // namespace fieldprint
