// Whole trainings of a tiny model: what is planned, what is written, that one that was ended goes on to the same bits.
#include "support/training.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "fieldprint/adapter.h"
#include "fieldprint/error.h"
#include "fieldprint/train.h"
#include "support/files.h"
#include "train/memory.h"

namespace fieldprint {
namespace {

class TrainRun : public testing::Test {
 protected:
  TrainRun() {
    std::string rows;
    for (int i = 0; i < 60; ++i)
      rows += R"({"prompt":"say )" + std::to_string(i) + R"(","completion":"hello )" + std::to_string(i % 7) + "\"}\n";
    spill(folder_ / "rows.jsonl", rows);
  }

  TrainOptions options(const std::string& out) const {
    TrainOptions o;
    o.data = folder_ / "rows.jsonl";
    o.out = folder_ / out;
    o.eval_share = 0.2;
    o.rank = 4;
    o.learning_rate = 1e-2;
    o.steps = 12;
    o.documents = 6;
    o.micro_tokens = 128;
    o.eval_every = 4;
    o.save_every = 3;
    o.threads = 2;
    return o;
  }
  TrainResult run(const TrainOptions& o, int64_t stop_after = -1) const {
    Training training(model_, o);
    return training.run([&](const TrainPoint& point) { return point.step != stop_after; });
  }

  const TrainingFolder folder_;
  const std::string model_ = write_tiny_llama(folder_);
};

TEST_F(TrainRun, AnAdapterLearnsAndIsWritten) {
  const TrainOptions o = options("a");
  Training training(model_, o);
  EXPECT_EQ(training.plan().train.documents + training.plan().held_out, 60 + training.plan().held_out);
  EXPECT_GT(training.plan().held_out, 3);
  EXPECT_EQ(training.plan().steps, 12);
  std::vector<TrainPoint> points;
  const TrainResult result = training.run([&](const TrainPoint& point) { return points.push_back(point), true; });
  EXPECT_EQ(result.end, TrainEnd::kDone);
  EXPECT_EQ(points.size(), 12u);
  ASSERT_TRUE(result.eval_before && result.eval_best);
  EXPECT_LT(*result.eval_best, *result.eval_before - 0.1);
  for (const std::string& file : result.files) EXPECT_TRUE(std::filesystem::exists(file)) << file;
  EXPECT_EQ(inspect_adapter(o.out + "/adapter.gguf").parameters, static_cast<uint64_t>(training.plan().trained));
  // A line a step, and the picture.
  const std::string csv = slurp(o.out + "/log.csv"), jsonl = slurp(o.out + "/log.jsonl");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 13);
  EXPECT_EQ(std::count(jsonl.begin(), jsonl.end(), '\n'), 12);
  EXPECT_NE(slurp(o.out + "/loss.svg").find("</svg>"), std::string::npos);
}

TEST_F(TrainRun, StoppedAnywhereItGoesOnToTheSameBits) {
  run(options("whole"));
  const std::string whole = slurp(folder_ / "whole/adapter.gguf");
  for (const int64_t stop : {1, 4, 11}) {
    TrainOptions o = options("stopped" + std::to_string(stop));
    const TrainResult stopped = run(o, stop);
    EXPECT_EQ(stopped.end, TrainEnd::kStopped);
    EXPECT_TRUE(stopped.files.empty());
    EXPECT_TRUE(std::filesystem::exists(stopped.checkpoint));
    EXPECT_NE(refusal([&] { run(o); }), "") << "begins anew over a training";
    o.resume = true;
    o.threads = 1;
    EXPECT_EQ(run(o).end, TrainEnd::kDone);
    EXPECT_EQ(slurp(o.out + "/adapter.gguf"), whole) << stop;
    const std::string csv = slurp(o.out + "/log.csv");
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 13) << stop;
  }
}

TEST_F(TrainRun, AllWeightsBecomeAModel) {
  TrainOptions o = options("full");
  o.full = true;
  o.learning_rate = 2e-3;
  const TrainResult result = run(o);
  EXPECT_LT(*result.eval_best, *result.eval_before);
  ASSERT_EQ(result.files.size(), 1u);
  EXPECT_EQ(GgufFile::open(result.files[0])->tensors().size(), GgufFile::open(model_)->tensors().size());
}

