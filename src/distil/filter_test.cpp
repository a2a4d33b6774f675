#include "distil/filter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "base/descriptor.h"
#include "base/json.h"
#include "base/sha256.h"
#include "fieldprint/error.h"
#include "support/files.h"
#include "support/paths.h"
#include "support/temp_home.h"
#include "train/folder_lock.h"

namespace fieldprint::distil {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string sha(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

TeacherRow row(const std::string& name, const std::string& content,
               const std::string& question = "Why is the sky blue?") {
  TeacherRow r;
  r.key = sha(name);
  r.id = name;
  r.messages = nlohmann::ordered_json::array({{{"role", "user"}, {"content", question}}}).dump();
  r.sampling = R"({"temperature":0.7})";
  r.content = content;
  r.finish_reason = "stop";
  r.completion_tokens = 7;
  r.teacher = {"teacher", sha("model"), sha("template"), sha("vocabulary")};
  return r;
}

std::string read(const fs::path& path) { return slurp(path.string()); }
void write(const fs::path& path, std::string_view text) { spill(path.string(), text); }

class DistilFilter : public testing::Test {
 protected:
  FilterOptions options() const {
    FilterOptions o;
    o.files = {(fs::path(home_.path()) / "rows.jsonl").string()};
    o.out = (fs::path(home_.path()) / "out").string();
    o.threads = 2;
    return o;
  }
  FilterReport filter(const std::vector<TeacherRow>& rows, const FilterOptions& o) {
    std::string text;
    for (const TeacherRow& r : rows) text += to_line(r);
    write(fs::path(home_.path()) / "rows.jsonl", text);
    return filter_distilled(o);
  }
  // id -> "filter: why" of each reason
  std::map<std::string, std::vector<std::string>> dropped() const {
    std::map<std::string, std::vector<std::string>> all;
    std::istringstream lines(read(fs::path(home_.path()) / "out" / "dropped.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      const auto json = nlohmann::json::parse(line);
      for (const auto& reason : json["reasons"])
        all[json["id"]].push_back(reason["filter"].get<std::string>() + ": " + reason["why"].get<std::string>());
    }
    return all;
  }
  std::vector<std::string> kept() const {
    std::vector<std::string> ids;
    std::istringstream lines(read(fs::path(home_.path()) / "out" / "kept.jsonl"));
    for (std::string line; std::getline(lines, line);) ids.push_back(nlohmann::json::parse(line)["id"]);
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  using Ids = std::vector<std::string>;
  TempHome home_;
};

TEST_F(DistilFilter, SaysOfEveryRowWhyItWent) {
  auto failed = row("failed", "");
  failed.failure = "timeout", failed.detail = "no byte for 120 s";
  auto cut = row("cut", "The sky is blue since");
  cut.finish_reason = "length";
  auto unclosed = row("unclosed", "");
  unclosed.reasoning = "Let me see", unclosed.unclosed = true, unclosed.finish_reason = "length";
  auto blank = row("blank", " \n\xE2\x80\x83\n");
  blank.reasoning = "hm";
  auto call = row("call", "");
  call.tool_calls = R"([{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}])";
  call.finish_reason = "tool_calls";
  const auto report = filter({row("good", "Because of Rayleigh scattering."), failed, cut, unclosed, blank, call,
                              row("refusal", "I'm sorry, but I can't help with that.")},
                             options());
  EXPECT_EQ(kept(), (Ids{"call", "good"}));
  const auto reasons = dropped();
  EXPECT_EQ(reasons.at("failed"), Ids{"failed: timeout"});
  EXPECT_EQ(reasons.at("cut"), Ids{"finish: length"});
  // All that speaks against a row, and not the first thing alone.
  EXPECT_EQ(reasons.at("unclosed"), (Ids{"finish: length", "trace: not ended", "empty: a trace alone"}));
  EXPECT_EQ(reasons.at("blank"), Ids{"empty: a trace alone"});
  EXPECT_EQ(reasons.at("refusal"), Ids{"refusal: refuses"});
  EXPECT_EQ(report.rows, 7);
  EXPECT_EQ(report.kept, 2);
  EXPECT_EQ(report.kept_tokens, 14);
  EXPECT_EQ(report.filters[1].name, "finish");
  EXPECT_EQ(report.filters[1].reasons.at("length").rows, 2);
  ASSERT_EQ(report.teachers.size(), 1u);
  EXPECT_EQ(report.teachers[0].rows, 2);
  EXPECT_EQ(report.kept_sha256, sha(read(fs::path(home_.path()) / "out" / "kept.jsonl")));
}

TEST_F(DistilFilter, GivesTheSameBytesForAnyOrderAndThreads) {
  std::vector<TeacherRow> rows;
  for (int i = 0; i < 40; ++i)
    rows.push_back(row(fmt::format("r{}", i), i % 3 == 0 ? "" : fmt::format("Answer {}", i % 7)));
  auto o = options();
  o.vote = true;
  const auto bytes = [&] {
    std::string all;
    for (const char* name : {"kept.jsonl", "dropped.jsonl"}) all += read(fs::path(home_.path()) / "out" / name);
    return all;
  };
  o.threads = 1;
  filter(rows, o);
  const std::string first = bytes();
  std::reverse(rows.begin(), rows.end());
  o.threads = 3;
  const FilterReport report = filter(rows, o);
  EXPECT_EQ(bytes(), first);
  EXPECT_EQ(read(fs::path(home_.path()) / "out" / "report.json"), to_json(report));
  EXPECT_EQ(read(fs::path(home_.path()) / "out" / "report.md"), to_markdown(report));
}

TEST_F(DistilFilter, KeepsRecordsOfKeptRows) {
  const auto record_of = [](const TeacherRow& r, float p) {
    TopRecord record;
    record.key = r.key, record.k = 1, record.ids = {3, 4}, record.logp = {p, p}, record.tail = {-1, -1};
    return to_bytes(record);
  };
  auto a = row("a", "One answer."), b = row("b", "");
  const std::string of_a = record_of(a, -0.5f), of_b = record_of(b, -0.25f);
  for (auto* r : {&a, &b}) r->top_k = 1;
  a.top_sha256 = sha(of_a), b.top_sha256 = sha(of_b);
  write(fs::path(home_.path()) / "rows.top", std::string(kTopMagic) + of_b + of_a);
  const auto report = filter({a, b}, options());
  EXPECT_EQ(read(fs::path(home_.path()) / "out" / "kept.top"), std::string(kTopMagic) + of_a);
  EXPECT_EQ(report.top_sha256, sha(std::string(kTopMagic) + of_a));

  write(fs::path(home_.path()) / "rows.top", std::string(kTopMagic) + record_of(a, -0.75f));
  EXPECT_THROW(filter({a, b}, options()), Error);
  fs::remove(fs::path(home_.path()) / "rows.top");
  EXPECT_THROW(filter({a, b}, options()), Error);
  EXPECT_EQ(read(fs::path(home_.path()) / "out" / "kept.top"),
            std::string(kTopMagic) + of_a);  // what was there is there
}

TEST_F(DistilFilter, RefusesHostileRowsByTheirLine) {
  const std::string good = to_line(row("good", "Fine."));
  struct Case {
    std::string line, says;
  };
  std::string deep(2000, '[');
  for (const auto& [line, says] : std::vector<Case>{{"{\"key\": 1}", "key"},
                                                    {"not json", "JSON"},
                                                    {deep, "nested"},
                                                    {R"({"key":NaN})", "JSON"},
                                                    {"{\"key\":\"\xFF\"}", "UTF-8"},
                                                    {"[]", "object"},
                                                    {good, "two rows"}}) {
    write(fs::path(home_.path()) / "rows.jsonl", good + line + "\n");
    try {
      filter_distilled(options());
      FAIL() << line.substr(0, 40);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_THAT(error.what(), HasSubstr(says));
      EXPECT_THAT(error.what(), HasSubstr(says == "two rows" ? "rows.jsonl" : "rows.jsonl:2"));
    }
    EXPECT_FALSE(fs::exists(fs::path(home_.path()) / "out" / "kept.jsonl"));
  }
}

TEST_F(DistilFilter, TakesHugeRows) {
  const std::string huge(4 << 20, 'x');
  filter({row("huge", huge), row("broken", "a\xFF\xFE b")}, options());
  EXPECT_EQ(kept(), (Ids{"broken", "huge"}));
}

TEST_F(DistilFilter, DryRunWritesNothing) {
  auto o = options();
  o.dry_run = true, o.command = "false";
  const auto report = filter({row("a", "x"), row("b", "")}, o);
  EXPECT_EQ(report.kept, 1);
  EXPECT_FALSE(fs::exists(fs::path(home_.path()) / "out"));
  EXPECT_THAT(to_markdown(report), HasSubstr("would be run 1 times"));
}

TEST_F(DistilFilter, RunsWithoutThoseNamed) {
  auto o = options();
  o.without = {"refusal", "empty"};
  filter({row("refusal", "I cannot help."), row("empty", "")}, o);
  EXPECT_EQ(kept(), (Ids{"empty", "refusal"}));
  o.without = {"failed"};
  EXPECT_THROW(filter({}, o), Error);
  o.without = {"refusals"};
  EXPECT_THROW(filter({}, o), Error);
}

TEST(DistilFilters, EachHasItsNameAndItsLineInTheDocs) {
  const std::string docs = slurp((source_dir() / "docs" / "distil.md").string());
  std::set<std::string> names;
  for (const auto& info : distil_filters()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.about.empty()) << info.name;
    EXPECT_THAT(docs, HasSubstr("\n| " + info.name + " | "));
  }
}

// ---- Each filter

TEST_F(DistilFilter, TraceIsWanted) {
  auto with = row("with", "42");
  with.reasoning = "six times seven";
  auto o = options();
  o.trace = true;
  filter({with, row("without", "41")}, o);
  EXPECT_EQ(kept(), Ids{"with"});
  EXPECT_EQ(dropped().at("without"), Ids{"trace: none"});
}

TEST_F(DistilFilter, FinishReasonsAreChosen) {
  auto filtered = row("filtered", "x"), unknown = row("unknown", "y");
  filtered.finish_reason = "content_filter", unknown.finish_reason = "";
  filter({filtered, unknown}, options());
  EXPECT_EQ(kept(), Ids{"unknown"});
  auto o = options();
  o.finish = {"content_filter"};
  filter({filtered, unknown}, o);
  EXPECT_EQ(kept(), Ids{"filtered"});
  EXPECT_EQ(dropped().at("unknown"), Ids{"finish: no finish reason"});
}

TEST_F(DistilFilter, RefusalsInSeveralLanguages) {
  const std::vector<std::string> refusals = {
      "I'm sorry, but I can't assist with that request.",
      "I’m sorry, but as an AI language model, I cannot provide that.",
      "Unfortunately, I am unable to do this.",
      "Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.",
      "Je suis désolé, mais je ne peux pas vous aider.",
      "Lo siento, pero no puedo ayudarte con eso.",
      "Mi dispiace, ma non posso aiutarti.",
      "Desculpe, mas não posso ajudar com isso.",
      "К сожалению, я не могу помочь с этим.",
      "抱歉，我无法提供这些信息。",
      "申し訳ありませんが、お答えできません。",
      "죄송하지만 도와드릴 수 없습니다.",
  };
  const std::vector<std::string> answers = {"I'm sorry to hear that your cat is ill. Here is what helps:",
                                            "Sorry is a word that people say.",
                                            "You can't divide by zero.",
                                            "Ich kann nicht oft genug sagen, wie gut das ist.",
                                            "I understand. Here is the list.",
                                            "But what is it that I cannot see? That is what the poem asks."};
  std::vector<TeacherRow> rows;
  for (size_t i = 0; i < refusals.size(); ++i) rows.push_back(row(fmt::format("no{:02}", i), refusals[i]));
  for (size_t i = 0; i < answers.size(); ++i) rows.push_back(row(fmt::format("yes{}", i), answers[i]));
  filter(rows, options());
  EXPECT_EQ(kept(), (Ids{"yes0", "yes1", "yes2", "yes3", "yes4", "yes5"}));
}

TEST_F(DistilFilter, LengthsCountCharactersAndTokens) {
  auto o = options();
  o.answer_least = 2, o.answer_most = 4, o.trace_most = 3, o.tokens_most = 10;
  auto thought = row("thought", "äöü"), tokens = row("tokens", "abc"), uncounted = row("uncounted", "abcd");
  thought.reasoning = "abcd";
  tokens.completion_tokens = 11, uncounted.completion_tokens = 0;
  filter({row("short", "a"), row("good", "äöüß"), row("long", "abcde"), thought, tokens, uncounted}, o);
  EXPECT_EQ(kept(), Ids{"good"});
  const auto why = dropped();
  EXPECT_EQ(why.at("short"), Ids{"length: answer too short"});
  EXPECT_EQ(why.at("long"), Ids{"length: answer too long"});
  EXPECT_EQ(why.at("thought"), Ids{"length: trace too long"});
  EXPECT_EQ(why.at("tokens"), Ids{"length: all of it too long"});
  EXPECT_EQ(why.at("uncounted"), Ids{"length: tokens not counted"});
}

TEST_F(DistilFilter, LanguageOfTheAnswerOutsideOfCode) {
  auto o = options();
  o.languages = {"de"};
  filter({row("german", "Das ist ein Haus und es steht am Rand der Stadt.\n```\nfor the of and in it is\n```"),
          row("english", "This is a house and it stands at the edge of the town."), row("number", "12")},
         o);
  EXPECT_EQ(kept(), (Ids{"german", "number"}));
  EXPECT_EQ(dropped().at("english"), Ids{"language: en"});
  o.languages = {"tlh"};
  EXPECT_THROW(filter({}, o), Error);
}

TEST_F(DistilFilter, SchemaTakesPropertiesInAnyOrder) {
  auto o = options();
  o.schema =
      R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}},"required":["name","age"],"additionalProperties":false})";
  filter({row("ordered", R"({"name": "Ada", "age": 36})"), row("turned", "{\n\t\"age\": 36,   \"name\": \"Ada\"\n}\n"),
          row("missing", R"({"name": "Ada"})"), row("type", R"({"name": "Ada", "age": "36"})"),
          row("more", R"({"name": "Ada", "age": 36, "x": 1})"), row("text", "Ada is 36."),
          row("twice", R"({"name": "Ada", "age": 1, "age": 2})"), row("nan", R"({"name": "Ada", "age": NaN})"),
          row("tags", R"({"age": 1, "tags": ["a", "b"], "name": "\u00e4"})")},
         o);
  EXPECT_EQ(kept(), (Ids{"ordered", "tags", "turned"}));
  EXPECT_EQ(dropped().at("missing"), Ids{"schema: not valid"});
  EXPECT_EQ(dropped().at("text"), Ids{"schema: no JSON"});
  EXPECT_EQ(dropped().at("nan"), Ids{"schema: no JSON"});
  EXPECT_EQ(dropped().at("twice"), Ids{"schema: no JSON"});
  o.schema = R"({"unevaluatedItems": false})";
  EXPECT_THROW(filter({row("a", "1")}, o), Error);
}

