#include "fieldprint/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "gguf/gguf.h"
#include "make/mixes.h"
#include "support/files.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

class Quantizing : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("fieldprint-quantize-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
    GgufWriter writer;
    writer.set("general.architecture", "tiny");
    writer.set("general.file_type", uint32_t{0});
    writer.set("tiny.words", std::vector<std::string>{"a", "b"});
    add(&writer, "token_embd.weight", {512, 8});
    for (int layer = 0; layer < 8; ++layer) {
      const std::string block = "blk." + std::to_string(layer) + ".";
      add(&writer, block + "attn_norm.weight", {512});
      add(&writer, block + "attn_v.weight", {512, 8});
      add(&writer, block + "attn_output.weight", {96, 8});
      add(&writer, block + "ffn_gate_inp.weight", {512, 2});
      add(&writer, block + "ffn_down_exps.weight", {256, 4, 2});
    }
    writer.write(in());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string in() const { return (folder_ / "in.gguf").string(); }
  std::string out() const { return (folder_ / "out.gguf").string(); }

  void add(GgufWriter* writer, const std::string& name, const std::vector<uint64_t>& shape) {
    size_t n = 1;
    for (const uint64_t length : shape) n *= length;
    auto& values = tensors_.emplace_back(n);
    for (float& value : values) value = random_.normal() * 0.05f;
    writer->add_tensor(name, *find_quant_type("F32"), shape, std::as_bytes(std::span(values)));
  }

  // An importance matrix for the experts of layer 0: the first asked 2 times, the second never.
  std::string importance(uint64_t columns) {
    sums_.assign(columns * 2, 0.0f);
    for (size_t i = 0; i < columns; ++i) sums_[i] = i % 16 == 0 ? 2000.0f : 2.0f;
    GgufWriter writer;
    writer.set("general.type", "imatrix");
    writer.add_tensor("blk.0.ffn_down_exps.weight.in_sum2", *find_quant_type("F32"), {columns, 2},
                      std::as_bytes(std::span(sums_)));
    writer.add_tensor("blk.0.ffn_down_exps.weight.counts", *find_quant_type("F32"), {1, 2},
                      std::as_bytes(std::span(counts_)));
    const std::string path = (folder_ / "imatrix.gguf").string();
    writer.write(path);
    return path;
  }

  std::string refusal(const QuantizeOptions& options) {
    try {
      plan_quantize(in(), options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  Rng random_{3};
  std::filesystem::path folder_;
  std::vector<std::vector<float>> tensors_;
  std::vector<float> sums_, counts_ = {2.0f, 0.0f};
};

TEST_F(Quantizing, EveryMixWritesWhatItPlanned) {
  for (const QuantizeMix& mix : quantize_mixes()) {
    SCOPED_TRACE(mix.name);
    QuantizeOptions options;
    options.mix = mix.name;
    options.allow_unweighted = true;
    const QuantizePlan planned = plan_quantize(in(), options);
    const QuantizePlan done = quantize(in(), out(), options);
    const auto file = GgufFile::open(out());
    EXPECT_EQ(file->integer("general.file_type"), find_mix(mix.name)->file_type);
    EXPECT_EQ(file->integer("general.quantization_version"), 2);
    EXPECT_EQ(file->string("general.architecture"), "tiny");
    EXPECT_EQ(file->array("tiny.words")->strings[1], "b");
    ASSERT_EQ(planned.tensors.size(), file->tensors().size());
    for (size_t i = 0; i < planned.tensors.size(); ++i) {
      const GgufTensor& tensor = file->tensors()[i];
      EXPECT_EQ(tensor.name, planned.tensors[i].name);
      EXPECT_EQ(tensor.type->name, planned.tensors[i].to);
      EXPECT_EQ(tensor.bytes, planned.tensors[i].bytes_to);
      EXPECT_EQ(done.tensors[i].to, planned.tensors[i].to);
      std::vector<float> values(tensor.elements());
      tensor.type->decode(tensor.data, values.data(), static_cast<int64_t>(values.size()));
      double off = 0, all = 0;
      for (size_t k = 0; k < values.size(); ++k) {
        const double value = tensors_[i][k];
        off += (values[k] - value) * (values[k] - value), all += value * value;
      }
      EXPECT_LT(std::sqrt(off / all), 0.5) << tensor.name;
      const bool small =
          tensor.name.find("norm") != std::string_view::npos || tensor.name.find("gate_inp") != std::string_view::npos;
      if (small) {
        EXPECT_EQ(tensor.type->name, "F32");
        EXPECT_EQ(off, 0);
      }
    }
  }
}

TEST_F(Quantizing, BytesDoNotDependOnThreads) {
  QuantizeOptions options;
  options.mix = "q4_k_m";
  options.threads = 1;
  quantize(in(), out(), options);
  const std::string one = slurp(out());
  options.threads = 3;
  quantize(in(), out(), options);
  EXPECT_EQ(slurp(out()), one);
}

TEST_F(Quantizing, PatternsComeBeforeTheMixAndTheLastOneCounts) {
  QuantizeOptions options;
  options.mix = "Q4_0";
  options.tensors = {{"blk.*.attn_v.weight", "Q8_0"}, {"blk.[01].attn_v.weight", "f16"}};
  for (const QuantizedTensor& tensor : plan_quantize(in(), options).tensors) {
    if (tensor.name.find("attn_v") == std::string::npos) continue;
    EXPECT_EQ(tensor.to, tensor.name < "blk.2" ? "F16" : "Q8_0") << tensor.name;
  }
  options.tensors = {{"*", "Q8_0"}};
  for (const QuantizedTensor& tensor : plan_quantize(in(), options).tensors) {
    if (tensor.name.find("norm") == std::string::npos) continue;
    EXPECT_EQ(tensor.to, "F32") << tensor.name;
    EXPECT_EQ(tensor.note, "this kind stays F32");
  }
  options.tensors.push_back({"nothing.*", "F16"});
  EXPECT_THAT(refusal(options), HasSubstr("no tensor is named nothing.*"));
  options.tensors = {{"*", "Q9"}};
  EXPECT_THAT(refusal(options), HasSubstr("there is no type Q9"));
}

TEST_F(Quantizing, RowsThatFitNoBlockSaySo) {
  QuantizeOptions options;
  options.mix = "Q6_K";
  for (const QuantizedTensor& tensor : plan_quantize(in(), options).tensors) {
    if (tensor.name.find("attn_output") == std::string::npos) continue;
    EXPECT_EQ(tensor.to, "Q8_0");
    EXPECT_EQ(tensor.note, "rows of 96 do not fit Q6_K");
  }
}

TEST_F(Quantizing, AnImportanceMatrixLowersTheWeightedErrorAndMustFit) {
  QuantizeOptions options;
  options.mix = "Q2_K";
  options.allow_unweighted = true;
  options.tensors = {{"blk.0.ffn_down_exps.weight", "Q2_K"}};
  const auto weighted_error = [&] {
    quantize(in(), out(), options);
    const auto file = GgufFile::open(out());
    const GgufTensor& tensor = file->tensor("blk.0.ffn_down_exps.weight");
    std::vector<float> before(tensor.elements()), after(tensor.elements());
    GgufFile::open(in())
        ->tensor(tensor.name)
        .type->decode(GgufFile::open(in())->tensor(tensor.name).data, before.data(),
                      static_cast<int64_t>(before.size()));
    tensor.type->decode(tensor.data, after.data(), static_cast<int64_t>(after.size()));
    double sum = 0;  // both experts: the one never asked takes the other's importance
    for (size_t i = 0; i < after.size(); ++i) sum += (i % 16 == 0 ? 1000.0 : 1.0) * std::pow(after[i] - before[i], 2);
    return sum;
  };
  const double plain = weighted_error();
  options.importance = importance(256);
  EXPECT_LT(weighted_error(), plain * 0.5);
  importance(128);
  EXPECT_THAT(refusal(options), HasSubstr("made for another model"));
  options.importance = in();
  EXPECT_THAT(refusal(options), HasSubstr("is no importance matrix"));
}

TEST_F(Quantizing, TypesOfFewBitsAskForAnImportanceMatrix) {
  QuantizeOptions options;
  for (const char* mix : {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "Q2_K_S"}) {
    options.mix = mix;
    EXPECT_THAT(refusal(options), HasSubstr("needs an importance matrix")) << mix;
  }
  for (const char* mix : {"IQ3_XXS", "Q3_K_S", "TQ1_0", "TQ2_0", "Q4_0"}) {
    options.mix = mix;
    EXPECT_EQ(refusal(options), "") << mix;
  }
  options.mix = "";
  EXPECT_EQ(refusal(options), "which type?");
  options.mix = "Q9_K";
  EXPECT_EQ(refusal(options), "there is no type Q9_K");
}

TEST_F(Quantizing, AStopLeavesNothing) {
  QuantizeOptions options;
  options.mix = "Q8_0";
  EXPECT_THROW(quantize(in(), out(), options, [](auto, auto, auto) { return false; }), Error);
  EXPECT_FALSE(std::filesystem::exists(out()));
  quantize(in(), in(), options);  // over itself
  EXPECT_EQ(GgufFile::open(in())->tensor("token_embd.weight").type->name, "Q8_0");
}

}  // namespace
}  // namespace fieldprint
