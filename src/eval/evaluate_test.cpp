#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "fieldprint/error.h"
#include "fieldprint/eval.h"
#include "support/temp_home.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::shared_ptr<const Model> tiny(int threads = 1, unsigned seed = 1) {
  TinyModelShape shape{.context = 512};
  shape.seed = seed;
  const TinyModelFile file(shape);
  return Model::load(file.path(), {.threads = threads});
}

// Questions of our own for two tasks; eight of them each.
class Evaluate : public testing::Test {
 protected:
  Evaluate() {
    std::string arc, winogrande;
    for (int i = 0; i < 8; ++i) {
      const std::string n = std::to_string(i);
      arc += R"({"id": ")" + n + R"(", "question": "What comes after )" + n +
             R"(?", "choices": {"text": ["nothing at all", "the next", "and \"more\" é"], "label": ["A", "B", "C"]},)" +
             R"( "answerKey": ")" + "ABC"[i % 3] + "\"}\n";
      winogrande += R"({"sentence": "The cup is not in the box since _ is too big, number )" + n +
                    R"(.", "option1": "the cup", "option2": "the box", "answer": "1"})" + "\n";
    }
    write_file(home_.path() / "data" / "arc_easy.jsonl", arc);
    write_file(home_.path() / "data" / "arc_easy_train.jsonl", arc);
    write_file(home_.path() / "data" / "winogrande.jsonl", winogrande);
  }

  EvalOptions options(bool out = false) const {
    EvalOptions options;
    options.tasks = {"arc_easy", "winogrande"};
    options.data = (home_.path() / "data").string();
    if (out) options.out = (home_.path() / "out").string();
    options.model_name = "tiny/a";
    return options;
  }

  // All that a score is made of, as text.
  static std::string figures(const EvalResult& result) {
    std::string text;
    for (const EvalTaskResult& task : result.tasks) {
      for (const EvalItem& item : task.items) {
        text += task.name + " " + std::to_string(item.document);
        for (const double value : item.log_likelihoods) text += " " + Json(value).dump();
        for (const auto& [name, value] : item.metrics) text += " " + name + "=" + std::to_string(value);
        text += "\n";
      }
    }
    return text + eval_table(result);
  }

  std::string log() const { return read_file(home_.path() / "out" / "items.jsonl"); }
  using Json = nlohmann::ordered_json;
  TempHome home_;
};

TEST_F(Evaluate, GivesTheSameFiguresForAnyThreadsAndChunk) {
  const std::string expected = figures(evaluate(tiny(1), options()));
  EXPECT_THAT(expected, HasSubstr("|arc_easy  |      1|none  |     0|acc     |↑  |"));
  for (const auto& [threads, chunk] : {std::pair(2, 0), std::pair(3, 5), std::pair(2, 33)}) {
    EvalOptions other = options();
    other.session.chunk = chunk;
    EXPECT_EQ(figures(evaluate(tiny(threads), other)), expected);
  }
}

TEST_F(Evaluate, ResumesFromALogThatWasCutAnywhere) {
  const EvalResult whole = evaluate(tiny(), options(true));
  const std::string expected = figures(whole), all = log();
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 16);
  EXPECT_EQ(whole.tasks[0].resumed, 0);
  for (const size_t kept :
       {all.size(), all.size() - 1, all.size() / 2, all.find('\n') + 1, all.find('\n'), size_t{1}}) {
    write_file(home_.path() / "out" / "items.jsonl", all.substr(0, kept));
    const int lines = static_cast<int>(std::count(all.begin(), all.begin() + static_cast<ptrdiff_t>(kept), '\n'));
    const EvalResult again = evaluate(tiny(), options(true));
    EXPECT_EQ(figures(again), expected);
    // A line without its end is whole where only that end is missing.
    EXPECT_GE(again.tasks[0].resumed + again.tasks[1].resumed, lines);
    EXPECT_LE(again.tasks[0].resumed + again.tasks[1].resumed, lines + 1);
    const EvalResult third = evaluate(tiny(), options(true));
    EXPECT_EQ(third.tasks[0].resumed + third.tasks[1].resumed, 16);
    EXPECT_EQ(third.tokens_computed(), 0u);
    EXPECT_EQ(figures(third), expected);
  }
}