TEST_F(DistilFilter, PatternsMatchOrMustNot) {
  auto o = options();
  o.patterns = {R"(^\d+$)"}, o.patterns_not = {"13"};
  filter({row("good", "42"), row("words", "forty-two"), row("unlucky", "1313")}, o);
  EXPECT_EQ(kept(), Ids{"good"});
  EXPECT_EQ(dropped().at("words"), Ids{"pattern: no match"});
  EXPECT_EQ(dropped().at("unlucky"), Ids{"pattern: matches"});
  o.patterns = {"(unclosed"};
  EXPECT_THROW(filter({row("a", "1")}, o), Error);
  // One text that a pattern tries for too long is no reason to look at no other.
  o.patterns = {"^(a+)+$"}, o.patterns_not.clear();
  filter({row("good", "aaa"), row("hard", std::string(60, 'a') + "b")}, o);
  EXPECT_EQ(kept(), Ids{"good"});
  EXPECT_EQ(dropped().at("hard"), Ids{"pattern: too much work to check"});
}

TEST_F(DistilFilter, OneRunAtATimeInAFolder) {
  auto o = options();
  fs::create_directories(o.out);
  const FolderLock lock(o.out);
  EXPECT_THAT(refusal([&] { filter({row("a", "x")}, o); }), HasSubstr("another run is at work"));
}

