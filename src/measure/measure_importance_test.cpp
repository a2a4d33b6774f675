#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fieldprint/error.h"
#include "fieldprint/importance.h"
#include "make/importance.h"
#include "make/importance_sums.h"
#include "support/files.h"
#include "support/paths.h"
#include "support/temp_home.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

std::string words(int count, int seed) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += std::to_string((i * 7919 + seed * 104729) % 9973) + (i % 11 == 10 ? "\n" : " ");
  return text;
}

class MeasuringImportance : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (home_.path() / name).string(); }
  std::shared_ptr<const Model> model(int threads = 2) const { return Model::load(file_.path(), {.threads = threads}); }

  static ImportanceOptions options(double weight = 1, int seed = 1) {
    ImportanceOptions options;
    options.context = 64;
    options.chunks = 5;
    options.texts.push_back({"text", words(200, seed), weight});
    return options;
  }

  TempHome home_;
  TinyModelFile file_;
};

// The first layer's inputs are norm(embedding of the token) * weight, which needs no forward pass.
TEST_F(MeasuringImportance, FirstLayerIsItsFormula) {
  const auto loaded = model();
  ImportanceOptions wanted = options();
  measure_importance(loaded, wanted, path("out"));
  const auto file = GgufFile::open(file_.path());
  const auto values = [&](const char* name) {
    const GgufTensor& tensor = file->tensor(name);
    std::vector<float> decoded(tensor.elements());
    tensor.type->decode(tensor.data, decoded.data(), static_cast<int64_t>(decoded.size()));
    return decoded;
  };
  const auto embedding = values("token_embd.weight"), norm = values("blk.0.attn_norm.weight");
  const auto epsilon = file->number("llama.attention.layer_norm_rms_epsilon");
  const size_t width = norm.size();
  std::vector<double> sums(width);
  auto ids = loaded->tokenizer().encode(wanted.texts[0].text, {.add_special = true, .parse_special = false});
  ids.resize(static_cast<size_t>(wanted.context * wanted.chunks));
  for (const TokenId id : ids) {
    const float* x = embedding.data() + static_cast<size_t>(id) * width;
    double square = 0;
    for (size_t i = 0; i < width; ++i) square += double{x[i]} * double{x[i]};
    const double scale = 1.0 / std::sqrt(square / static_cast<double>(width) + epsilon);
    for (size_t i = 0; i < width; ++i) sums[i] += std::pow(double{x[i]} * scale * double{norm[i]}, 2);
  }
  const auto measured = ImportanceSums::read(path("out"));
  for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"}) {
    const auto& tensor = measured.tensors.at(name);
    ASSERT_EQ(tensor.columns, width);
    ASSERT_EQ(tensor.counts, std::vector<float>{static_cast<float>(ids.size())});
    for (size_t i = 0; i < width; ++i) EXPECT_NEAR(double{tensor.sums[i]}, sums[i], 1e-5 * sums[i]) << name << " " << i;
  }
  EXPECT_EQ(measured.chunks, 5u);
  EXPECT_EQ(measured.chunk_size, 64u);
  EXPECT_EQ(measured.datasets, std::vector<std::string>{"text"});
}

TEST_F(MeasuringImportance, EveryMatrixIsMeasuredAsTheReferenceDoes) {
  ImportanceOptions wanted = options();
  wanted.chunks = 1;
  measure_importance(model(), wanted, path("run"));
  wanted.session.executor = "reference";
  measure_importance(model(), wanted, path("reference"));
  const auto run = ImportanceSums::read(path("run")), reference = ImportanceSums::read(path("reference"));
  size_t matrices = 0;
  const auto loaded = model();
  for (const TensorInfo& tensor : loaded->info().tensors) matrices += tensor.shape.size() == 2 ? 1 : 0;
  EXPECT_EQ(run.tensors.size(), matrices);  // the embedding is the output here
  ASSERT_EQ(run.tensors.size(), reference.tensors.size());
  for (const auto& [name, tensor] : reference.tensors) {
    const auto& ours = run.tensors.at(name);
    EXPECT_EQ(ours.counts, tensor.counts) << name;
    for (size_t i = 0; i < tensor.sums.size(); ++i) {
      EXPECT_NEAR(ours.sums[i], tensor.sums[i], 0.02f * tensor.sums[i] + 1e-4f) << name << " " << i;
    }
  }
}

