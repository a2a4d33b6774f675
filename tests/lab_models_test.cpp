// The architectures of our own making, classic and lab, where tests/architectures_test.cpp does not reach: files that
// say what is no choice, shapes that leave nearly everything away; and GPT-2's folders and context.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "attention/reference.h"
#include "base/rng.h"
#include "fieldprint/quantize.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "make/json_file.h"
#include "models/architecture.h"
#include "ops/reference_executor.h"
#include "support/files.h"
#include "support/hugging_face_folder.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class LabModels : public testing::Test {
 protected:
  std::string path(const char* name = "model.gguf") const { return (home_.path() / name).string(); }
  std::shared_ptr<const GgufFile> make(const char* preset, const char* kind = "") const {
    SynthOptions options;
    options.preset = preset;
    options.mix = "F32";
    options.attention_kind = kind;
    synth(path(), options);
    return GgufFile::open(path());
  }

  // What loading says of the file with other metadata, without the tensors that `left_out` names.
  template <class Change>
  static std::string said_of(const GgufFile& file, Change change, std::string_view left_out = "nothing") {
    GgufWriter writer;
    for (const auto& [key, value] : file.metadata()) writer.copy(key, value);
    change(writer);
    for (const GgufTensor& tensor : file.tensors()) {
      if (tensor.name.find(left_out) != std::string_view::npos) continue;
      writer.add_tensor(std::string(tensor.name), *tensor.type,
                        {tensor.shape.begin(), tensor.shape.begin() + tensor.dims},
                        std::span<const std::byte>(tensor.data, tensor.bytes));
    }
    const auto bytes = writer.bytes();
    const auto changed = GgufFile::parse(bytes, "changed");
    return refusal([&] { load_architecture(*changed); });
  }

  TempHome home_;
};

TEST_F(LabModels, WordsThatAreNoChoiceAreRefusedWithThoseThatAre) {
  struct Case {
    const char *preset, *key, *word, *says;
  };
  for (const Case& one :
       {Case{"tiny-classic", "classic.norm", "before", "expected one of none, pre, post"},
        {"tiny-classic", "classic.norm", "", "expected one of none, pre, post"},
        {"tiny-classic", "classic.gelu", "fast", "expected one of erf, tanh"},
        {"tiny-classic", "classic.attention.kind", "cosine", "attention of kind 'cosine' is not supported"},
        {"lab-dot", "lab.norm", "post", "expected one of none, pre"},
        {"lab-dot", "lab.positions", "learned", "expected one of none, rope"},
        {"lab-dot", "lab.attention.head_norm", "layer", "expected one of none, rms"}}) {
    const auto file = make(one.preset);
    EXPECT_THAT(said_of(*file, [&](GgufWriter& writer) { writer.set(one.key, std::string(one.word)); }),
                HasSubstr(one.says))
        << one.key;
  }
}

TEST_F(LabModels, WhatDoesNotGoTogetherIsRefused) {
  const auto set = [](const char* key, uint32_t value) { return [=](GgufWriter& writer) { writer.set(key, value); }; };
  const auto nothing = [](GgufWriter&) {};
  auto file = make("tiny-classic");
  EXPECT_THAT(said_of(*file, [](GgufWriter& writer) { writer.set("classic.norm", std::string("none")); }),
              HasSubstr("norm.weight has no place"));
  EXPECT_THAT(said_of(*file, nothing, "blk.1.attn_q.bias"), HasSubstr("attn_q.bias"));
  EXPECT_THAT(said_of(*file, set("classic.attention.head_count", 64)), HasSubstr("head size of 4 is not supported"));
  EXPECT_THAT(said_of(*file, set("classic.attention.head_count_kv", 0)), HasSubstr("does not attend"));
  EXPECT_THAT(said_of(*file, [](GgufWriter& writer) { writer.set("classic.logit_scale", 2.0f); }),
              HasSubstr("scaled logits"));
  file = make("lab-dot");
  EXPECT_THAT(said_of(*file, set("lab.feed_forward_length", 64)), HasSubstr("ffn_up.weight"));
  EXPECT_THAT(said_of(*file, set("lab.attention.head_count", 16)), HasSubstr("head size of 4 is not supported"));
  EXPECT_THAT(said_of(*file, [](GgufWriter& writer) { writer.set("lab.attention.kind", std::string("gram")); }),
              HasSubstr("attn_r.weight"));
  file = make("tiny-classic", "gram_key");
  EXPECT_THAT(said_of(*file,
                      [](GgufWriter& writer) {
                        writer.set("classic.attention.head_count", uint32_t{1});
                        writer.set("classic.attention.head_count_kv", uint32_t{1});
                      }),
              HasSubstr("to heads of 256 is not supported, to heads of up to 128 it is"));
}

