// Adapters over every shape that a model's matrices have: made, written, read back by each format, merged. Whatever way
// an adapter takes, the logits are those of the model with it beside.
#include "train/lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "fieldprint/adapter.h"
#include "fieldprint/error.h"
#include "fieldprint/model.h"
#include "fieldprint/quantize.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "models/adapter.h"
#include "models/architecture.h"
#include "safetensors/safetensors.h"
#include "safetensors/safetensors_writer.h"
#include "support/paths.h"
#include "train/export.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class Lora : public testing::Test {
 protected:
  Lora() { fs::create_directories(folder_); }
  ~Lora() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string make(const std::string& preset, const std::string& mix = "F32") const {
    SynthOptions options;
    options.preset = preset;
    options.mix = mix;
    const std::string file = path(preset + "-" + mix + ".gguf");
    synth(file, options);
    return file;
  }

  // With B no longer zero, so that it changes what the model says.
  static LoraAdapter trained(const GgufFile& model, const LoraOptions& options) {
    LoraAdapter adapter(model, options);
    Rng random(7);
    for (const Parameter& parameter : adapter.parameters()) {
      if (!parameter.name.ends_with(".lora_b")) continue;
      for (int64_t i = 0; i < parameter.count; ++i) parameter.values[i] = 0.1f * random.normal();
    }
    return adapter;
  }

  static std::vector<float> logits(const std::string& model, const std::vector<AdapterFile>& adapters = {},
                                   const SessionOptions& options = {}) {
    Session session(Model::load(model, {.threads = 2, .adapters = adapters}), options);
    std::vector<TokenId> tokens;
    for (int i = 0; i < 40; ++i) tokens.push_back((i * 97 + i / 7) % 256);
    session.append(tokens);
    return {session.logits().begin(), session.logits().end()};
  }

  static float distance(const std::vector<float>& a, const std::vector<float>& b) {
    EXPECT_EQ(a.size(), b.size());
    float most = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(std::isfinite(a[i]) && std::isfinite(b[i]));
      most = std::max(most, std::abs(a[i] - b[i]));
    }
    return most;
  }

  static std::string refusal(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& error) {
      return std::string(error.what()) + " | " + error.hint();
    }
    return "nothing was refused";
  }

  fs::path folder_ = fs::temp_directory_path() / ("fieldprint-lora-" + std::to_string(::getpid()));
};

struct Shape {
  const char* preset;
  std::vector<std::string> targets;
  bool peft;  // it has a form there
};

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = {
      {"tiny-llama", {"all"}, true},    // rows that RoPE pairs lie apart there
      {"tiny-phi3", {"all"}, true},     // q, k and v are one matrix
      {"tiny-lfm2", {}, true},          // short convolutions
      {"tiny-lfm2moe", {"all"}, true},  // a stack of experts here, one matrix each there
      {"tiny-qwen35", {"all"}, true},   // heads of linear attention in another order there
      {"tiny-granitehybrid", {"attention"}, true},
      {"tiny-gpt-oss", {"attention", "router"}, true},
  };
  return all;
}

TEST_F(Lora, MergedWeightsGiveTheLogitsOfTheModelWithItsAdapter) {
  for (const Shape& shape : shapes()) {
    for (const std::string mix : {"F32", "BF16"}) {
      SCOPED_TRACE(std::string(shape.preset) + " " + mix);
      const std::string model = make(shape.preset, mix), file = path("adapter.gguf"), merged = path("merged.gguf");
      const auto source = GgufFile::open(model);
      const LoraAdapter adapter = trained(*source, {.rank = 4, .alpha = 4, .targets = shape.targets});
      write_gguf_adapter(file, *source, adapter.additions());
      const auto beside = logits(model, {{file, 0.5f}});
      EXPECT_GT(distance(beside, logits(model)), 1e-2f);
      QuantizeOptions options;
      options.mix = "F32";
      options.adapters = {{file, 0.5f}};
      const QuantizePlan plan = quantize(model, merged, options);
      size_t changed = 0;
      for (const QuantizedTensor& tensor : plan.tensors) changed += tensor.merged ? 1 : 0;
      EXPECT_EQ(changed, adapter.additions().size());
      EXPECT_LT(distance(beside, logits(merged)), 1e-4f);
    }
  }
}

