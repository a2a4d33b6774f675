// Folders of safetensors as on Hugging Face, written here from a GGUF file by hand-coded rules of its own: converting
// them must give the tensors, the metadata and so the logits of that file back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "fieldprint/model.h"
#include "fieldprint/quantize.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "gguf/gguf.h"
#include "support/hugging_face_folder.h"

namespace fieldprint {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

const char* kNames[][3] = {
    // here, llama's, LFM2's
    {"attn_norm", "input_layernorm", "operator_norm"},
    {"attn_q", "self_attn.q_proj", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj", "self_attn.out_proj"},
    {"attn_q_norm", "", "self_attn.q_layernorm"},
    {"attn_k_norm", "", "self_attn.k_layernorm"},
    {"shortconv.in_proj", "", "conv.in_proj"},
    {"shortconv.conv", "", "conv.conv"},
    {"shortconv.out_proj", "", "conv.out_proj"},
    {"ffn_norm", "post_attention_layernorm", "ffn_norm"},
    {"ffn_gate", "mlp.gate_proj", "feed_forward.w1"},
    {"ffn_up", "mlp.up_proj", "feed_forward.w3"},
    {"ffn_down", "mlp.down_proj", "feed_forward.w2"},
    {"ffn_gate_inp", "", "feed_forward.gate"},
    {"ffn_gate_exps", "", "feed_forward.experts.E.w1"},
    {"ffn_up_exps", "", "feed_forward.experts.E.w3"},
    {"ffn_down_exps", "", "feed_forward.experts.E.w2"},
};

std::string name_of(const std::string& arch, const std::string& name) {
  const bool is_llama = arch == "llama";
  if (name == "token_embd.weight") return "model.embed_tokens.weight";
  if (name == "output_norm.weight") return "model.norm.weight";
  if (name == "token_embd_norm.weight") return "model.embedding_norm.weight";
  if (name == "output.weight") return "lm_head.weight";
  const size_t dot = name.find('.', 4);
  const std::string layer = "model.layers." + name.substr(4, dot - 4) + ".", part = name.substr(dot + 1);
  if (part == "exp_probs_b.bias") return layer + "feed_forward.expert_bias";
  for (const auto& row : kNames) {
    if (part == std::string(row[0]) + ".weight") return layer + row[is_llama ? 1 : 2] + ".weight";
  }
  ADD_FAILURE() << name;
  return name;
}

// Neighbours in RoPE become halves of the head.
std::string halves_apart(const std::string& data, uint64_t rows, uint64_t head_rows) {
  const size_t row_bytes = data.size() / rows;
  std::string out(data.size(), '\0');
  for (uint64_t row = 0; row < rows; ++row) {
    const uint64_t within = row % head_rows,
                   to = row - within + (within % 2 == 0 ? within / 2 : head_rows / 2 + within / 2);
    out.replace(to * row_bytes, row_bytes, data, row * row_bytes, row_bytes);
  }
  return out;
}

HfTensors tensors_of(const GgufFile& file) {
  const std::string arch(file.string("general.architecture"));
  HfTensors all;
  for (const GgufTensor& tensor : file.tensors()) {
    const std::string name = name_of(arch, std::string(tensor.name));
    HfTensor out{std::string(tensor.type->name), {}, {reinterpret_cast<const char*>(tensor.data), tensor.bytes}};
    for (int i = tensor.dims - 1; i >= 0; --i) out.shape.push_back(tensor.shape[static_cast<size_t>(i)]);
    if (arch == "llama" && (name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight"))) {
      out.data = halves_apart(out.data, out.shape[0], 32);
    }
    if (name.ends_with("conv.conv.weight")) out.shape.insert(out.shape.begin() + 1, 1);
    if (const size_t at = name.find(".E."); at != std::string::npos) {
      const size_t count = out.shape[0], bytes = out.data.size() / count;
      for (size_t i = 0; i < count; ++i) {
        all[name.substr(0, at) + "." + std::to_string(i) + name.substr(at + 2)] = {
            out.dtype, {out.shape[1], out.shape[2]}, out.data.substr(i * bytes, bytes)};
      }
    } else {
      all[name] = out;
    }
  }
  return all;
}

json config_of(const GgufFile& file) {
  const std::string arch(file.string("general.architecture"));
  const auto get = [&](const char* key) { return file.integer(arch + "." + key); };
  json config = {{"model_type", arch == "lfm2moe" ? "lfm2_moe" : arch},
                 {"num_hidden_layers", get("block_count")},
                 {"max_position_embeddings", get("context_length")},
                 {"hidden_size", get("embedding_length")},
                 {"intermediate_size", get("feed_forward_length")},
                 {"num_attention_heads", get("attention.head_count")},
                 {"vocab_size", get("vocab_size")},
                 {"rope_theta", file.number(arch + ".rope.freq_base")},
                 {"tie_word_embeddings", true}};
  if (arch == "lfm2") config["block_auto_adjust_ff_dim"] = false;
  if (arch == "llama") {
    config["num_key_value_heads"] = get("attention.head_count_kv");
    config["rms_norm_eps"] = 1e-5;
    return config;
  }
  config["num_key_value_heads"] = 2;
  config["norm_eps"] = 1e-5;
  config["conv_L_cache"] = 3;
  const GgufArray* kv_heads = file.array(arch + ".attention.head_count_kv");
  for (uint64_t i = 0; i < kv_heads->count; ++i) {
    if (arch == "lfm2moe") config["layer_types"].push_back(kv_heads->integer(i) > 0 ? "full_attention" : "conv");
    else if (kv_heads->integer(i) > 0) config["full_attn_idxs"].push_back(i);
  }
  if (arch == "lfm2moe") {
    config["num_experts"] = get("expert_count");
    config["num_experts_per_tok"] = get("expert_used_count");
    config["moe_intermediate_size"] = get("expert_feed_forward_length");
    config["num_dense_layers"] = get("leading_dense_block_count");
    config["norm_topk_prob"] = true;
  }
  return config;
}

// Of synth's byte vocabulary.
json tokenizer_of(const GgufFile& file) {
  json vocabulary = json::object(), added = json::array();
  const GgufArray &tokens = *file.array("tokenizer.ggml.tokens"), &types = *file.array("tokenizer.ggml.token_type");
  for (uint64_t i = 0; i < tokens.count; ++i) {
    if (types.integer(i) == 1) vocabulary[std::string(tokens.strings[i])] = i;
    if (types.integer(i) == 3) added.push_back({{"id", i}, {"content", tokens.strings[i]}, {"special", true}});
  }
  const json smollm = {{"type", "Sequence"},
                       {"pretokenizers",
                        {{{"type", "Digits"}, {"individual_digits", true}},
                         {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}}}};
  const char* llama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const json lfm2 = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", llama3}}}, {"behavior", "Isolated"}, {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  return {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", json::array()}}},
          {"added_tokens", added},
          {"pre_tokenizer", file.string("general.architecture") == "llama" ? smollm : lfm2},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", {{{"SpecialToken", {{"id", "<|startoftext|>"}}}}, {{"Sequence", {{"id", "A"}}}}}}}}};
}

