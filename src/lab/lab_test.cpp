// Runs that learn, in seconds.
#include "fieldprint/lab.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "fieldprint/error.h"
#include "fieldprint/model.h"
#include "lab/held_out.h"
#include "lab/maps.h"
#include "lab/model.h"
#include "train/trainable.h"

namespace fieldprint {
namespace {

LabSettings tiny(const std::string& kind = "dot") {
  LabSettings s;
  s.kind = kind;
  s.length = 12;
  s.vocabulary = 8;
  s.width = 32;
  s.heads = 2;
  s.steps = 150;
  s.batch = 16;
  s.every = 25;
  s.held_out = 32;
  s.learning_rate = 1e-2f;
  return s;
}

std::string fresh_folder(const std::string& name) {
  const std::string path = testing::TempDir() + name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Lab, ATinyModelLearnsToCopy) {
  for (const char* kind : {"dot", "gram-normed"}) {
    const LabRun run = run_lab(tiny(kind), {.threads = 1});
    EXPECT_LT(run.points[0].accuracy, 0);
    EXPECT_LT(run.points[24].accuracy, 0.9) << kind;
    EXPECT_GT(run.accuracy, 0.99) << kind;
    EXPECT_GT(run.steps_to_threshold, 25) << kind;
    EXPECT_EQ(run.skipped, 0);
  }
}

TEST(Lab, EveryKindTrains) {
  for (const LabName& kind : lab_kinds()) {
    LabSettings s = tiny(std::string(kind.name));
    s.steps = 100;
    const LabRun run = run_lab(s, {.threads = 1});
    EXPECT_LT(run.train_loss, run.points.front().loss - 0.02) << kind.name;
    EXPECT_GT(run.points.back().norm, 0) << kind.name;
  }
}

TEST(Lab, EveryTaskTrains) {
  for (const LabName& task : lab_tasks()) {
    LabSettings s = tiny();
    s.task = task.name;
    s.length = s.vocabulary = 16;
    s.steps = 5;
    if (task.name == "text") {
      s.text = testing::TempDir() + "lab_text.txt";
      std::ofstream(s.text) << std::string(1000, 'a');
    }
    EXPECT_EQ(run_lab(s, {.threads = 1}).points.size(), 5u) << task.name;
  }
}

TEST(Lab, SameBitsForAnyNumberOfThreads) {
  for (const char* kind : {"dot", "gram"}) {
    LabSettings s = tiny(kind);
    s.layers = 2;
    s.ffn = 48;
    s.residual = s.norm = true;
    s.steps = 6;
    const std::string one = run_lab(s, {.threads = 1}).weights_hash;
    EXPECT_EQ(run_lab(s, {.threads = 2}).weights_hash, one) << kind;
    EXPECT_EQ(run_lab(s, {.threads = 3}).weights_hash, one) << kind;
    EXPECT_EQ(run_lab(s, {.threads = 2, .isa = "scalar"}).weights_hash, one) << kind;
    s.seed = 2;
    EXPECT_NE(run_lab(s, {.threads = 1}).weights_hash, one) << kind;
  }
}

TEST(Lab, MatchedDotHasTheParametersOfGram) {
  LabSettings s;
  s.steps = 1;
  s.batch = 1;
  s.held_out = 1;
  const auto parameters = [&](const char* kind) {
    s.kind = kind;
    return run_lab(s, {.threads = 1}).parameters;
  };
  EXPECT_EQ(parameters("dot"), 24832);
  EXPECT_EQ(parameters("gram"), 28992);
  EXPECT_EQ(parameters("dot-matched"), 28976);
  s.bias = false;
  EXPECT_EQ(parameters("dot-matched"), parameters("gram"));
}

// What was trained is what is loaded: the file's model gives the loss that the run ended with.
TEST(Lab, ASavedModelIsTheTrainedOne) {
  LabSettings s = tiny("gram");
  s.steps = 20;
  const std::string path = testing::TempDir() + "lab_saved.gguf";
  const LabRun run = run_lab(s, {.threads = 1, .save = path});
  const auto task = lab_task(s);
  std::vector<Example> held_out;
  for (TaskSequence& one : held_out_sequences(*task, s)) held_out.push_back(held_out_example(std::move(one)));
  MicroBatch batch;
  for (const Example& one : held_out) batch.push_back(&one);
  Trainable saved(GgufFile::open(path), {.threads = 1, .trained = trained_in_lab});
  const StepLoss loss = saved.loss(batch, false);
  EXPECT_EQ(loss.sum / loss.weight, run.loss);
  EXPECT_EQ(Model::load(path, {.threads = 1})->info().architecture, "lab");
  EXPECT_NE(head_maps(s, path).find("head 1"), std::string::npos);
}

TEST(Lab, AComparisonIsResumedAndReportedAlike) {
  LabComparison c;
  c.settings = tiny();
  c.settings.steps = 20;
  c.settings.every = 10;
  c.kinds = {"dot", "gram"};
  c.learning_rates = {1e-3f, 1e-2f};
  c.seeds = 2;
  c.out = fresh_folder("lab_compare");
  c.options.threads = 2;
  const auto runs = compare_lab(c);
  ASSERT_EQ(runs.size(), 8u);
  const std::string report = text_of(c.out + "/report.html");
  EXPECT_NE(report.find("gram against dot"), std::string::npos);
  for (const char* file : {"report.md", "steps.csv", "steps.jsonl", "runs.csv", "runs.jsonl", "loss.svg",
                           "accuracy.svg", "heads-gram.svg"}) {
    EXPECT_TRUE(std::filesystem::exists(c.out + "/" + file)) << file;
  }
  // One run is missing: it alone is done again, to the same bits.
  std::filesystem::path gone;
  for (const auto& entry : std::filesystem::directory_iterator(c.out + "/runs"))
    if (entry.path().filename().string().starts_with("gram-lr0.001-seed2") && entry.path().extension() == ".json")
      gone = entry.path();
  ASSERT_TRUE(std::filesystem::remove(gone));
  uint64_t tokens = 0;
  const auto again = compare_lab(c, [&](std::string_view, uint64_t, uint64_t total) {
    tokens = total;
    return true;
  });
  EXPECT_EQ(tokens, 20u * 16 * 12);
  for (size_t i = 0; i < runs.size(); ++i) EXPECT_EQ(again[i].weights_hash, runs[i].weights_hash);
  // A folder where nothing is left to do gives the report again, byte for byte.
  const std::string second = text_of(c.out + "/report.html");
  compare_lab(c);
  EXPECT_EQ(text_of(c.out + "/report.html"), second);
}

// A file of the same name and another text is another run.
TEST(Lab, AComparisonKnowsItsTextByItsContent) {
  LabComparison c;
  c.settings = tiny();
  c.settings.task = "text";
  c.settings.text = testing::TempDir() + "lab_content.txt";
  c.settings.steps = 2;
  c.kinds = {"dot"};
  c.learning_rates = {1e-3f};
  c.seeds = 1;
  c.out = fresh_folder("lab_content");
  std::ofstream(c.settings.text) << std::string(1000, 'a');
  const auto before = compare_lab(c);
  std::ofstream(c.settings.text) << std::string(1000, 'b');
  const auto after = compare_lab(c);
  EXPECT_NE(before[0].settings.content, after[0].settings.content);
  EXPECT_NE(before[0].weights_hash, after[0].weights_hash);
}

TEST(Lab, WhatMakesNoModelIsRefused) {
  LabSettings s = tiny();
  s.heads = 3;
  EXPECT_THROW(run_lab(s, {}), Error);
  s = tiny("sparse");
  EXPECT_THROW(run_lab(s, {}), Error);
  s = tiny();
  s.task = "text";
  EXPECT_THROW(run_lab(s, {}), Error);
  s = tiny();  // 2^40 floats of logits: refused before any of it is taken
  s.length = 1 << 20;
  s.vocabulary = 1 << 20;
  EXPECT_THROW(run_lab(s, {}), Error);
  s = tiny();
  s.task = "text";
  s.text = testing::TempDir();  // a folder
  EXPECT_THROW(run_lab(s, {}), Error);
  LabComparison c;
  c.out = fresh_folder("lab_refused");
  c.learning_rates = {1e-3f};
  c.kinds = {"dot", "gram", "dot"};
  EXPECT_THROW(compare_lab(c), Error);
  EXPECT_THROW(run_lab(tiny(), {}, [](std::string_view, uint64_t, uint64_t) { return false; }), Error);
}

}  // namespace
}  // namespace fieldprint