// logits = Wout attention(embedding): nothing is beside attention and the two matrices.
TEST_F(LabModels, OneBlockIsAttentionAndNothingElse) {
  const auto file = make("lab-dot");
  std::vector<std::string> names;
  for (const GgufTensor& tensor : file->tensors()) names.emplace_back(tensor.name);
  EXPECT_THAT(names, testing::ElementsAre("token_embd.weight", "output.weight", "blk.0.attn_q.weight",
                                          "blk.0.attn_k.weight", "blk.0.attn_v.weight", "blk.0.attn_output.weight"));
  // The first token sees itself alone: whatever the scores are, it gets Wout Wo Wv embedding.
  const auto decoded = [&](const char* name) {
    const GgufTensor& tensor = file->tensor(name);
    std::vector<float> values(tensor.elements());
    tensor.type->decode(tensor.data, values.data(), static_cast<int64_t>(values.size()));
    return values;
  };
  const auto times = [](const std::vector<float>& matrix, const std::vector<float>& x) {
    std::vector<float> y(matrix.size() / x.size());
    for (size_t i = 0; i < y.size(); ++i)
      for (size_t j = 0; j < x.size(); ++j) y[i] += matrix[i * x.size() + j] * x[j];
    return y;
  };
  constexpr size_t kWidth = 64, kToken = 7;
  const auto embedding = decoded("token_embd.weight");
  std::vector<float> x(embedding.begin() + kToken * kWidth, embedding.begin() + (kToken + 1) * kWidth);
  for (const char* name : {"blk.0.attn_v.weight", "blk.0.attn_output.weight", "output.weight"})
    x = times(decoded(name), x);
  Session session(Model::load(path()), {.executor = "reference"});
  const TokenId tokens[] = {kToken};
  session.append(tokens);
  ASSERT_EQ(session.logits().size(), x.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(session.logits()[i], x[i], 1e-4f);
}

// det G(q, k, r), straight from the three vectors, is what the formula makes of the plane's key.
TEST_F(LabModels, ThePlaneOfAKeyGivesTheGramDeterminant) {
  constexpr int kDim = 12;
  ReferenceExecutor executor(1);
  Ops ops(executor);
  Rng random(5);
  for (const double stretch : {1.0, 1e-3, 0.0}) {  // how far r is from k
    Tensor q = executor.make(1, kDim), k = executor.make(1, kDim), r = executor.make(1, kDim);
    for (int i = 0; i < kDim; ++i) {
      executor.data(q)[i] = static_cast<double>(random.normal());
      executor.data(k)[i] = static_cast<double>(random.normal());
      executor.data(r)[i] = 2 * executor.data(k)[i] + stretch * static_cast<double>(random.normal());
    }
    const Tensor wide = ops.pad_heads(q, 1), plane = ops.key_plane(k, r, 1);
    const double got =
        find_attention_kind("gram_key")->formula_f64(executor.data(wide), nullptr, executor.data(plane), 2 * kDim);
    const double expected =
        find_attention_kind("gram")->formula_f64(executor.data(q), executor.data(r), executor.data(k), kDim);
    EXPECT_NEAR(got, expected, 1e-9) << stretch;
    if (stretch == 0) {
      EXPECT_EQ(got, 0) << "parallel: no plane, the same score for every query";
    }
  }
}

TEST_F(LabModels, ATextLongerThanGpt2sPositionsIsRefused) {
  make("tiny-gpt2");
  Session session(Model::load(path()));
  EXPECT_THAT(refusal([&] { session.append(std::vector<TokenId>(513, 1)); }),
              HasSubstr("513 tokens do not fit a context of 512"));
}

// Folders of GPT-2 may have "transformer." before all names, and the masks of attention that old versions stored.
TEST_F(LabModels, FoldersOfGpt2MayHaveMasksAndAPrefix) {
  const auto file = make("tiny-gpt2");
  const ArchitectureRow* row = nullptr;
  for (const ArchitectureRow* one : architectures())
    if (one->name == "gpt2") row = one;
  const JsonFile config = JsonFile::parse(row->presets[1].config, "config");
  const auto hp = read_config(config).hp;
  HfTensors tensors;
  for (const PlannedTensor& planned : tensors_of(row->tensors, hp)) {
    if (!planned.wanted) continue;
    const GgufTensor& tensor = file->tensor(planned.here);
    const auto rows = static_cast<size_t>(tensor.shape[1]), cols = static_cast<size_t>(tensor.shape[0]);
    HfTensor out{"F32", {planned.shape.begin(), planned.shape.end()}, {}};
    out.data.assign(reinterpret_cast<const char*>(tensor.data), tensor.bytes);
    if (planned.row->form == There::kTransposed) {
      std::swap(out.shape[0], out.shape[1]);
      const auto* from = reinterpret_cast<const float*>(tensor.data);
      std::vector<float> turned(rows * cols);
      for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < cols; ++j) turned[j * rows + i] = from[i * cols + j];
      out.data.assign(reinterpret_cast<const char*>(turned.data()), tensor.bytes);
    }
    tensors["transformer." + planned.there] = out;
  }
  for (int i = 0; i < hp.layers; ++i)
    tensors[fmt::format("transformer.h.{}.attn.bias", i)] = {"F32", {1, 1, 2, 2}, std::string(16, 'x')};
  const fs::path folder = home_.path() / "folder";
  fs::create_directories(folder);
  write_json(folder / "config.json", config.root());
  write_safetensors(folder / "model.safetensors", tensors);
  write_tokenizer(folder, *file);
  QuantizeOptions options;
  options.mix = "F32";
  quantize(folder.string(), path("converted.gguf"), options);
  const auto converted = GgufFile::open(path("converted.gguf"));
  ASSERT_EQ(converted->tensors().size(), file->tensors().size());
  for (const GgufTensor& tensor : file->tensors())
    EXPECT_EQ(std::memcmp(tensor.data, converted->tensor(tensor.name).data, tensor.bytes), 0) << tensor.name;
}

}  // namespace
}  // namespace fieldprint
