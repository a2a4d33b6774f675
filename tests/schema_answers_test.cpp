// Answers under JSON schemas: of a model with random weights here; tests/json_schema_test.py gives many schemas,
// perhaps another model, and checks the answers with an independent validator.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fieldprint/error.h"
#include "fieldprint/grammar_mask.h"
#include "fieldprint/scheduler.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

using Json = nlohmann::ordered_json;

struct Answers {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Scheduler> scheduler;
  GrammarVocabularyPtr vocabulary;

  explicit Answers(const std::string& path) : model(Model::load(path, {.threads = 2})) {
    SchedulerOptions options;
    options.session.context = 4096;
    options.waiting = 4096;
    scheduler = std::make_unique<Scheduler>(model, options);
    vocabulary = std::make_shared<const GrammarVocabulary>(model->tokenizer());
  }

  // Marks that close something are likelier, so that the random model comes to an end; a trained one needs no help.
  SamplingOptions sampling(const std::string& schema, bool help, int max_tokens, uint64_t seed) const {
    SamplingOptions options;
    options.temperature = help ? 1.5f : 0.8f;
    options.max_tokens = max_tokens;
    options.seed = seed;
    options.mask = grammar_mask(Grammar::from_json_schema(schema), vocabulary);
    if (help) {
      for (const auto& [text, bias] :
           {std::pair{"\"", 6.0f}, {"}", 6.0f}, {"]", 6.0f}, {"<|im_end|>", 4.0f}, {",", 2.0f}}) {
        const TokenId token = model->tokenizer().find(text);
        if (token != kNoToken) options.logit_bias.emplace_back(token, bias);
      }
    }
    return options;
  }
};

TEST(SchemaAnswers, AreWholeAndInTheOrderOfTheSchema) {
  const TinyModelFile file;
  Answers answers(file.path());
  const std::string schema = R"({"type":"object","properties":{"b":{"type":"string","maxLength":9},"a":{"type":"array",
      "items":{"type":"integer","minimum":-3,"maximum":300},"minItems":1,"maxItems":3},"c":{"enum":["x","y"]}},
      "required":["b","a"],"additionalProperties":false})";
  std::vector<Stream> streams;
  for (uint64_t seed = 0; seed < 40; ++seed)
    streams.push_back(answers.scheduler->submit({{104, 105}, answers.sampling(schema, true, 200, seed), {}, {}}));
  int ended = 0;
  for (const Stream& stream : streams) {
    const Generation answer = stream.wait();
    if (answer.reason != FinishReason::kEndToken) continue;
    ++ended;
    const Json value = Json::parse(answer.text);
    EXPECT_EQ(value.begin().key(), "b");
    EXPECT_LE(value["a"].size(), 3u);
    for (const Json& item : value["a"]) EXPECT_TRUE(item.is_number_integer() && item >= -3 && item <= 300);
    EXPECT_TRUE(!value.contains("c") || value["c"] == "x" || value["c"] == "y");
  }
  EXPECT_GE(ended, 30);
}

// Lines {"schema", "prompt", "answers"} of $FIELDPRINT_SCHEMAS become lines {"texts", "cut"} or {"error"} of
// $FIELDPRINT_ANSWERS, by the model $FIELDPRINT_SCHEMA_MODEL or one of random weights.
TEST(SchemaAnswers, AreWritten) {
  const char* from = std::getenv("FIELDPRINT_SCHEMAS");
  const char* to = std::getenv("FIELDPRINT_ANSWERS");
  if (from == nullptr || to == nullptr) GTEST_SKIP() << "tests/json_schema_test.py gives the schemas";
  const char* path = std::getenv("FIELDPRINT_SCHEMA_MODEL");
  const bool random = path == nullptr;
  const TinyModelFile file;
  Answers answers(random ? file.path() : path);
  std::ifstream in(from);
  std::ofstream out(to);
  std::vector<std::pair<Json, std::vector<Stream>>> lines;
  for (std::string line; std::getline(in, line);) {
    const Json request = Json::parse(line);
    Json reply = {{"texts", Json::array()}, {"cut", 0}};
    std::vector<Stream> streams;
    try {
      for (int i = 0; i < request["answers"].get<int>(); ++i) {
        streams.push_back(
            answers.scheduler->submit({encode_prompt(answers.model->tokenizer(), request["prompt"].get<std::string>()),
                                       answers.sampling(request["schema"].dump(), random, random ? 160 : 100,
                                                        static_cast<uint64_t>(i) + lines.size()),
                                       {},
                                       {}}));
      }
    } catch (const Error& error) {
      reply["error"] = error.what();
    }
    lines.emplace_back(std::move(reply), std::move(streams));
  }
  for (auto& [reply, streams] : lines) {
    for (const Stream& stream : streams) {
      const Generation answer = stream.wait();
      if (answer.reason == FinishReason::kEndToken) reply["texts"].push_back(answer.text);
      else reply["cut"] = reply["cut"].get<int>() + 1;
      EXPECT_NE(answer.reason, FinishReason::kNoneAllowed);
    }
    out << reply.dump() << "\n";
  }
}

}  // namespace
}  // namespace fieldprint