// Whatever stands in the log, figures are those of the model.
TEST_F(Evaluate, PassesOverLinesThatDoNotFitWhatIsAsked) {
  for (const EvalStyle style : {EvalStyle::kLmEval, EvalStyle::kLlamaCpp}) {
    fs::remove_all(home_.path() / "out");
    EvalOptions asked = options(true);
    asked.style = style;
    const EvalResult whole = evaluate(tiny(), asked);
    EXPECT_EQ(whole.passed_over, 0);
    const std::string expected = figures(whole), all = log();
    const std::vector<std::function<void(Json&)>> faults = {
        [](Json& line) { line["log_likelihoods"] = line["greedy"] = line["tokens"] = Json::array(); },
        [](Json& line) {
          line["log_likelihoods"] = Json(std::vector<double>(10, -1.0));
          line["greedy"] = Json(std::vector<bool>(10, true));
          line["tokens"] = Json(std::vector<int>(10, 1));
        },
        [](Json& line) {
          for (const char* list : {"log_likelihoods", "greedy", "tokens"}) line[list] = Json::array({line[list][0]});
        },
        [](Json& line) { line["tokens"][1] = 400; },
        [](Json& line) { line["log_likelihoods"][0] = nullptr; },
        [](Json& line) {
          line["answer"] = {{"text", "A"},       {"raw", "A"},         {"cut", false},
                            {"unclosed", false}, {"prompt_tokens", 1}, {"tokens", 1}};
        },
    };
    for (const auto& fault : faults) {
      std::string text;
      for (size_t begin = 0; begin < all.size(); begin = all.find('\n', begin) + 1) {
        Json line = parse_ordered_json(all.substr(begin, all.find('\n', begin) - begin), "log");
        if (line["doc_id"] == 2) fault(line);  // of both tasks
        text += line.dump() + "\n";
      }
      write_file(home_.path() / "out" / "items.jsonl", text);
      const EvalResult again = evaluate(tiny(), asked);
      EXPECT_EQ(figures(again), expected);
      EXPECT_EQ(again.passed_over, 2);
      EXPECT_EQ(again.tasks[0].resumed + again.tasks[1].resumed, 14);
    }
  }
}

TEST_F(Evaluate, CountsRequestsThatLostTheirBeginning) {
  EvalOptions asked = options(true);
  asked.tasks = {"arc_easy"};
  EXPECT_EQ(evaluate(tiny(), asked).tasks[0].shortened, 0);
  asked.session.context = 20;
  asked.limit = 2;
  const EvalResult result = evaluate(tiny(), asked);
  EXPECT_EQ(result.tasks[0].shortened, 6);  // three choices of two questions
  EXPECT_EQ(evaluate(tiny(), asked).tasks[0].shortened, 6) << "of a log";
  const Json json = parse_ordered_json(eval_json(result, asked), "json");
  EXPECT_EQ(json["fieldprint"]["tasks"]["arc_easy"]["shortened_requests"], 6);
}

TEST_F(Evaluate, ResultsThatAreNotFiniteAreNamed) {
  write_file(home_.path() / "data" / "perplexity.jsonl", "{\"text\": \"" + std::string(5000, 'x') + "\"}\n");  // a word
  EvalOptions asked = options();
  asked.tasks = {"perplexity"};
  const EvalResult result = evaluate(tiny(), asked);
  const Json json = parse_ordered_json(eval_json(result, asked), "json");
  EXPECT_EQ(json["results"]["perplexity"]["word_perplexity,none"], "inf");
  EXPECT_TRUE(json["results"]["perplexity"]["byte_perplexity,none"].is_number());
}