TEST_F(Lora, PeftFoldersGiveTheSameLogitsAsGguf) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(shape.preset);
    const std::string model = make(shape.preset), file = path("adapter.gguf"), folder = path("adapter");
    const auto source = GgufFile::open(model);
    const LoraAdapter adapter = trained(*source, {.rank = 3, .alpha = 6, .targets = shape.targets});
    write_gguf_adapter(file, *source, adapter.additions());
    write_peft_adapter(folder, *source, adapter.additions());
    EXPECT_EQ(logits(model, {{file}}), logits(model, {{folder}}));
    EXPECT_EQ(logits(model, {{file}}), logits(model, {{folder + "/adapter_model.safetensors"}}));
  }
}

// By a rule of this test's own: rows of a head that are neighbours here are half a head apart there.
TEST_F(Lora, PeftFoldersHaveRowsAsHuggingFaceModelsDo) {
  const std::string model = make("tiny-llama"), folder = path("adapter");
  const auto source = GgufFile::open(model);
  const LoraAdapter adapter = trained(*source, {.rank = 2, .targets = {"blk.1.attn_k.weight"}});
  write_peft_adapter(folder, *source, adapter.additions());
  const auto file = SafetensorsFile::open(folder + "/adapter_model.safetensors");
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(file->tensors()[0].name, "base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight");
  const SafeTensor& b = file->tensors()[1];
  EXPECT_EQ(b.name, "base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight");
  const int64_t rows = adapter.additions()[0].low_rank.b.rows, head = read_hyperparameters(*source).head_dim;
  ASSERT_THAT(b.shape, ElementsAre(rows, 2));
  const float* here = adapter.additions()[0].low_rank.b.floats();
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t within = row % head, there = row - within + within / 2 + within % 2 * (head / 2);
    EXPECT_EQ(std::memcmp(b.data + there * 8, here + row * 2, 8), 0) << row;
  }
}

// Saved by PEFT, and what the model says with it by transformers: tests/golden/make_lora.py.
TEST_F(Lora, AFolderSavedByPeftGivesItsLogits) {
  const std::string golden = (source_dir() / "tests/golden/lora").string();
  json expected;
  std::ifstream(golden + "/logits.json") >> expected;
  const std::string model = make("tiny-llama");
  Session session(Model::load(model, {.adapters = {{golden}}}), {.kv_type = "f32"});
  session.append(expected["tokens"].get<std::vector<TokenId>>());
  const std::vector<float> got(session.logits().begin(), session.logits().end());
  EXPECT_LT(distance(got, expected["logits"].get<std::vector<float>>()), 1e-4f);
  const AdapterInfo info = inspect_adapter(golden);
  EXPECT_EQ(info.format, "PEFT");
  EXPECT_TRUE(info.rank_stabilised);
  EXPECT_EQ(info.tensors.size(), 3u);
}

TEST_F(Lora, AFusedMatrixThereIsTwoHere) {
  const std::string model = make("tiny-granitehybrid"), file = path("adapter.gguf"), folder = path("adapter");
  const auto source = GgufFile::open(model);
  for (const std::vector<std::string>& targets : {std::vector<std::string>{"ffn_*_shexp"}, {"ffn_gate_shexp"}}) {
    const LoraAdapter adapter = trained(*source, {.rank = 2, .alpha = 2, .targets = targets});
    write_gguf_adapter(file, *source, adapter.additions());
    write_peft_adapter(folder, *source, adapter.additions());
    EXPECT_LT(distance(logits(model, {{file}}), logits(model, {{folder}})), 1e-5f);
    EXPECT_GT(distance(logits(model, {{file}}), logits(model)), 1e-3f);
  }
  const LoraAdapter experts = trained(*source, {.rank = 2, .targets = {"experts"}});
  EXPECT_THAT(refusal([&] { write_peft_adapter(folder, *source, experts.additions()); }),
              HasSubstr("is no module of its own on Hugging Face | write the adapter as GGUF"));
}