TEST_F(TrainRun, ExpertsAreCountedAndBalanced) {
  const std::string model = write_preset(folder_, "tiny-lfm2moe");
  const auto evenness = [&](const std::string& out, double balance) {
    TrainOptions o = options(out);
    o.full = true;
    o.learning_rate = 3e-3;
    o.steps = 24;
    o.eval_every = o.save_every = 24;
    o.expert_balance = balance;
    double least = 1;
    const TrainResult result = Training(model, o).run([&](const TrainPoint& point) {
      for (const auto& shares : point.experts) {
        double sum = 0;
        for (const float share : shares) sum += static_cast<double>(share);
        EXPECT_NEAR(sum, 1, 1e-5);
        const float most = *std::max_element(shares.begin(), shares.end());
        least = std::min(least, 1 / (static_cast<double>(most) * static_cast<double>(shares.size())));
      }
      return true;
    });
    EXPECT_FALSE(result.idle_experts.empty());
    EXPECT_TRUE(std::filesystem::exists(o.out + "/experts.svg"));
    EXPECT_TRUE(std::filesystem::exists(o.out + "/balance.svg"));
    EXPECT_NE(slurp(o.out + "/log.jsonl").find("\"experts\":[["), std::string::npos);
    return least;
  };
  EXPECT_GT(evenness("balanced", 1), evenness("unbalanced", 0));
}

TEST_F(TrainRun, TheAdapterIsMergedWhereThatIsAskedFor) {
  TrainOptions o = options("merged");
  o.merge = "Q8_0";
  run(o);
  EXPECT_EQ(GgufFile::open(o.out + "/model.gguf")->tensor("blk.0.attn_q.weight").type->name, "Q8_0");
}

TEST_F(TrainRun, PatienceEndsWhatGetsNoBetter) {
  TrainOptions o = options("patience");
  o.learning_rate = 30;  // it gets worse at once
  o.steps = 40;
  o.eval_every = 1;
  o.patience = 3;
  const TrainResult result = run(o);
  EXPECT_EQ(result.end, TrainEnd::kPatience);
  EXPECT_LT(result.step, 40);
  EXPECT_EQ(result.best_step, result.step - 3);
}