TEST_F(Evaluate, TheLogKeepsModelsAndSettingsApart) {
  evaluate(tiny(), options(true));
  const auto resumed = [&](const std::shared_ptr<const Model>& model, const std::function<void(EvalOptions&)>& change) {
    EvalOptions other = options(true);
    change(other);
    return evaluate(model, other).tasks[0].resumed;
  };
  EXPECT_EQ(resumed(tiny(2), [](EvalOptions&) {}), 8);  // threads change nothing
  EXPECT_EQ(resumed(tiny(), [](EvalOptions& o) { o.limit = 3; }), 3);
  EXPECT_EQ(resumed(tiny(), [](EvalOptions& o) { o.resume = false; }), 0);
  EXPECT_EQ(resumed(tiny(1, 2), [](EvalOptions&) {}), 0);
  EXPECT_EQ(resumed(tiny(), [](EvalOptions& o) { o.style = EvalStyle::kMlx; }), 0);
  EXPECT_EQ(resumed(tiny(),
                    [](EvalOptions& o) {
                      o.shots = 1;
                      o.tasks = {"arc_easy"};
                    }),
            0);
  EXPECT_EQ(resumed(tiny(), [](EvalOptions& o) { o.session.kv_type = "f32"; }), 0);
}

TEST_F(Evaluate, AStopKeepsWhatIsDone) {
  EvalOptions stopped = options(true);
  EXPECT_THROW(evaluate(tiny(), stopped, [](const EvalProgress& now) { return now.done < 5; }), Error);
  const std::string kept = log();
  EXPECT_GE(std::count(kept.begin(), kept.end(), '\n'), 5);
  const EvalResult again = evaluate(tiny(), stopped);
  EXPECT_GE(again.tasks[0].resumed, 5);
  EXPECT_EQ(figures(again), figures(evaluate(tiny(), options())));
}

TEST_F(Evaluate, StylesAskInTheirOwnWay) {
  EvalOptions mlx = options();
  mlx.style = EvalStyle::kMlx;
  const EvalResult chat = evaluate(tiny(), mlx);
  EXPECT_TRUE(chat.chat);
  EXPECT_FALSE(chat.multiturn);
  mlx.chat = false;
  EXPECT_EQ(figures(evaluate(tiny(), mlx)), figures(evaluate(tiny(), options())));  // no space to move here
  EvalOptions own = options();
  own.chat = true;
  own.system = "Be brief.";
  own.shots = 2;
  own.tasks = {"arc_easy"};
  const EvalResult turns = evaluate(tiny(), own);
  EXPECT_TRUE(turns.multiturn);
  own.multiturn = false;
  EXPECT_NE(figures(evaluate(tiny(), own)), figures(turns));
  EvalOptions llama = options();
  llama.style = EvalStyle::kLlamaCpp;
  EXPECT_THAT(eval_table(evaluate(tiny(), llama)), HasSubstr("|llama.cpp|     0|acc_per_token|"));
  llama.shots = 1;
  EXPECT_THROW(evaluate(tiny(), llama), Error);
}

TEST_F(Evaluate, WritesWhatTheHarnessWrites) {
  EvalOptions written = options(true);
  written.limit = 2;
  const EvalResult result = evaluate(tiny(), written);
  ASSERT_EQ(result.files.size(), 3u);
  for (const std::string& file : result.files) EXPECT_EQ(fs::path(file).parent_path().filename(), "tiny__a");
  const Json results = parse_ordered_json(read_file(result.files[2]), "results");
  for (const char* key : {"results",
                          "group_subtasks",
                          "configs",
                          "versions",
                          "n-shot",
                          "higher_is_better",
                          "n-samples",
                          "config",
                          "git_hash",
                          "date",
                          "task_hashes",
                          "model_source",
                          "model_name",
                          "model_name_sanitized",
                          "system_instruction",
                          "system_instruction_sha",
                          "fewshot_as_multiturn",
                          "chat_template",
                          "chat_template_sha",
                          "total_evaluation_time_seconds"})
    EXPECT_TRUE(results.contains(key)) << key;
  EXPECT_EQ(results["n-samples"]["arc_easy"], (Json{{"original", 8}, {"effective", 2}}));
  EXPECT_TRUE(results["results"]["arc_easy"].contains("acc_norm_stderr,none"));
  EXPECT_EQ(results["fieldprint"]["fingerprint"], result.fingerprint);
  const std::string samples = read_file(result.files[0]);
  EXPECT_EQ(std::count(samples.begin(), samples.end(), '\n'), 2);
  const Json first = parse_ordered_json(samples.substr(0, samples.find('\n')), "samples");
  EXPECT_EQ(first["arguments"]["gen_args_1"]["arg_1"], " the next");
  EXPECT_EQ(first["target"], "0");
  EXPECT_EQ(first["resps"][0][0][1], "False");
  EXPECT_EQ(first["filtered_resps"][2][0], first["resps"][2][0][0]);
}