TEST_F(MeasuringImportance, BytesDoNotDependOnThreadsOrInterruptions) {
  measure_importance(model(1), options(), path("one"));
  ImportanceOptions steps = options();
  steps.session.chunk = 7;
  measure_importance(model(3), steps, path("three"));
  EXPECT_EQ(slurp(path("one")), slurp(path("three")));

  ImportanceOptions wanted = options();
  const auto stop_after = [](int chunks) {
    return [chunks](const ImportanceProgress& now) { return now.chunks < chunks; };
  };
  wanted.save_every = 0;  // a stop saves all the same
  EXPECT_THAT(refusal([&] { measure_importance(model(), wanted, path("parts"), stop_after(2)); }),
              HasSubstr("stopped after 2 of 5"));
  EXPECT_FALSE(std::filesystem::exists(path("parts")));
  EXPECT_EQ(summarize_importance(path("parts.part")).chunks, 2u);
  int resumed = -1;
  measure_importance(model(), wanted, path("parts"), [&](const ImportanceProgress& now) {
    if (resumed < 0) resumed = now.resumed;
    return true;
  });
  EXPECT_EQ(resumed, 2);
  EXPECT_EQ(slurp(path("parts")), slurp(path("one")));
  EXPECT_FALSE(std::filesystem::exists(path("parts.part")));

  // All done: nothing is measured again. Another text: from the beginning.
  int calls = 0;
  measure_importance(model(), wanted, path("parts"), [&](const ImportanceProgress&) { return ++calls > 0; });
  EXPECT_EQ(calls, 1);
  measure_importance(model(), options(1, 2), path("parts"));
  EXPECT_NE(slurp(path("parts")), slurp(path("one")));
}

TEST_F(MeasuringImportance, AnotherJobsPartIsNotTakenUp) {
  EXPECT_NE(refusal([&] {
              measure_importance(model(), options(), path("out"), [](const auto& now) { return now.chunks < 2; });
            }),
            "");
  measure_importance(model(), options(1, 2), path("out"), [](const ImportanceProgress& now) {
    EXPECT_EQ(now.resumed, 0);
    return true;
  });
  measure_importance(model(), options(1, 2), path("alone"));
  EXPECT_EQ(slurp(path("out")), slurp(path("alone")));
}

TEST_F(MeasuringImportance, WeightsAndMergesAddUp) {
  ImportanceOptions both = options(2, 1);
  both.texts.push_back(options(0.5, 2).texts[0]);
  measure_importance(model(), both, path("both"));

  measure_importance(model(), options(1, 1), path("first"));
  measure_importance(model(), options(1, 2), path("second"));
  ImportanceOptions merge;
  merge.files = {{path("first"), 2.0}, {path("second"), 0.5}};
  measure_importance(nullptr, merge, path("merged"));

  const auto expected = ImportanceSums::read(path("both")), merged = ImportanceSums::read(path("merged"));
  EXPECT_EQ(merged.chunks, 10u);
  EXPECT_EQ(merged.chunk_size, 64u);
  ASSERT_EQ(merged.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors) {
    const auto& ours = merged.tensors.at(name);
    EXPECT_EQ(ours.counts, tensor.counts);
    EXPECT_EQ(ours.counts[0], 64 * 5 * 2.5f);
    for (size_t i = 0; i < tensor.sums.size(); ++i) EXPECT_NEAR(ours.sums[i], tensor.sums[i], 1e-5f * tensor.sums[i]);
  }

  TinyModelShape other;
  other.width = 128;
  const TinyModelFile wide(other);
  measure_importance(Model::load(wide.path()), options(), path("wide"));
  merge.files = {{path("first"), 1.0}, {path("wide"), 1.0}};
  EXPECT_THAT(refusal([&] { measure_importance(nullptr, merge, path("merged")); }), HasSubstr("another model's"));
  merge.files = {{path("first"), 0.0}};
  EXPECT_THAT(refusal([&] { measure_importance(nullptr, merge, path("merged")); }), HasSubstr("a weight of 0"));
}

TEST_F(MeasuringImportance, ExpertsAreCountedEach) {
  if (shared_dir().empty()) GTEST_SKIP() << "no ../shared with a mixture of experts";
  const auto moe = Model::load((shared_dir() / "golden" / "logits" / "lfm2moe-f16.gguf").string());
  ImportanceOptions wanted = options();
  wanted.chunks = 2;
  measure_importance(moe, wanted, path("run"));
  wanted.session.executor = "reference";
  measure_importance(moe, wanted, path("reference"));
  const auto file = GgufFile::open(moe->info().path);
  const auto active = static_cast<float>(file->integer("lfm2moe.expert_used_count"));
  const auto experts = static_cast<size_t>(file->integer("lfm2moe.expert_count"));
  const auto run = ImportanceSums::read(path("run")), reference = ImportanceSums::read(path("reference"));
  int stacks = 0;
  for (const auto& [name, tensor] : reference.tensors) {
    const auto& ours = run.tensors.at(name);
    float rows = 0;
    for (const float count : ours.counts) rows += count;
    const bool stack = name.find("_exps.") != std::string::npos;
    stacks += stack ? 1 : 0;
    EXPECT_EQ(ours.experts(), stack ? experts : 1) << name;
    EXPECT_EQ(rows, 64 * 2 * (stack ? active : 1.0f)) << name;
    double off = 0, all = 0;
    for (size_t i = 0; i < tensor.sums.size(); ++i) {
      off += std::pow(double{ours.sums[i]} - double{tensor.sums[i]}, 2);
      all += std::pow(double{tensor.sums[i]}, 2);
    }
    EXPECT_LT(off / all, 1e-2) << name;  // a near tie between experts may go either way
  }
  EXPECT_GT(stacks, 0);
}