class Convert : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("fieldprint-convert-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::create_directories(hf());
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path hf() const { return folder_ / "model"; }
  std::string original() const { return (folder_ / "original.gguf").string(); }
  std::string converted() const { return (folder_ / "converted.gguf").string(); }

  void write_folder(const std::string& preset, const std::string& mix) {
    SynthOptions options;
    options.preset = preset;
    options.mix = mix;
    synth(original(), options);
    const auto file = GgufFile::open(original());
    tensors_ = tensors_of(*file);
    write_safetensors(hf() / "model.safetensors", tensors_);
    write_json(hf() / "config.json", config_ = config_of(*file));
    write_json(hf() / "tokenizer.json", tokenizer_ = tokenizer_of(*file));
    write_json(
        hf() / "tokenizer_config.json",
        {{"bos_token", "<|startoftext|>"}, {"eos_token", {{"content", "<|im_end|>"}}}, {"pad_token", "<|pad|>"}});
    std::ofstream(hf() / "chat_template.jinja") << file->string("tokenizer.chat_template");
  }

  static QuantizeOptions to(const std::string& mix) {
    QuantizeOptions options;
    options.mix = mix;
    return options;
  }

  // Metadata and tensors of both files are alike, but for names and unused tokens.
  void expect_same() const {
    const auto a = GgufFile::open(original()), b = GgufFile::open(converted());
    ASSERT_EQ(a->tensors().size(), b->tensors().size());
    for (const GgufTensor& tensor : a->tensors()) {
      const GgufTensor& other = b->tensor(tensor.name);
      EXPECT_EQ(tensor.shape, other.shape) << tensor.name;
      ASSERT_EQ(tensor.type->name, other.type->name) << tensor.name;
      EXPECT_EQ(std::memcmp(tensor.data, other.data, tensor.bytes), 0) << tensor.name;
    }
    for (const auto& [key, value] : a->metadata()) {
      if (key == "general.name") continue;
      const GgufValue* other = b->find(key);
      ASSERT_NE(other, nullptr) << key;
      ASSERT_EQ(other->kind, value.kind) << key;
      const auto* array = std::get_if<GgufArray>(&value.value);
      if (array == nullptr) {
        if (value.kind == GgufKind::kString) {
          EXPECT_EQ(a->string(key), b->string(key));
        } else if (value.kind == GgufKind::kBool) {
          EXPECT_EQ(a->boolean(key, false), b->boolean(key, true)) << key;
        } else {
          EXPECT_EQ(a->number(key), b->number(key)) << key;
        }
        continue;
      }
      const GgufArray& elements = *b->array(key);
      ASSERT_EQ(array->count, elements.count) << key;
      for (uint64_t i = 0; i < array->count; ++i) {
        if (array->kind != GgufKind::kString) {
          EXPECT_EQ(array->number(i), elements.number(i)) << key << " " << i;
        } else if (!array->strings[i].starts_with("<|unused")) {
          EXPECT_EQ(array->strings[i], elements.strings[i]) << key << " " << i;
        }
      }
    }
  }

  std::string refusal() const {
    try {
      plan_quantize(hf().string(), to("F16"));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  static std::vector<float> logits(const std::string& path) {
    Session session(Model::load(path));
    std::vector<TokenId> tokens;
    for (int i = 0; i < 24; ++i) tokens.push_back(i * 11 % 256);
    std::vector<float> all;
    session.append(tokens, [&](int, std::span<const float> row) { all.insert(all.end(), row.begin(), row.end()); });
    return all;
  }

  fs::path folder_;
  HfTensors tensors_;
  json config_, tokenizer_;
};

TEST_F(Convert, GivesTheTensorsTheMetadataAndTheLogitsBack) {
  for (const char* preset : {"tiny-llama", "tiny-lfm2", "tiny-lfm2moe"}) {
    for (const char* type : {"BF16", "F16", "F32"}) {
      SCOPED_TRACE(std::string(preset) + " " + type);
      write_folder(preset, type);
      quantize(hf().string(), converted(), to(type));
      expect_same();
      EXPECT_EQ(logits(original()), logits(converted()));
    }
  }
}

TEST_F(Convert, QuantisesOnTheWay) {
  write_folder("tiny-lfm2moe", "BF16");
  quantize(hf().string(), converted(), to("Q4_K_M"));
  const std::string twice = (folder_ / "twice.gguf").string();
  quantize(original(), twice, to("Q4_K_M"));
  const auto a = GgufFile::open(twice), b = GgufFile::open(converted());
  for (const GgufTensor& tensor : a->tensors()) {
    EXPECT_EQ(std::memcmp(tensor.data, b->tensor(tensor.name).data, tensor.bytes), 0) << tensor.name;
  }
}

TEST_F(Convert, ReadsShards) {
  write_folder("tiny-llama", "BF16");
  fs::remove(hf() / "model.safetensors");
  EXPECT_THAT(refusal(), HasSubstr("model.safetensors"));
  HfTensors parts[3];
  json map = json::object();
  int next = 0;
  for (const auto& [name, tensor] : tensors_) {
    const int part = next++ % 3;
    parts[part][name] = tensor;
    map[name] = "model-" + std::to_string(part) + ".safetensors";
  }
  for (int part = 0; part < 3; ++part)
    write_safetensors(hf() / ("model-" + std::to_string(part) + ".safetensors"), parts[part]);
  write_json(hf() / "model.safetensors.index.json", {{"weight_map", map}});
  quantize(hf().string(), converted(), to("BF16"));
  expect_same();
  parts[0].merge(parts[1]);
  write_safetensors(hf() / "model-0.safetensors", parts[0]);
  parts[2]["model.norm.weight"] = tensors_["model.norm.weight"];
  parts[0]["model.norm.weight"] = tensors_["model.norm.weight"];
  write_safetensors(hf() / "model-0.safetensors", parts[0]);
  write_safetensors(hf() / "model-2.safetensors", parts[2]);
  EXPECT_THAT(refusal(), HasSubstr("stands in two files"));
  for (const char* bad : {"../model.safetensors", "", "/etc/passwd", ".hidden"}) {
    write_json(hf() / "model.safetensors.index.json", {{"weight_map", {{"a", bad}}}});
    EXPECT_THAT(refusal(), HasSubstr("no file beside it"));
  }
}

TEST_F(Convert, TheOutputMatrixIsThereOrTied) {
  write_folder("tiny-llama", "F16");
  tensors_["lm_head.weight"] = tensors_["model.embed_tokens.weight"];
  write_safetensors(hf() / "model.safetensors", tensors_);
  quantize(hf().string(), converted(), to("F16"));
  EXPECT_EQ(GgufFile::open(converted())->find_tensor("output.weight"), nullptr);  // tied: the copy is left out
  config_["tie_word_embeddings"] = false;
  write_json(hf() / "config.json", config_);
  quantize(hf().string(), converted(), to("F16"));
  EXPECT_NE(GgufFile::open(converted())->find_tensor("output.weight"), nullptr);
  tensors_.erase("lm_head.weight");
  write_safetensors(hf() / "model.safetensors", tensors_);
  EXPECT_THAT(refusal(), HasSubstr("tensor lm_head.weight is missing"));
}

TEST_F(Convert, LongContextScalingBecomesATensor) {
  write_folder("tiny-llama", "F16");
  config_["rope_theta"] = 500000.0;
  config_["rope_scaling"] = {{"rope_type", "llama3"},
                             {"factor", 8.0},
                             {"low_freq_factor", 1.0},
                             {"high_freq_factor", 4.0},
                             {"original_max_position_embeddings", 8192}};
  write_json(hf() / "config.json", config_);
  quantize(hf().string(), converted(), to("F16"));
  const auto file = GgufFile::open(converted());
  const GgufTensor& factors = file->tensor("rope_freqs.weight");
  ASSERT_EQ(factors.shape[0], 16u);
  std::vector<float> values(16);
  std::memcpy(values.data(), factors.data, 64);
  // Periods 2 pi 500000^(i / 16): below 8192 / 4 as they are, above 8192 eight times as long, blended between.
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[7], 1.0f);                 // 1955
  EXPECT_NEAR(values[8], 2.6945297f, 1e-5f);  // 4443
  EXPECT_EQ(values[9], 8.0f);                 // 10089
  EXPECT_EQ(values[15], 8.0f);
  EXPECT_NO_THROW(Model::load(converted()));
  config_["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  write_json(hf() / "config.json", config_);
  quantize(hf().string(), converted(), to("F16"));
  EXPECT_EQ(GgufFile::open(converted())->number("llama.rope.scaling.factor"), 2.0);
  config_["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2.0}};
  write_json(hf() / "config.json", config_);
  EXPECT_THAT(refusal(), HasSubstr("RoPE scaling of type 'dynamic'"));
}

TEST_F(Convert, SaysWhatIsMissingOrTooMuch) {
  write_folder("tiny-lfm2moe", "F16");
  const auto with = [&](auto change) {
    HfTensors tensors = tensors_;
    json config = config_;
    change(tensors, config);
    write_safetensors(hf() / "model.safetensors", tensors);
    write_json(hf() / "config.json", config);
    return refusal();
  };
  const std::string expert = "model.layers.2.feed_forward.experts.3.w1.weight";
  EXPECT_EQ(with([](auto&, auto&) {}), "");
  EXPECT_THAT(with([&](auto& t, auto&) { t.erase(expert); }), HasSubstr(expert + " is missing"));
  EXPECT_THAT(with([&](auto& t, auto&) { t["model.extra"] = t[expert]; }), HasSubstr("'model.extra' has no place"));
  EXPECT_THAT(with([&](auto& t, auto&) {
                t[expert].shape = {128, 512};
              }),
              HasSubstr("tensor " + expert + " is of shape [128, 512], config.json asks for [256, 256]"));
  EXPECT_THAT(with([&](auto& t, auto&) {
                t[expert].dtype = "F32";
                t[expert].data += t[expert].data;
              }),
              HasSubstr("tensor " + expert + " is of another dtype than the other experts'"));
  EXPECT_THAT(with([&](auto& t, auto&) { t[expert].dtype = "I16"; }),
              HasSubstr("of dtype I16, only F32, F16 and BF16"));
  EXPECT_THAT(with([&](auto& t, auto&) {
                t["model.embed_tokens.weight"].shape = {640, 128};
              }),
              HasSubstr("is of shape [640, 128], config.json asks for [320, 256]"));
  EXPECT_THAT(with([](auto&, auto& c) { c["model_type"] = "mamba"; }),
              HasSubstr("models of type 'mamba' are not supported"));
  EXPECT_THAT(with([](auto&, auto& c) { c.erase("hidden_size"); }), HasSubstr("has no hidden_size"));
  EXPECT_THAT(with([](auto&, auto& c) { c["hidden_size"] = -1; }), HasSubstr("hidden_size should be an integer"));
  EXPECT_THAT(with([](auto&, auto& c) { c["hidden_size"] = 18446744073709551615u; }),
              HasSubstr("hidden_size should be an integer"));
  EXPECT_THAT(with([](auto&, auto& c) { c["layer_types"][1] = "mamba"; }), HasSubstr("layer 1 is of type 'mamba'"));
  EXPECT_THAT(with([](auto&, auto& c) { c["layer_types"].erase(0); }),
              HasSubstr("layer_types should name every layer"));
  EXPECT_THAT(with([](auto&, auto& c) { c["norm_topk_prob"] = false; }), HasSubstr("not normalised"));
  EXPECT_THAT(with([](auto&, auto& c) { c["routed_scaling_factor"] = 2.5; }), HasSubstr("routed_scaling_factor"));
  // A model that could be written and not be run.
  EXPECT_THAT(with([](auto&, auto& c) {
                c.erase("num_key_value_heads");
                c["num_attention_heads"] = 4;
              }),
              HasSubstr("4 heads cannot share 8 K/V heads evenly"));
  EXPECT_THAT(with([](auto&, auto& c) { c["head_dim"] = 36; }), HasSubstr("a head size of 36 is not supported"));
  EXPECT_THAT(with([](auto&, auto& c) { c.erase("num_key_value_heads"); }),
              HasSubstr("k_proj.weight is of shape [64, 256], config.json asks for [256, 256]"));
  EXPECT_THAT(with([](auto&, auto& c) { c["hidden_act"] = "gelu"; }), HasSubstr("activation 'gelu'"));
}

}  // namespace
}  // namespace fieldprint