TEST_F(Evaluate, SaysWhatIsMissing) {
  const auto refusal = [&](const std::function<void(EvalOptions&)>& change) {
    EvalOptions other = options();
    change(other);
    try {
      evaluate(tiny(), other);
    } catch (const Error& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return std::string("nothing");
  };
  EXPECT_THAT(refusal([](EvalOptions& o) { o.tasks = {"piqa"}; }), HasSubstr("https://yonatanbisk.com/piqa/data"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.tasks = {"picqa"}; }), HasSubstr("openbookqa, piqa, winogrande"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.tasks = {}; }), HasSubstr("eval ls"));
  EXPECT_THAT(refusal([](EvalOptions& o) {
                o.shots = 9;
                o.tasks = {"arc_easy"};
              }),
              HasSubstr("there are 8"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.shots = 1; }), HasSubstr("few-shot documents of winogrande"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.files["arc_easy"] = "/nowhere.jsonl"; }), HasSubstr("/nowhere.jsonl"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.files["arc_esy"] = "x.jsonl"; }), HasSubstr("there is no task 'arc_esy'"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.files["arc_easy:train"] = "x"; }), HasSubstr("TASK:shots=FILE"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.multiturn = true; }), HasSubstr("--fewshot-as-multiturn"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.multiturn = false; }), HasSubstr("--fewshot-as-one-turn"));
  EXPECT_THAT(refusal([](EvalOptions& o) { o.system = "\xff"; }), HasSubstr("--system-instruction"));
  // The first task is not computed before the second is known to be faulty.
  const auto second = [&](const std::string& row) {
    write_file(home_.path() / "data" / "piqa.jsonl",
               std::string(R"({"goal": "g", "sol1": "a", "sol2": "b", "label": 0})") + "\n" + row + "\n");
    EvalOptions other = options();
    other.tasks = {"arc_easy", "piqa"};
    other.session.context = 40;
    std::string said;
    try {
      evaluate(tiny(), other, [&](const EvalProgress&) {
        said = "it computes";
        return false;
      });
    } catch (const Error& error) {
      if (said.empty()) said = error.what() + std::string(" | ") + error.hint();
    }
    return said;
  };
  const std::string longer =
      second(R"({"goal": "g", "sol1": "a", "sol2": ")" + std::string(90, 'b') + R"(", "label": 0})");
  EXPECT_THAT(longer, HasSubstr("piqa.jsonl:2: piqa: an answer of"));
  EXPECT_THAT(longer, HasSubstr("--context"));
  write_file(home_.path() / "data" / "perplexity.jsonl", "{\"text\": \"a\"}\n{\"text\": \"\"}\n");
  EXPECT_THAT(refusal([](EvalOptions& o) { o.tasks = {"perplexity"}; }),
              HasSubstr("perplexity.jsonl:2: the document has no text"));
  TinyModelShape plain;
  plain.chat_template = false;
  const TinyModelFile file(plain);
  EvalOptions chat = options();
  chat.chat = true;
  EXPECT_THROW(evaluate(Model::load(file.path()), chat), Error);
}

}  // namespace
}  // namespace fieldprint