TEST_F(TrainRun, ALossThatIsNoNumberIsNeverTheBest) {
  TrainOptions o = options("nan");
  o.learning_rate = 1e38;  // the first step goes out of range
  o.clip = 0;
  EXPECT_NE(refusal([&] { run(o); }).find("never a finite number"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(o.out + "/adapter.gguf"));
  for (const char* log : {"/log.csv", "/log.jsonl"}) {
    const std::string text = slurp(o.out + log);
    EXPECT_EQ(text.find("nan"), std::string::npos) << text;
    EXPECT_EQ(text.find("inf"), std::string::npos) << text;
  }
}

TEST_F(TrainRun, ItGoesOnAsItBeganOrNotAtAll) {
  TrainOptions o = options("began");
  run(o, 3);
  o.resume = true;
  const auto says = [&](auto change) {
    TrainOptions other = o;
    change(other);
    return refusal([&] { run(other); });
  };
  EXPECT_NE(says([](TrainOptions& t) { t.seed = 2; }).find("--seed 1, not 2"), std::string::npos);
  EXPECT_NE(says([](TrainOptions& t) { t.documents = 5; }).find("--batch"), std::string::npos);
  EXPECT_NE(says([](TrainOptions& t) { t.alpha = 5; }).find("--lora-alpha"), std::string::npos);
  EXPECT_NE(says([](TrainOptions& t) { t.steps = 20; }), "");
  spill(folder_ / "rows.jsonl", slurp(folder_ / "rows.jsonl") + "{\"text\":\"one more\"}\n");
  EXPECT_NE(says([](TrainOptions&) {}).find("other data"), std::string::npos);
}

TEST_F(TrainRun, RowsShowTheirMask) {
  const Training training(model_, options("rows"));
  const auto rows = training.rows(2);
  ASSERT_EQ(rows.size(), 2u);
  ASSERT_EQ(rows[0].pieces.size(), 2u);
  EXPECT_FALSE(rows[0].pieces[0].learned);
  EXPECT_EQ(rows[0].pieces[1].text.substr(0, 6), "hello ");
  EXPECT_NE(rows[0].pieces[1].text.find("<|im_end|>"), std::string::npos);
}

TEST_F(TrainRun, OptionsThatMakeNoSenseAreRefused) {
  const auto says = [&](void (*change)(TrainOptions&)) {
    TrainOptions o = options("refused");
    change(o);
    return refusal([&] { run(o); });
  };
  EXPECT_NE(says([](TrainOptions& o) { o.merge = "Q99"; }), "");
  EXPECT_NE(says([](TrainOptions& o) { o.targets = {"no_such_tensor"}; }), "");
  EXPECT_NE(says([](TrainOptions& o) { o.schedule = "sideways"; }), "");
  EXPECT_NE(says([](TrainOptions& o) { o.warmup = 99; }), "");
  EXPECT_NE(says([](TrainOptions& o) { o.rank = 4096; }).find("smaller side"), std::string::npos);
  EXPECT_NE(says([](TrainOptions& o) { o.full = true, o.targets = {"ffn"}; }), "");
  EXPECT_NE(says([](TrainOptions& o) { o.data += ".missing"; }), "");
}

TEST(TrainMemoryNeeds, WhatDoesNotFitSaysWhatToLower) {
  TrainMemory memory;
  memory.available = 8ull << 30;
  memory.activations = 9ull << 30;
  const TrainOptions options;
  try {
    require_memory(memory, options, "model.gguf");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
    EXPECT_NE(error.hint().find("--batch-tokens"), std::string::npos);
  }
  memory.activations = 0, memory.moments = 9ull << 30;
  TrainOptions full;
  full.full = true;
  try {
    require_memory(memory, full, "model.gguf");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("--lora-rank"), std::string::npos);
  }
  memory.available = 10ull << 30;
  require_memory(memory, full, "model.gguf");
}

// A field of /proc/self/status in KiB.
int64_t status(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::stoll(line.substr(name.size() + 1));
  }
  return 0;
}

// The share by which what a training took at its fullest was more than was reckoned, in a process of its own.
double excess(const std::string& model, const TrainOptions& options) {
  int ends[2];
  if (::pipe(ends) != 0) return NAN;
  if (const pid_t child = ::fork(); child == 0) {
    double result = NAN;
    try {
      const int64_t before = status("VmRSS");
      Training training(model, options);
      const auto reckoned = static_cast<double>(training.plan().memory.total());
      training.run([](const TrainPoint&) { return true; });
      result = static_cast<double>(status("VmHWM") - before) * 1024 / reckoned - 1;
    } catch (const std::exception& error) {
      fprintf(stderr, "%s\n", error.what());
    }
    [[maybe_unused]] const auto written = ::write(ends[1], &result, sizeof result);
    ::_exit(0);
  } else {
    double result = NAN;
    ::close(ends[1]);
    [[maybe_unused]] const auto got = ::read(ends[0], &result, sizeof result);
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return result;
  }
}

TEST(TrainMemoryNeeds, AreWhatATrainingTakes) {
  const TrainingFolder folder;
  TinyModelShape shape;
  shape.layers = 4, shape.width = 512, shape.heads = 8, shape.kv_heads = 4, shape.ffn_width = 1024;
  const std::string model = folder / "model.gguf";
  with_tiny_model(shape, [&](const GgufWriter& writer) { writer.write(model); });
  spill(folder / "rows.jsonl", "{\"text\":\"" + std::string(2000, 'x') + "\"}\n");
  for (const bool full : {false, true}) {
    TrainOptions o;
    o.data = folder / "rows.jsonl";
    o.out = folder / (full ? "full" : "lora");
    o.full = full;
    o.eval_share = 0;
    o.steps = 1;
    o.micro_tokens = 1024;
    o.threads = 2;
    const double more = excess(model, o);
    EXPECT_LT(std::fabs(more), 0.15) << (full ? "full" : "lora") << ": took " << more << " more than reckoned";
  }
}

}  // namespace
}  // namespace fieldprint