TEST_F(Lora, SeveralAreAddedEachByItsScale) {
  const std::string model = make("tiny-llama"), a = path("a.gguf"), b = path("b.gguf");
  const auto source = GgufFile::open(model);
  write_gguf_adapter(a, *source, trained(*source, {.rank = 2, .targets = {"ffn"}}).additions());
  write_gguf_adapter(b, *source, trained(*source, {.rank = 5, .targets = {"all"}, .seed = 2}).additions());
  const auto both = logits(model, {{a}, {b, 0.25f}});
  EXPECT_GT(distance(both, logits(model, {{a}})), 1e-3f);
  EXPECT_GT(distance(both, logits(model, {{b, 0.25f}})), 1e-3f);
  EXPECT_LT(distance(logits(model, {{a}, {b}, {b, -1}}), logits(model, {{a}})), 1e-4f);
  EXPECT_EQ(logits(model, {{a, 0}}), logits(model));
  QuantizeOptions options;
  options.adapters = {{a}, {b, 0.25f}};
  quantize(model, path("merged.gguf"), options);
  EXPECT_LT(distance(both, logits(path("merged.gguf"))), 1e-4f);
  EXPECT_LT(distance(both, logits(model, {{a}, {b, 0.25f}}, {.executor = "reference"})), 1e-2f);
  EXPECT_EQ(both, logits(model, {{a}, {b, 0.25f}}, {.chunk = 3}));
}

TEST_F(Lora, QuantisedModelsTakeThemAndKeepTheirTypesMerged) {
  const std::string model = make("tiny-llama", "Q8_0"), file = path("adapter.gguf"), merged = path("merged.gguf");
  const auto source = GgufFile::open(model);
  write_gguf_adapter(file, *source, trained(*source, {.rank = 2}).additions());
  EXPECT_GT(distance(logits(model, {{file}}), logits(model)), 1e-2f);
  QuantizeOptions options;
  options.adapters = {{file}};
  for (const QuantizedTensor& tensor : quantize(model, merged, options).tensors) EXPECT_EQ(tensor.from, tensor.to);
  EXPECT_LT(distance(logits(model, {{file}}), logits(merged)), 0.2f);
  options.mix = "F32";
  quantize(model, merged, options);
  // The model beside its adapter rounds inputs to bytes, the merged one does not.
  EXPECT_LT(distance(logits(model, {{file}}, {.executor = "reference"}), logits(merged)), 1e-2f);
}

TEST_F(Lora, SavedSessionsOfAnotherAdapterAreRefused) {
  const std::string model = make("tiny-llama"), file = path("adapter.gguf"), saved = path("saved");
  const auto source = GgufFile::open(model);
  write_gguf_adapter(file, *source, trained(*source, {.rank = 2}).additions());
  const auto load = [&](const std::vector<AdapterFile>& adapters) {
    return Model::load(model, {.adapters = adapters});
  };
  Session session(load({{file}}), {});
  const std::vector<TokenId> tokens = {1, 2, 3};
  session.append(tokens);
  session.save(saved);
  EXPECT_NO_THROW(Session(load({{file}}), {}).load(saved));
  EXPECT_NE(refusal([&] { Session(load({}), {}).load(saved); }), "nothing was refused");
  EXPECT_NE(refusal([&] { Session(load({{file, 0.5f}}), {}).load(saved); }), "nothing was refused");
  write_peft_adapter(path("adapter"), *source, trained(*source, {.rank = 2}).additions());
  EXPECT_EQ(load({{file}})->fingerprint(), load({{path("adapter")}})->fingerprint()) << "the same numbers";
}

// ---- What a file can get wrong

class HostileLora : public Lora {
 protected:
  struct Matrix {
    std::string name;
    std::vector<uint64_t> shape;  // fastest first
    float value = 0.5f;
  };