ImportanceSums two_experts() {
  ImportanceSums sums;
  sums.tensors["x"] = {2, {8, 4, 0, 0}, {4, 0}};
  sums.tensors["idle"] = {2, {0, 0}, {0}};
  return sums;
}

TEST_F(MeasuringImportance, AnExpertThatWasNeverAskedTakesTheOthersMean) {
  const Importance importance(two_experts());
  EXPECT_EQ(importance.find("x")->means, (std::vector<float>{2, 1, 2, 1}));
  EXPECT_EQ(importance.find("idle"), nullptr);
}

TEST_F(MeasuringImportance, StatisticsAreWhatTheySay) {
  ImportanceSums sums = two_experts();
  sums.tensors["one"] = {4, {0, 12, 0, 4}, {2}};
  sums.chunks = 3;
  sums.write(path("file"));
  const auto summary = summarize_importance(path("file"), 2);
  EXPECT_EQ(summary.chunks, 3u);
  ASSERT_EQ(summary.tensors.size(), 3u);
  EXPECT_EQ(summary.tensors[0].tensor, "idle");
  EXPECT_EQ(summary.tensors[0].experts_idle, 1u);
  const ImportanceStatistics& one = summary.tensors[1];
  EXPECT_EQ(one.sum, 8);
  EXPECT_EQ(one.mean, 2);
  EXPECT_EQ(one.max, 6);
  EXPECT_EQ(one.zeros, 0.5);
  EXPECT_NEAR(one.entropy, -(0.75 * std::log(0.75) + 0.25 * std::log(0.25)) / std::log(4.0), 1e-12);
  EXPECT_EQ(one.top, (std::vector<std::pair<uint64_t, double>>{{1, 0.75}, {3, 0.25}}));
  EXPECT_EQ(summary.tensors[2].experts_idle, 1u);
  EXPECT_EQ(summary.tensors[2].mean, 1.5);
}

// llama.cpp's older format, as its imatrix program wrote it.
std::string old_format(bool trailer) {
  std::string bytes;
  const auto number = [&](int32_t value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof(value)); };
  number(1);
  number(4), bytes += "blk.";
  number(3);  // chunks
  number(2);  // values
  for (const float value : {6.0f, 1.5f}) bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  if (trailer) number(3), number(8), bytes += "wiki.txt";
  return bytes;
}

TEST_F(MeasuringImportance, TheOlderFormatIsReadAndItsDamageNamed) {
  for (const bool trailer : {false, true}) {
    const std::string whole = old_format(trailer);
    spill(path("old.dat"), whole);
    const auto sums = ImportanceSums::read(path("old.dat"));
    EXPECT_EQ(Importance(sums).find("blk.")->means, (std::vector<float>{2.0f, 0.5f}));
    EXPECT_EQ(sums.tensors.at("blk.").counts[0], 3 * 512);
    EXPECT_EQ(sums.datasets.size(), trailer ? 1u : 0u);
    for (size_t length = 0; length < whole.size(); ++length) {
      if (trailer && length == old_format(false).size()) continue;
      spill(path("cut.dat"), whole.substr(0, length));
      EXPECT_THAT(refusal([&] { ImportanceSums::read(path("cut.dat")); }), HasSubstr("is no importance matrix"))
          << length;
    }
  }
  std::string negative = old_format(false);
  negative[negative.size() - 1] = '\xbf';  // -1.5
  spill(path("bad.dat"), negative);
  EXPECT_THAT(refusal([&] { ImportanceSums::read(path("bad.dat")); }), HasSubstr("no number from 0 up"));
}

TEST_F(MeasuringImportance, WhatIsNoImportanceMatrixIsRefused) {
  EXPECT_THAT(refusal([&] { ImportanceSums::read(file_.path()); }), HasSubstr("its general.type is not imatrix"));
  const auto write = [&](uint64_t columns, uint64_t counts, const char* type) {
    std::vector<std::byte> bytes(find_quant_type(std::string_view(type))->bytes(columns)), numbers(counts * 4);
    GgufWriter writer;
    writer.set("general.type", "imatrix");
    if (columns > 0) writer.add_tensor("x.in_sum2", *find_quant_type(std::string_view(type)), {columns, 1}, bytes);
    if (counts > 0) writer.add_tensor("x.counts", *find_quant_type(std::string_view("F32")), {1, counts}, numbers);
    writer.write(path("odd"));
    return refusal([&] { ImportanceSums::read(path("odd")); });
  };
  EXPECT_EQ(write(8, 1, "F32"), "");
  EXPECT_THAT(write(8, 2, "F32"), HasSubstr("do not belong together"));
  EXPECT_THAT(write(8, 1, "F16"), HasSubstr("not F32"));
  EXPECT_THAT(write(8, 0, "F32"), HasSubstr("x.counts"));
  EXPECT_THAT(write(0, 1, "F32"), HasSubstr("holds no sums"));
}

}  // namespace
}  // namespace fieldprint