TEST_F(DistilFilter, AnswersAreVerified) {
  auto o = options();
  o.verify = FilterOptions::Verify::kAlways;
  const auto with = [](const std::string& name, const std::string& content, const std::string& answer) {
    auto r = row(name, content, "How much is " + name + "?");
    r.answer = answer;
    return r;
  };
  filter({with("boxed", R"(So we get \boxed{\frac{1}{2}}.)", R"(\frac{1}{2})"),
          with("hash", "It is 3 * 6.\n#### 18", "He has 3 times 6.\n#### 18"),
          with("money", "The total is **$1,250.50**.", "1250.5"),
          with("phrase", "The answer is Paris. It lies in France.\n", "paris. it lies in france"),
          with("letter", "Answer: (B)", "B"), with("wrong", "The answer is 17.", "18"), with("none", "", "18"),
          row("nothing", "42")},
         o);
  EXPECT_EQ(kept(), (Ids{"boxed", "hash", "letter", "money", "phrase"}));
  EXPECT_EQ(dropped().at("wrong"), Ids{"answer: wrong"});
  EXPECT_EQ(dropped().at("nothing"), Ids{"answer: nothing to compare with"});
  o.verify = FilterOptions::Verify::kWhereGiven;
  filter({row("nothing", "42"), with("wrong", "It is 17", "18")}, o);
  EXPECT_EQ(kept(), Ids{"nothing"});
  o.final_pattern = R"(^(x+)+$)";
  filter({with("hard", std::string(60, 'x') + "b", "18")}, o);
  EXPECT_EQ(dropped().at("hard"), Ids{"answer: too much work to check"});
  o.final_pattern = R"(<<(\w+)>>)";
  filter({with("found", "<<1>> no: <<18>> since 17 is odd", "18"), with("wrong", "18", "18")}, o);
  EXPECT_EQ(kept(), Ids{"found"});
  EXPECT_EQ(dropped().at("wrong"), Ids{"answer: no final answer"});
  o.final_pattern = "(";
  EXPECT_THROW(filter({row("a", "x")}, o), Error);
  o.final_pattern = "x", o.verify = FilterOptions::Verify::kNo;
  EXPECT_THAT(refusal([&] { filter({row("a", "x")}, o); }), HasSubstr("final answers"));
}