  void write(const std::vector<Matrix>& matrices, const std::function<void(GgufWriter&)>& change = {}) {
    GgufWriter writer;
    writer.set("general.type", "adapter");
    writer.set("general.architecture", "llama");
    writer.set("adapter.type", "lora");
    writer.set("adapter.lora.alpha", 2.0f);
    if (change) change(writer);
    std::deque<std::vector<float>> values;
    for (const Matrix& matrix : matrices) {
      uint64_t count = 1;
      for (const uint64_t length : matrix.shape) count *= length;
      auto& data = values.emplace_back(count, 0.5f);
      data.back() = matrix.value;
      writer.add_tensor(matrix.name, *find_quant_type("F32"), matrix.shape, std::as_bytes(std::span(data)));
    }
    writer.write(file_);
  }

  std::string refused() {
    return refusal([&] { (void)Model::load(model_, {.adapters = {{file_}}}); });
  }

  const std::string file_ = path("hostile.gguf"), model_ = make("tiny-llama");
  const GgufTensor q_ = GgufFile::open(model_)->tensor("blk.0.attn_q.weight");
  const uint64_t in_ = q_.shape[0], out_ = q_.shape[1];
};

TEST_F(HostileLora, GgufFilesAreRefusedWithWhatIsWrong) {
  const std::string a = "blk.0.attn_q.weight.lora_a", b = "blk.0.attn_q.weight.lora_b";
  const Matrix good_a{a, {in_, 2}}, good_b{b, {2, out_}};
  write({good_a, good_b});
  EXPECT_EQ(refused(), "nothing was refused");
  write({good_a, good_b}, [](GgufWriter& writer) { writer.set("general.architecture", "lfm2"); });
  EXPECT_THAT(refused(), HasSubstr("is an adapter for models of architecture 'lfm2', not llama"));
  write({good_a, good_b}, [](GgufWriter& writer) { writer.set("general.type", "model"); });
  EXPECT_THAT(refused(), HasSubstr("is no adapter"));
  write({good_a, good_b}, [](GgufWriter& writer) { writer.set("adapter.type", "control"); });
  EXPECT_THAT(refused(), HasSubstr("is an adapter of type 'control', only lora is supported"));
  write({good_a, good_b},
        [](GgufWriter& writer) { writer.set("adapter.lora.alpha", std::numeric_limits<float>::infinity()); });
  EXPECT_THAT(refused(), HasSubstr("states an alpha that is no number"));
  write({good_a});
  EXPECT_THAT(refused(), HasSubstr("has no matrix B for 'blk.0.attn_q.weight'"));
  write({});
  EXPECT_THAT(refused(), HasSubstr("changes nothing"));
  write({{a, {in_, 3}}, good_b});
  EXPECT_THAT(refused(), HasSubstr("of no common rank"));
  write({{a, {in_ - 1, 2}}, good_b});
  EXPECT_THAT(refused(), HasSubstr("is it an adapter of this model?"));
  write({good_a, {b, {2, out_ + 1}}});
  EXPECT_THAT(refused(), HasSubstr("is it an adapter of this model?"));
  write({{a, {in_, 2, 2}}, {b, {2, out_, 2}}});
  EXPECT_THAT(refused(), HasSubstr("is it an adapter of this model?"));
  write({good_a, {b, {2, out_}, std::nanf("")}});
  EXPECT_THAT(refused(), HasSubstr("hold values that are no numbers"));
  write({{"blk.9.attn_q.weight.lora_a", {in_, 2}}, {"blk.9.attn_q.weight.lora_b", {2, out_}}});
  EXPECT_THAT(refused(), HasSubstr("changes 'blk.9.attn_q.weight', which the model does not have"));
  write({{"token_embd.weight.lora_a", {in_, 2}}, {"token_embd.weight.lora_b", {2, 320}}});
  EXPECT_THAT(refused(), HasSubstr("which is no matrix that inputs are multiplied with"));
  write({good_a, good_b, {"output_norm.weight", {in_}}});
  EXPECT_THAT(refused(), HasSubstr("has tensor 'output_norm.weight', which is neither matrix of a pair"));
  EXPECT_THAT(refusal([&] { (void)Model::load(file_); }), HasSubstr("is an adapter, not a model"));
  EXPECT_THAT(refusal([&] { (void)Model::load(model_, {.adapters = {{model_}}}); }), HasSubstr("is no adapter"));
  write({good_a, good_b});
  EXPECT_THAT(refusal([&] {
                (void)Model::load(model_, {.adapters = {{file_, std::numeric_limits<float>::infinity()}}});
              }),
              HasSubstr("an adapter's scale must be a number"));
}

