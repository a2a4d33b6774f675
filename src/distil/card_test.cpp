#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "base/json.h"
#include "base/sha256.h"
#include "distil/card_parts.h"
#include "fieldprint/distil_card.h"
#include "fieldprint/distil_filter.h"
#include "fieldprint/error.h"
#include "fieldprint/memory_setup.h"
#include "support/files.h"
#include "support/temp_home.h"
#include "train/distilled.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

std::string sha(std::string_view text) { return sha256_hex(std::as_bytes(std::span(text))); }

class DistilCard : public testing::Test {
 protected:
  DistilCard() {
    for (const char* name : {"base", "student", "run"}) fs::create_directories(fs::path(folder_) / name);
    // Rows and their filter's report, as the program writes them.
    spill(at("rows.jsonl"), row("Why?", "teacher: because") + row("Who?", "teacher: them") + row("Empty?", ""));
    FilterOptions filter;
    filter.files = {at("rows.jsonl")}, filter.out = at("filtered"), filter.threads = 1;
    filter_distilled(filter);
    spill(at("run/log.csv"),
          "step,loss,mean_loss,accuracy,learning_rate,norm,tokens,learned,seconds,tokens_per_second,skipped,eval_loss,"
          "eval_accuracy\n1,3,3,0.1,0.001,1,100,40,0.5,200,0,2.5,0.2\n2,2,2.5,0.2,0.001,1,100,40,0.5,200,0,,\n"
          "3,1,2,0.3,0.001,1,100,41,0.5,200,1,1.5,0.4\n");
    spill(at("run/adapter.gguf"), "weights");
    spill(at("run/adapter_config.json"), R"({"r": 8, "lora_alpha": 16})");
    results("base", 0.5, {1, 1, 0, 0, 0, 0, 0, 0, 0, 0});
    results("student", 0.75, {0, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  }

  std::string at(const std::string& name) const { return (fs::path(folder_) / name).string(); }

  static std::string row(const std::string& question, const std::string& content) {
    TeacherRow r;
    r.key = sha(question);
    r.messages = nlohmann::ordered_json::array({{{"role", "user"}, {"content", question}}}).dump();
    r.content = content, r.finish_reason = "stop", r.completion_tokens = 3;
    r.teacher = {"the teacher", sha("model"), sha("template"), ""};
    return to_line(r);
  }

  void results(const std::string& model, double acc, const std::vector<int>& right, int shots = 0,
               const std::string& style = "lm-eval") const {
    nlohmann::ordered_json json;
    json["results"]["arc_easy"] = {{"alias", "arc_easy"},
                                   {"acc,none", acc},
                                   {"acc_stderr,none", 0.01},
                                   {"acc_norm,none", acc + 0.01},
                                   {"acc_norm_stderr,none", "N/A"}};
    if (model == "base") json["results"]["piqa"] = {{"acc,none", 0.6}};
    json["n-samples"]["arc_easy"] = {{"original", 100}, {"effective", right.size()}};
    json["higher_is_better"]["arc_easy"] = {{"acc", true}, {"acc_norm", true}};
    json["n-shot"]["arc_easy"] = shots, json["fieldprint"]["style"] = style;
    json["model_name"] = model + "|<b>";
    spill(at(model + "/results_2026-11-29T10-00-00.json"), json.dump());
    std::string lines;
    for (size_t i = 0; i < right.size(); ++i)
      lines +=
          nlohmann::json{{"doc_id", i}, {"acc", right[i]}, {"filter", "none"}, {"doc_hash", sha(std::to_string(i))}}
              .dump() +
          "\n";
    spill(at(model + "/samples_arc_easy_2026-11-29T10-00-00.jsonl"), lines);
  }

  CardOptions all() const {
    CardOptions o;
    o.out = at("card.md"), o.title = "A <student>", o.program = "fieldprint 9.9";
    o.data = at("filtered/kept.jsonl"), o.report = at("filtered/report.json"), o.training = at("run");
    o.before = {at("base")}, o.after = {at("student/results_2026-11-29T10-00-00.json")};
    o.licence = "CC BY-SA 4.0 [x](javascript:alert(1))", o.commands = {"fieldprint train ..."};
    return o;
  }

  TempHome home_;
  std::string folder_ = home_.path();
};

TEST_F(DistilCard, SaysWhatItWasMadeOfAndWhatBecameOfIt) {
  spill(at("before.jsonl"), row("Why?", "```\n# broken out\n<script>alert(1)</script>"));
  spill(at("after.jsonl"), row("Why?", "since it is so") + row("Never asked before?", "x"));
  CardOptions o = all();
  o.answers_before = at("before.jsonl"), o.answers_after = at("after.jsonl");
  const Card card = write_card(o);
  const std::string text = slurp(at("card.md"));
  EXPECT_EQ(card.sha256, sha(text));
  EXPECT_EQ(card.data_sha256, sha(slurp(at("filtered/kept.jsonl"))));
  const std::vector<std::string> parts = {
      "# A &lt;student&gt;\n", "teacher `the teacher` (2 rows)", "kept: 2 of 3 rows", "| empty |", sha("model"),
      sha("template"), card.data_sha256, "3 steps, 300 tokens, 121 of them learned", "LoRA) of rank 8, alpha 16",
      "held-out loss: 2.5000 at step 1, the best 1.5000 at step 3", sha("weights"),
      "![The training's loss over its steps](<card.svg>)", sha(slurp(at("card.svg"))),
      // b = 1 lost, c = 8 won: two-sided 2 * (1 + 9) / 2^9
      "| arc_easy | 10 | acc | 0.5000 ± 0.0100 | 0.7500 ± 0.0100 | +0.2500 | 8 | 1 | 0.0391 |",
      "| acc_norm | 0.5100 | 0.7600 | +0.2500 | | | |", "Measured on one side only: piqa acc", "`base\\|<b>`",
      "teacher: because", "since it is so", "````text\n```\n# broken out\n<script>",
      "CC BY-SA 4.0 \\[x\\](javascript:alert(1))", "fieldprint train ...", "Made with fieldprint 9.9"};
  for (const std::string& part : parts) EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(text, Not(HasSubstr("Never asked before")));
  EXPECT_THAT(text, Not(HasSubstr(folder_)));
  EXPECT_THAT(slurp(at("card.svg")), HasSubstr("<svg"));
  // Equal inputs, equal bytes.
  o.out = at("again/card.md");
  fs::create_directories(at("again"));
  EXPECT_EQ(write_card(o).sha256, card.sha256);
}

TEST_F(DistilCard, LeavesOutWhatIsNotThere) {
  CardOptions o;
  o.out = at("card.md");
  write_card(o);
  const std::string text = slurp(at("card.md"));
  for (const char* part : {"## Data", "## Training", "## Before", "## Sample", "## Licence"})
    EXPECT_THAT(text, Not(HasSubstr(part)));
  EXPECT_FALSE(fs::exists(at("card.svg")));
  EXPECT_FALSE(fs::exists(at("card.md.note")));
  o.after = {at("student")};
  write_card(o);
  EXPECT_THAT(slurp(at("card.md")), HasSubstr("| arc_easy | 10 | acc | 0.7500 ± 0.0100 |"));
}

TEST_F(DistilCard, IsSignedAndChecked) {
  CardOptions o = all();
  const std::string vkey = make_memory_key("people", at("key"));
  o.key_file = at("key");
  const Card card = write_card(o);
  EXPECT_EQ(card.vkey, vkey);
  EXPECT_THAT(slurp(at("card.md.note")), HasSubstr("fieldprint/distil-card/v1\nsha256 " + card.sha256 + "\n\n"));
  check_card(at("card.md"), vkey);
  EXPECT_THROW(check_card(at("card.md"), make_memory_key("people", at("other"))), Error);
  spill(at("card.md"), slurp(at("card.md")) + " ");
  EXPECT_THAT(refusal([&] { check_card(at("card.md"), vkey); }), HasSubstr("this one was changed"));
  // A signature over another text does not become one over the card.
  o.key_file.clear();
  write_card(o);
  EXPECT_THROW(check_card(at("card.md"), vkey), Error);
  make_witness_key("witness", at("witness"));
  o.key_file = at("witness");
  EXPECT_THAT(refusal([&] { write_card(o); }), HasSubstr("witness"));
}

TEST_F(DistilCard, RefusesWhatIsNotWhatItShouldBe) {
  const auto refused = [&](const std::function<void(CardOptions&)>& change) {
    CardOptions o = all();
    change(o);
    return refusal([&] { write_card(o); });
  };
  spill(at("bad.json"), "{\"results\": 3}");
  EXPECT_THAT(refused([&](CardOptions& o) { o.after = {at("bad.json")}; }), HasSubstr("no results of an evaluation"));
  EXPECT_THAT(refused([&](CardOptions& o) { o.report = at("bad.json"); }), HasSubstr("no report of `distil filter`"));
  const std::string report = slurp(at("filtered/report.json"));
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, nlohmann::ordered_json>>{{"kept_sha256", "`<script>alert(1)</script>"},
                                                                   {"kept_sha256", ""},
                                                                   {"rows", -5},
                                                                   {"rows", 1.5},
                                                                   {"kept", 4},
                                                                   {"kept_tokens", 18446744073709551615u}}) {
    auto json = nlohmann::ordered_json::parse(report);
    json[name] = value;
    spill(at("bad_report.json"), json.dump());
    EXPECT_THAT(refused([&](CardOptions& o) { o.report = at("bad_report.json"); }), HasSubstr(name)) << value;
  }
  EXPECT_THAT(refused([&](CardOptions& o) { o.out = at("card.svg"); }), HasSubstr("its own curve"));
  EXPECT_THAT(refused([&](CardOptions& o) { o.out = o.report; }), HasSubstr("made of"));
  EXPECT_EQ(slurp(at("filtered/report.json")), report);
  EXPECT_THAT(refused([&](CardOptions& o) { o.data = at("rows.jsonl"); }), HasSubstr("not the rows of the report"));
  EXPECT_THAT(refused([&](CardOptions& o) { o.training = at("base"); }), HasSubstr("log.csv"));
  results("student", 0.5, {1}, 5);
  EXPECT_THAT(refused([](CardOptions&) {}), HasSubstr("arc_easy with 0 and 5 examples"));
  results("student", 0.5, {1}, 0, "mlx");
  EXPECT_THAT(refused([](CardOptions&) {}), HasSubstr("styles lm-eval and mlx"));
  results("student", 0.5, {1});
  spill(at("base/log.csv"), "step,loss\n1,one\n");
  EXPECT_THAT(refused([&](CardOptions& o) { o.training = at("base"); }), HasSubstr("base/log.csv:2"));
  EXPECT_THAT(refused([&](CardOptions& o) { o.before = {at("run")}; }), HasSubstr("no results_*.json"));
  spill(at("base/log.csv"), "step,loss,mean_loss,eval_loss,seconds,tokens,learned,skipped\n1,1,1,,1,-5,1,0\n");
  EXPECT_THAT(refused([&](CardOptions& o) { o.training = at("base"); }), HasSubstr("\"tokens\" is no count"));
  fs::create_directories(at("both/a")), fs::create_directories(at("both/b"));
  spill(at("both/a/results_1.json"), "{}"), spill(at("both/b/results_1.json"), "{}");
  EXPECT_THAT(refused([&](CardOptions& o) { o.before = {at("both")}; }), HasSubstr("several models"));
  spill(at("nan.jsonl"), "{\"key\": NaN}\n");
  EXPECT_THAT(refused([&](CardOptions& o) { o.answers_after = at("nan.jsonl"); }), HasSubstr("nan.jsonl:1"));
  EXPECT_THAT(refused([](CardOptions& o) { o.out.clear(); }), HasSubstr("where"));
  EXPECT_FALSE(fs::exists(at("card.md")));
}

}  // namespace
}  // namespace fieldprint