TEST_F(DistilFilter, FindsLeaksOfTestSets) {
  const std::string leaked =
      "which of the following best explains why the planted question of this very test is easy to find";
  write(
      fs::path(home_.path()) / "test.jsonl",
      nlohmann::json{{"question", leaked}, {"choices", {{"text", {"a", "b"}}}}}.dump() + "\n" +
          R"({"goal": "boil an egg", "sol1": "put it into hot water", "sol2": "leave it to your brother"})" + "\n" +
          R"({"sentence": "The trophy did not fit into the suitcase because the _ was far too large for it", "option1": "trophy", "option2": "suitcase"})" +
          "\n" + R"({"question": "What is it?"})" + "\n");
  auto o = options();
  o.eval_data = {(fs::path(home_.path()) / "test.jsonl").string()};
  auto trace = row("trace", "Fine.");
  trace.reasoning = "Boil an egg: put it into hot water!";
  const auto report = filter(
      {row("prompt", "B",
           "Please answer. WHICH of the following -- best explains why the planted question of this very test?"),
       row("answer", "Look: the trophy did not fit into the suitcase, because the trophy was far too large."), trace,
       row("both", "Leave it to your brother.", "Should I boil an egg?"),
       row("blank", "suitcase", "The trophy did not fit into the suitcase because the _ was far too large for it"),
       row("part", "which of the following best explains why the planted question is other"),
       row("clean", "What is it?")},
      o);
  EXPECT_EQ(kept(), (Ids{"clean", "part"}));
  EXPECT_EQ(dropped().at("prompt"), Ids{"contamination: in the prompt"});
  EXPECT_EQ(dropped().at("answer"), Ids{"contamination: in the answer"});
  EXPECT_EQ(dropped().at("trace"), Ids{"contamination: in the trace"});
  EXPECT_EQ(dropped().at("both"), Ids{"contamination: in prompt and answer"});
  EXPECT_EQ(dropped().at("blank"), Ids{"contamination: in the prompt"});
  EXPECT_THAT(to_markdown(report), HasSubstr("1 of 4 documents have fewer than 8 words"));
  EXPECT_THAT(read(fs::path(home_.path()) / "out" / "dropped.jsonl"), HasSubstr("test.jsonl 0"));
}