TEST_F(HostileLora, PeftFoldersAreRefusedWithWhatIsWrong) {
  const std::string folder = path("peft");
  const auto source = GgufFile::open(model_);
  write_peft_adapter(folder, *source, trained(*source, {.rank = 2, .targets = {"attn_v"}}).additions());
  json config;
  std::ifstream(folder + "/adapter_config.json") >> config;
  const auto refused_with = [&](const std::string& key, const json& value) {
    json changed = config;
    changed[key] = value;
    std::ofstream(folder + "/adapter_config.json") << changed;
    return refusal([&] { (void)Model::load(model_, {.adapters = {{folder}}}); });
  };
  EXPECT_EQ(refused_with("r", 2), "nothing was refused");
  EXPECT_THAT(refused_with("peft_type", "IA3"), HasSubstr("is an adapter of type 'IA3', only LORA is supported"));
  EXPECT_THAT(refused_with("use_dora", true), HasSubstr("has use_dora, which is not supported"));
  EXPECT_THAT(refused_with("modules_to_save", {"lm_head"}), HasSubstr("has modules_to_save, which is not supported"));
  EXPECT_THAT(refused_with("bias", "all"), HasSubstr("trained biases too"));
  EXPECT_THAT(refused_with("init_lora_weights", "pissa_niter_4"), HasSubstr("changes the base model's matrices too"));
  EXPECT_THAT(refused_with("lora_alpha", "much"), HasSubstr("lora_alpha should be a number above 0"));
  EXPECT_EQ(refused_with("modules_to_save", json::array()), "nothing was refused");
  const std::vector<float> values(64);
  const auto write_one = [&](const std::string& name, const std::vector<uint64_t>& shape) {
    const SafeTensorToWrite tensor{name, find_quant_type("F32"), shape, std::as_bytes(std::span(values))};
    write_safetensors(folder + "/adapter_model.safetensors", {&tensor, 1});
    return refused_with("r", 2);
  };
  EXPECT_THAT(write_one("base_model.model.lm_head.weight", {8, 8}), HasSubstr("is neither matrix of a pair"));
  EXPECT_THAT(write_one("base_model.model.x.lora_A.weight", {64}), HasSubstr("is no matrix"));
  EXPECT_THAT(write_one("base_model.model.x.lora_A.weight", {8, 8}), HasSubstr("has no matrix B for 'x'"));
}

// ---- What is trained

TEST_F(Lora, BeginsAsTheModelIs) {
  const std::string model = make("tiny-llama"), file = path("adapter.gguf");
  const auto source = GgufFile::open(model);
  const LoraAdapter adapter(*source, {.rank = 4, .alpha = 8});
  for (const Parameter& parameter : adapter.parameters()) {
    float most = 0;
    for (int64_t i = 0; i < parameter.count; ++i) most = std::max(most, std::abs(parameter.values[i]));
    if (parameter.name.ends_with(".lora_b")) EXPECT_EQ(most, 0) << parameter.name;
    else EXPECT_NEAR(most, 1 / std::sqrt(static_cast<float>(parameter.count) / 4), 2e-3) << parameter.name;
  }
  EXPECT_EQ(adapter.additions()[0].low_rank.scale, 2.0f);
  EXPECT_EQ(LoraAdapter(*source, {.rank = 4, .alpha = 8, .rank_stabilised = true}).additions()[0].low_rank.scale, 4.0f);
  write_gguf_adapter(file, *source, adapter.additions());
  EXPECT_EQ(logits(model, {{file}}), logits(model));
  EXPECT_EQ(inspect_adapter(file).alpha, 8.0f);
  EXPECT_TRUE(is_adapter(file));
  EXPECT_FALSE(is_adapter(model));
}

