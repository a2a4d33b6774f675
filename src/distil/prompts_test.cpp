#include "distil/prompts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "distil/key.h"
#include "distil/work.h"
#include "fieldprint/error.h"
#include "support/files.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

// A file of prompts, gone with the object.
class PromptFile {
 public:
  PromptFile(const std::string& name, std::string_view text)
      : path_((fs::temp_directory_path() / (std::to_string(::getpid()) + name)).string()) {
    spill(path_, text);
  }
  ~PromptFile() { fs::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

DistilPrompts of(const PromptFile& file) {
  DistilPrompts prompts;
  prompts.files = {file.path()};
  return prompts;
}

std::string asked(const std::string& content) { return R"([{"role":"user","content":")" + content + "\"}]"; }

TEST(DistilPrompts, EveryShapeOfALineIsMessages) {
  const PromptFile file("shapes.jsonl", R"({"prompt": "a", "id": 7, "answer": 42, "task": "sums"}
{"question": "b"}

{"instruction": "c", "input": "d"}
{"prompt": [{"content": "e", "name": "x", "role": "user"}]}
{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "f"}], "system": "unused"}
{"prompt": "g", "system": "own", "tools": [{"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": 2}}}]}
)");
  DistilPrompts from = of(file);
  const auto prompts = read_prompts(from);
  ASSERT_EQ(prompts.size(), 6u);
  EXPECT_EQ(prompts[0].messages, asked("a"));
  EXPECT_EQ(prompts[0].id + prompts[0].answer + prompts[0].task, "742sums");
  EXPECT_EQ(prompts[1].messages, asked("b"));
  EXPECT_EQ(prompts[2].messages, asked("c\\n\\nd"));
  EXPECT_EQ(prompts[3].messages, R"([{"role":"user","content":"e","name":"x"}])");
  EXPECT_EQ(prompts[4].messages, R"([{"role":"system","content":"s"},{"role":"user","content":"f"}])");
  EXPECT_EQ(prompts[5].messages, R"([{"role":"system","content":"own"},{"role":"user","content":"g"}])");
  EXPECT_NE(prompts[5].tools.find(R"({"z":1,"a":2})"), std::string::npos) << "templates show their order";
  from.system = "all";
  EXPECT_EQ(read_prompts(from)[0].messages, R"([{"role":"system","content":"all"},{"role":"user","content":"a"}])");
}

TEST(DistilPrompts, TextsHaveALineEachOrASeparator) {
  const PromptFile file("text.txt", "one\r\ntwo\n---\n\nthree\nfour\n");
  DistilPrompts from = of(file);
  EXPECT_EQ(read_prompts(from).size(), 5u);
  from.separator = "---\n";
  const auto prompts = read_prompts(from);
  ASSERT_EQ(prompts.size(), 2u);
  EXPECT_EQ(prompts[1].messages, asked("three\\nfour"));
}

TEST(DistilPrompts, TablesFollowRfc4180) {
  EXPECT_EQ(read_csv("a,b\r\n\"x, \"\"y\"\"\n\",\n", ""),
            (std::vector<std::vector<std::string>>{{"a", "b"}, {"x, \"y\"\n", ""}}));
  EXPECT_EQ(read_csv("a\n\nb", "").size(), 2u);
  EXPECT_NE(refusal([] { read_csv("a\n\"b", "t.csv"); }).find("t.csv"), std::string::npos);
}

TEST(DistilPrompts, EveryCombinationOfVariablesIsAsked) {
  DistilPrompts from;
  from.prompt_template = "{{a}}{% if b == 'y' %}!{% endif %}{{b}}";
  from.each = {{"a", {"1", "2"}}, {"b", {"x", "y"}}};
  const auto prompts = read_prompts(from);
  ASSERT_EQ(prompts.size(), 4u);
  EXPECT_EQ(prompts[0].messages, asked("1x"));
  EXPECT_EQ(prompts[1].messages, asked("1!y"));
  EXPECT_EQ(prompts[3].messages, asked("2!y"));
  from.prompt_template = "";
  EXPECT_NE(refusal([&] { read_prompts(from); }).find("template"), std::string::npos);
}

TEST(DistilPrompts, AMisspeltVariableIsNamedWithTheRowsMembers) {
  const PromptFile file("variables.jsonl", "{\"topic\": \"rain\", \"who\": \"child\"}\n");
  DistilPrompts from = of(file);
  from.prompt_template = "Explain {{topc}}.";
  try {
    read_prompts(from);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("'topc' is undefined"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find(":1"), std::string::npos) << error.what();
    EXPECT_NE(error.hint().find("topic, who"), std::string::npos) << error.hint();
  }
  from.prompt_template = "Explain {{topic}}{% if more is defined %} and {{more}}{% endif %}.";
  EXPECT_EQ(read_prompts(from)[0].messages, asked("Explain rain."));
  from.each = {{"whom", {"a", "b"}}};
  EXPECT_NE(refusal([&] { read_prompts(from); }).find("does not use the variable 'whom'"), std::string::npos);
}