TEST_F(DistilFilter, FindsLeaksInTablesAndToolCalls) {
  const fs::path tests = fs::path(home_.path()) / "tests";
  fs::create_directories(tests);
  write(
      tests / "set.csv",
      "\xEF\xBB\xBFquestion,answer\r\n\"Which of these birds,\nas the book on birds says,\nflies at night?\",owl\r\n");
  write(tests / "set.parquet", "PAR1");
  auto o = options();
  o.eval_data = {tests.string()};
  const std::string leaked = "which of these birds as the book on birds says flies at night";
  auto call = row("call", "");
  call.tool_calls =
      nlohmann::json::array({{{"function", {{"name", "search"}, {"arguments", nlohmann::json{{"q", leaked}}.dump()}}}}})
          .dump();
  auto before = row("before", "yes");
  before.messages =
      nlohmann::ordered_json::array(
          {{{"role", "user"}, {"content", "Look it up."}},
           {{"role", "assistant"}, {"content", ""}, {"tool_calls", nlohmann::ordered_json::parse(call.tool_calls)}}})
          .dump();
  const auto report = filter({row("text", leaked), call, before, row("clean", "which of these birds")}, o);
  EXPECT_EQ(kept(), Ids{"clean"});
  EXPECT_EQ(dropped().at("call"), Ids{"contamination: in a tool call"});
  EXPECT_EQ(dropped().at("before"), Ids{"contamination: in the prompt"});
  EXPECT_THAT(to_markdown(report), HasSubstr("1 file was not read"));
  o.eval_data = {(tests / "set.parquet").string()};
  EXPECT_THAT(refusal([&] { filter({call}, o); }), HasSubstr("parquet files are not read"));
  write(tests / "latin.txt", "caf\xE9");
  o.eval_data = {(tests / "latin.txt").string()};
  EXPECT_THAT(refusal([&] { filter({call}, o); }), HasSubstr("UTF-8"));
}