TEST_F(Lora, TargetsAreWordsAndGlobs) {
  const auto source = GgufFile::open(make("tiny-lfm2moe"));
  const auto names = [&](const std::vector<std::string>& targets) {
    std::set<std::string> all;
    const LoraAdapter adapter(*source, {.rank = 2, .targets = targets});
    for (const Addition& addition : adapter.additions()) {
      const std::string& name = addition.tensor;
      all.insert(name.substr(name.find('.', 4) + 1));
    }
    return std::vector<std::string>(all.begin(), all.end());
  };
  EXPECT_THAT(names({"experts"}), ElementsAre("ffn_down_exps.weight", "ffn_gate_exps.weight", "ffn_up_exps.weight"));
  EXPECT_THAT(names({"router"}), ElementsAre("ffn_gate_inp.weight"));
  EXPECT_THAT(names({"conv"}), ElementsAre("shortconv.in_proj.weight", "shortconv.out_proj.weight"));
  EXPECT_THAT(names({"attn_[qv]"}), ElementsAre("attn_q.weight", "attn_v.weight"));
  EXPECT_THAT(names({}),
              ElementsAre("attn_k.weight", "attn_output.weight", "attn_q.weight", "attn_v.weight", "ffn_down.weight",
                          "ffn_gate.weight", "ffn_up.weight", "shortconv.in_proj.weight", "shortconv.out_proj.weight"));
  const std::string refused = refusal([&] { names({"attention", "attn_x"}); });
  EXPECT_THAT(refused, HasSubstr("the model has no matrix 'attn_x' that an adapter could change"));
  EXPECT_THAT(refused, HasSubstr("attn_q, attn_v"));
  EXPECT_THAT(refused, HasSubstr("words for several: all, attention, conv, experts, ffn, router"));
  const auto dense = GgufFile::open(make("tiny-llama"));
  EXPECT_THAT(refusal([&] { LoraAdapter(*dense, {.targets = {"conv"}}); }), HasSubstr("no matrix 'conv'"));
  EXPECT_NO_THROW(LoraAdapter(*dense, {}));
  EXPECT_THAT(refusal([&] { LoraAdapter(*dense, {.rank = 0}); }), HasSubstr("a rank of 0 is out of range"));
}

TEST_F(Lora, TrainedModelsAreWrittenInTheTypesTheyHadOrOthers) {
  const std::string model = make("tiny-lfm2", "BF16"), out = path("trained.gguf");
  const auto source = GgufFile::open(model);
  ModelOverrides overrides;
  overrides.weights.trained = [](const std::string&) { return true; };
  const auto architecture = load_architecture(*source, overrides);
  const auto tensors = architecture->weights().trained();
  write_trained_model(out, source, tensors);
  EXPECT_EQ(logits(out), logits(model)) << "nothing has moved";

  for (const TrainedTensor& tensor : tensors) {
    for (int64_t i = 0; i < tensor.count; ++i) tensor.values[i] *= 0.5f;
  }
  write_trained_model(out, source, tensors);
  const auto halved = GgufFile::open(out);
  ASSERT_EQ(halved->tensors().size(), source->tensors().size());
  EXPECT_EQ(halved->metadata().size(), source->metadata().size());
  for (const GgufTensor& tensor : source->tensors()) {
    const GgufTensor& other = halved->tensor(tensor.name);
    ASSERT_EQ(other.type, tensor.type) << tensor.name;
    std::vector<float> before(tensor.elements()), after(tensor.elements());
    tensor.type->decode(tensor.data, before.data(), static_cast<int64_t>(before.size()));
    tensor.type->decode(other.data, after.data(), static_cast<int64_t>(after.size()));
    for (size_t i = 0; i < before.size(); ++i) ASSERT_EQ(after[i], before[i] * 0.5f) << tensor.name << " " << i;
  }
  write_trained_model(out, source, tensors, "Q8_0");
  EXPECT_EQ(GgufFile::open(out)->tensor("blk.0.ffn_up.weight").type->name, "Q8_0");
  EXPECT_EQ(GgufFile::open(out)->tensor("blk.0.ffn_norm.weight").type->name, "F32");
}

}  // namespace
}  // namespace fieldprint