TEST(DistilPrompts, ListsOfJsonAreReadAndAColumnTwiceIsRefused) {
  const PromptFile list("list.json", "[\n{\"prompt\": \"a\"},\n{\"prompt\": \"b\"}]\n");
  EXPECT_EQ(read_prompts(of(list)).size(), 2u);
  const PromptFile bad("bad.json", "[{\"prompt\": \"a\"}, 3]");
  EXPECT_NE(refusal([&] { read_prompts(of(bad)); }).find("item 2"), std::string::npos);
  const PromptFile lines("lines.json", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n");
  EXPECT_EQ(read_prompts(of(lines)).size(), 2u);
  const PromptFile table("twice.csv", "prompt,id,prompt\na,b,c\n");
  EXPECT_NE(refusal([&] { read_prompts(of(table)); }).find("column 'prompt' twice"), std::string::npos);
}

TEST(DistilKey, ChangesWithAllThatIsAskedAndWithNothingElse) {
  const auto row = [](auto change) {
    TeacherRow made;
    made.messages = asked("a");
    made.sampling = row_sampling(R"({"temperature": 0.5, "max_tokens": 3})", 1, 0);
    made.teacher = {.name = "t", .model_sha256 = {}, .template_sha256 = "x", .vocabulary_sha256 = {}};
    change(made);
    return row_key(made);
  };
  const std::string key = row([](TeacherRow&) {});
  EXPECT_EQ(key.size(), 64u);
  std::set<std::string> keys = {key};
  const std::function<void(TeacherRow&)> changes[] = {
      [](TeacherRow& r) { r.messages = asked("b"); },
      [](TeacherRow& r) { r.tools = "[]"; },
      [](TeacherRow& r) { r.sampling = row_sampling(R"({"temperature": 0.6, "max_tokens": 3})", 1, 0); },
      [](TeacherRow& r) { r.sampling = row_sampling(R"({"temperature": 0.5, "max_tokens": 3})", 2, 0); },
      [](TeacherRow& r) { r.sampling = row_sampling(R"({"temperature": 0.5, "max_tokens": 3})", 1, 4); },
      [](TeacherRow& r) { r.sample = 1; },
      [](TeacherRow& r) { r.teacher.name = "u"; },
      [](TeacherRow& r) { r.teacher.model_sha256 = "t"; },
      [](TeacherRow& r) { r.teacher.template_sha256 = "y"; },
  };
  for (const auto& change : changes) EXPECT_TRUE(keys.insert(row(change)).second);
  EXPECT_EQ(row([](TeacherRow& r) { r.id = r.answer = r.content = "z"; }), key);
  EXPECT_EQ(row([](TeacherRow& r) { r.sampling = row_sampling(R"({"max_tokens":3,"temperature":0.5})", 1, 0); }), key);
}

TEST(DistilKey, WhatDistilSaysItselfIsNoSampling) {
  for (const char* name : {"messages", "n", "seed", "stream", "logprobs"})
    EXPECT_NE(refusal([&] { row_sampling(std::string("{\"") + name + "\": 1}", 0, 0); }), "") << name;
  EXPECT_EQ(sent_sampling(row_sampling(R"({"top_p": 0.5})", 3, 4)), R"({"top_p":0.5})");
}

TEST(DistilWork, ShardsShareTheRowsOutAndDuplicatesAreAskedOnce) {
  const PromptFile file("work.txt", "a\nb\na\nc\nd\ne\nf\n");
  DistilOptions options;
  options.prompts = of(file);
  options.prompts.samples = 3;
  const Work all = make_work(options, {});
  EXPECT_EQ(all.duplicates, 1);
  EXPECT_EQ(all.jobs.size(), 18u);
  std::set<std::string> keys;
  for (int shard = 1; shard <= 4; ++shard) {
    options.shard = shard;
    options.shards = 4;
    for (const auto& job : make_work(options, {}).jobs) EXPECT_TRUE(keys.insert(job.key).second);
  }
  EXPECT_EQ(keys.size(), 18u);
  options.shard = 5;
  EXPECT_NE(refusal([&] { make_work(options, {}); }).find("no shard 5 of 4"), std::string::npos);
}

}  // namespace
}  // namespace fieldprint