TEST_F(DistilFilter, FindsLeaksOfTheSevenTasks) {
  if (data_dir().empty()) GTEST_SKIP() << "../shared/data is not here";
  auto o = options();
  o.eval_data = {(data_dir() / "eval").string()};
  // A piece of a passage, as a teacher might quote it.
  std::istringstream passages(read(data_dir() / "eval" / "boolq.jsonl"));
  std::string first;
  std::getline(passages, first);
  const std::string passage = nlohmann::json::parse(first)["passage"];
  const size_t space = passage.find(' ', 40);
  filter({row("boolq", "I read: " + passage.substr(space, passage.find(' ', space + 130) - space)),
          row("clean", "I read that taxes on houses differ between the towns of that country, which is no news.")},
         o);
  EXPECT_EQ(kept(), Ids{"clean"});
  // Every document that is long enough is found in its own words.
  std::istringstream lines(read(data_dir() / "eval" / "winogrande.jsonl"));
  std::vector<TeacherRow> rows;
  for (std::string line; std::getline(lines, line) && rows.size() < 50;) {
    const auto json = nlohmann::json::parse(line);
    std::string text = json["sentence"];
    text.replace(text.find('_'), 1, json[json["answer"] == "1" ? "option1" : "option2"].get<std::string>());
    rows.push_back(row(fmt::format("w{}", rows.size()), text));
  }
  filter(rows, o);
  EXPECT_EQ(kept(), Ids{});
}

TEST_F(DistilFilter, CommandsPassByExitCode) {
  auto o = options();
  o.command = R"(grep -q "\"content\":\"good")";
  filter({row("good", "good"), row("bad", "bad")}, o);
  EXPECT_EQ(kept(), Ids{"good"});
  EXPECT_EQ(dropped().at("bad"), Ids{"command: exit code 1"});

  o.command = "echo 'too bad'; exit 3", o.command_shell = true;
  filter({row("bad", "bad")}, o);
  EXPECT_EQ(dropped().at("bad"), Ids{"command: exit code 3"});
  EXPECT_THAT(read(fs::path(home_.path()) / "out" / "dropped.jsonl"), HasSubstr("too bad"));

  // Whatever a command reads, says and leaves behind, the run goes on.
  o.command = "yes | head -c 300000; sleep 60 & exit 0";
  filter({row("loud", std::string(200000, 'x'))}, o);
  EXPECT_EQ(kept(), Ids{"loud"});

  // What it leaves in the background ends with it: nobody holds the pipe open any more.
  const std::string pipe = (fs::path(home_.path()) / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const Descriptor reads(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  o.command = "exec 3> '" + pipe + "'; sleep 60 & exit 0";
  filter({row("left", "x")}, o);
  pollfd ended{reads.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 20'000), 1);
  EXPECT_NE(ended.revents & POLLHUP, 0);

  o.command = "sleep 60", o.command_shell = false, o.command_seconds = 0.05;
  filter({row("slow", "bad")}, o);
  EXPECT_EQ(dropped().at("slow"), Ids{"command: too slow"});
}

TEST_F(DistilFilter, CommandsThatDoNotStartAreErrors) {
  auto o = options();
  o.command = "/nowhere/to-be-found";
  EXPECT_THROW(filter({row("a", "x")}, o), Error);
  o.command_shell = true;
  EXPECT_THROW(filter({row("a", "x")}, o), Error);
  o.command = "'open", o.command_shell = false;
  EXPECT_THROW(filter({row("a", "x")}, o), Error);
}

TEST_F(DistilFilter, MajorityVotes) {
  const auto sample = [](const std::string& name, int n, const std::string& content, const std::string& question) {
    auto r = row(name, content, question);
    r.sample = n;
    return r;
  };
  auto o = options();
  o.vote = true;
  filter({sample("a0", 0, "It is 5", "a"), sample("a1", 1, "So: 6.0", "a"), sample("a2", 2, "The answer is 6.", "a"),
          sample("b0", 0, "one is 1", "b"), sample("b1", 1, "two is 2", "b"), sample("c0", 0, "only 3", "c")},
         o);
  EXPECT_EQ(kept(), (Ids{"a1", "a2", "b0", "c0"}));  // of two with one vote each the first sample's
  EXPECT_EQ(dropped().at("a0"), Ids{"vote: outvoted"});
  o.votes_least = 2;
  filter({sample("c0", 0, "only 3", "c")}, o);
  EXPECT_EQ(dropped().at("c0"), Ids{"vote: too few votes"});
}

std::string story(int seed, int words) {
  std::string text;
  uint32_t x = static_cast<uint32_t>(seed) * 2654435761u + 1;
  for (int i = 0; i < words; ++i) {
    x = x * 1664525u + 1013904223u;
    text += fmt::format("{}word{}", i > 0 ? " " : "", (x >> 16) % 1000);
  }
  return text;
}

TEST_F(DistilFilter, FindsPlantedDuplicates) {
  std::vector<TeacherRow> rows;
  for (int i = 0; i < 30; ++i) rows.push_back(row(fmt::format("r{}", i), story(i, 120), fmt::format("Story {}?", i)));
  rows.push_back(row("exact", story(4, 120) + "  ", "Another question?"));
  rows.push_back(row("near", story(5, 120) + " and the end", "Another?"));
  rows.push_back(row("half", story(6, 60) + story(77, 60), "And another?"));
  rows.push_back(row("yes1", "Yes.", "Is it so?"));
  rows.push_back(row("yes2", "Yes.", "Is it not?"));
  rows.push_back(row("yes3", "yes .", "Is it so?"));
  const auto report = filter(rows, options());
  const auto why = dropped();
  EXPECT_EQ(why.size(), 3u);
  int exact = 0, near = 0;
  for (const auto& [id, reasons] : why) {
    exact += reasons[0] == "duplicate: exact", near += reasons[0] == "duplicate: near";
    EXPECT_TRUE(id == "exact" || id == "r4" || id == "near" || id == "r5" || id == "yes1" || id == "yes3") << id;
  }
  EXPECT_EQ(exact, 2);
  EXPECT_EQ(near, 1);
  EXPECT_EQ(report.kept, 33);
}

TEST_F(DistilFilter, ReportCannotBeBrokenOutOf) {
  auto hostile = row("hostile", "```\n# heading\n<img src=x onerror=alert(1)>", "<b>`````</b>");
  hostile.finish_reason = "<script>";
  const std::string text = to_markdown(filter({hostile}, options()));
  EXPECT_THAT(text, HasSubstr("finish: &lt;script&gt;"));
  // The fence is longer than any in it, and opens and closes once for each sample.
  EXPECT_THAT(text, HasSubstr("``````text\n"));
}

}  // namespace
}  // namespace fieldprint::distil
