// A Hugging Face folder as a SourceModel: config.json becomes metadata, tensors are found by the rows of
// tensor_names.def. Every row that the configuration asks for must be there, and no tensor may be left over.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <numbers>
#include <set>

#include "base/math.h"
#include "fieldprint/error.h"
#include "gguf/parse.h"
#include "make/json_file.h"
#include "make/source.h"
#include "make/tokenizer_json.h"
#include "safetensors/safetensors.h"

namespace fieldprint {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

enum Layers { kModel, kUntied, kAll, kAttention, kConvolution, kDense, kExperts };
enum How {
  kPlain,
  kRotaryQueries,  // heads whose pairs of RoPE are halves there, neighbours here
  kRotaryKeys,
  kKernel,   // [width, 1, taps]
  kStacked,  // one matrix an expert
};

struct Row {
  std::string_view architecture;
  Layers layers;
  How how;
  std::string_view there, here;
};

constexpr Row kRows[] = {
#define CONVERT_TENSOR(...) {__VA_ARGS__},
#include "make/tensor_names.def"
#undef CONVERT_TENSOR
};

struct Config {
  std::string architecture;  // as GGUF has it
  int64_t layers = 0, width = 0, heads = 0, kv_heads = 0, head_dim = 0, vocabulary = 0;
  int64_t dense = 0, experts = 0;
  bool is_tied = false;
  std::vector<bool> attention;  // of each layer; else a convolution

  bool applies(const Row& row) const {
    return row.architecture == architecture || (row.architecture == "lfm2*" && architecture != "llama");
  }
  bool has(Layers layers_of_row, int64_t layer) const {
    switch (layers_of_row) {
      case kAttention:
        return attention[static_cast<size_t>(layer)];
      case kConvolution:
        return !attention[static_cast<size_t>(layer)];
      case kDense:
        return layer < dense;
      case kExperts:
        return layer >= dense;
      default:
        return true;
    }
  }
};

std::string with(std::string_view pattern, std::string_view mark, int64_t number) {
  std::string out(pattern);
  if (const size_t at = out.find(mark); at != std::string::npos) out.replace(at, mark.size(), std::to_string(number));
  return out;
}

// The weights of a folder, in one file or in shards, by name.
class Weights {
 public:
  explicit Weights(const fs::path& folder) : where_(folder.string()) {
    for (const std::string& name : files(folder)) {
      const auto file = SafetensorsFile::open((folder / name).string());
      for (const SafeTensor& tensor : file->tensors()) {
        if (!tensors_.emplace(tensor.name, &tensor).second) {
          throw Error(ErrorKind::kBadFile, fmt::format("tensor {} stands in two files", gguf_quoted(tensor.name)),
                      where_);
        }
      }
      files_.push_back(file);
    }
  }

  const SafeTensor& take(const std::string& name) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw Error(ErrorKind::kBadFile, fmt::format("tensor {} is missing", name), where_);
    taken_.insert(name);
    const SafeTensor& tensor = *found->second;
    if (tensor.type == nullptr) {
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("tensor {} is of dtype {}, only F32, F16 and BF16 are read", name, tensor.dtype), where_);
    }
    return tensor;
  }
  void ignore(const std::string& name) { taken_.insert(name); }

  void finish(const std::string& architecture) const {
    for (const auto& [name, tensor] : tensors_) {
      if (taken_.contains(name) || name.ends_with(".rotary_emb.inv_freq")) continue;
      throw Error(ErrorKind::kUnsupported,
                  fmt::format("tensor {} has no place in the architecture {}", gguf_quoted(name), architecture),
                  where_);
    }
  }

  std::vector<std::shared_ptr<const void>> files() const { return {files_.begin(), files_.end()}; }

 private:
  // The shards that the index names, or the one file.
  static std::set<std::string> files(const fs::path& folder) {
    std::error_code error;
    const fs::path index = folder / "model.safetensors.index.json";
    if (!fs::exists(index, error)) return {"model.safetensors"};
    const JsonFile file(index.string());
    const json* map = file.find("weight_map");
    if (map == nullptr || !map->is_object() || map->empty()) file.refuse("has no weight_map");
    std::set<std::string> names;
    for (const auto& [tensor, value] : map->items()) {
      if (!value.is_string()) file.refuse("weight_map should name files");
      const auto name = value.get<std::string>();
      if (name.empty() || name.find('/') != std::string::npos || name.starts_with('.')) {
        file.refuse(fmt::format("weight_map names {}, which is no file beside it", gguf_quoted(name)));
      }
      names.insert(name);
    }
    return names;
  }

  std::string where_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::map<std::string, const SafeTensor*> tensors_;
  std::set<std::string> taken_;
};

std::string architecture_of(const JsonFile& config) {
  constexpr std::pair<std::string_view, std::string_view> kKnown[] = {
      {"llama", "llama"}, {"lfm2", "lfm2"}, {"lfm2_moe", "lfm2moe"}};
  const std::string type = config.string("model_type", "");
  for (const auto& [there, here] : kKnown) {
    if (type == there) return std::string(here);
  }
  config.unsupported(
      fmt::format("models of type {} are not supported; llama, lfm2 and lfm2_moe are", gguf_quoted(type)));
}

// Which layers attend: named one by one, or by their numbers.
std::vector<bool> attention_of(const JsonFile& config, int64_t layers) {
  std::vector<bool> attention(static_cast<size_t>(layers), false);
  if (const json* types = config.find("layer_types"); types != nullptr) {
    if (!types->is_array() || types->size() != attention.size())
      config.refuse("layer_types should name every layer's type");
    for (size_t i = 0; i < attention.size(); ++i) {
      const json& type = (*types)[i];
      const std::string name = type.is_string() ? type.get<std::string>() : "";
      if (name != "full_attention" && name != "conv") {
        config.unsupported(
            fmt::format("layer {} is of type {}; full_attention and conv are supported", i, gguf_quoted(name)));
      }
      attention[i] = name == "full_attention";
    }
    return attention;
  }
  const json* indices = config.find("full_attn_idxs");
  if (indices == nullptr || !indices->is_array()) config.refuse("has neither layer_types nor full_attn_idxs");
  for (const json& index : *indices) {
    if (!index.is_number_unsigned() || index.get<uint64_t>() >= attention.size()) {
      config.refuse("full_attn_idxs should name layers");
    }
    attention[index.get<uint64_t>()] = true;
  }
  return attention;
}

Config read_config(const JsonFile& file) {
  Config config;
  config.architecture = architecture_of(file);
  const bool is_llama = config.architecture == "llama";
  config.layers = file.integer("num_hidden_layers", 1, 1000);
  config.width = file.integer("hidden_size", 1, 1 << 20);
  config.heads = file.integer("num_attention_heads", 1, 1 << 12);
  config.kv_heads = file.integer("num_key_value_heads", 1, config.heads, config.heads);
  config.head_dim = file.integer("head_dim", 1, 1 << 12, config.width / config.heads);
  config.vocabulary = file.integer("vocab_size", 1, 1 << 24);
  config.is_tied = file.boolean("tie_word_embeddings", file.boolean("tie_embedding", !is_llama));
  config.attention =
      is_llama ? std::vector<bool>(static_cast<size_t>(config.layers), true) : attention_of(file, config.layers);
  config.dense = config.layers;
  if (config.architecture == "lfm2moe") {
    config.experts = file.integer("num_experts", 1, 1 << 12);
    config.dense = file.integer("num_dense_layers", 0, config.layers);
  }
  return config;
}

// Refuses what would make another model of the same tensors.
void check_variant(const JsonFile& file, const Config& config) {
  if (const auto act = file.string("hidden_act", "silu"); act != "silu") {
    file.unsupported(fmt::format("the activation {} is not supported, silu is", gguf_quoted(act)));
  }
  if (config.architecture != "lfm2moe") return;
  if (!file.boolean("norm_topk_prob", true))
    file.unsupported("experts whose weights are not normalised are not supported");
  if (!file.boolean("use_expert_bias", true)) file.unsupported("experts without a bias are not supported");
  if (file.number("routed_scaling_factor", 1.0) != 1.0)
    file.unsupported("a routed_scaling_factor other than 1 is not supported");
}

// How much longer the period of each pair of RoPE becomes (Llama 3.1): short periods stay, long ones are stretched by
// `factor`, and between the two it is blended.
std::vector<float> llama3_factors(const JsonFile& file, const std::string& scaling, double base, int64_t head_dim) {
  const auto value = [&](const char* key, double fallback) { return file.number(scaling + "/" + key, fallback); };
  const double factor = value("factor", 8), low = value("low_freq_factor", 1), high = value("high_freq_factor", 4);
  const double context = value("original_max_position_embeddings", 8192);
  if (!(factor > 0) || !(low > 0) || !(high > low) || !(context > 0)) file.refuse(scaling + " makes no sense");
  std::vector<float> factors;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const double period =
        2 * std::numbers::pi * exp_f64(static_cast<double>(2 * i) / static_cast<double>(head_dim) * log_f64(base));
    const double smooth = std::clamp((context / period - low) / (high - low), 0.0, 1.0);
    factors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
  }
  return factors;
}

void set_rope(SourceModel& model, const JsonFile& file, const Config& config) {
  GgufWriter& writer = *model.writer;
  const std::string prefix = config.architecture + ".rope.";
  const double base = file.number("rope_parameters/rope_theta", file.number("rope_theta", 10000.0));
  if (!(base > 0)) file.refuse("rope_theta should be positive");
  writer.set(prefix + "freq_base", static_cast<float>(base));
  if (config.architecture == "llama") writer.set(prefix + "dimension_count", static_cast<uint32_t>(config.head_dim));
  const std::string scaling = file.find("rope_scaling") != nullptr ? "rope_scaling" : "rope_parameters";
  const std::string type = file.string(scaling + "/rope_type", file.string(scaling + "/type", "default"));
  if (type == "default") return;
  if (type == "linear") {
    writer.set(prefix + "scaling.type", "linear");
    writer.set(prefix + "scaling.factor", static_cast<float>(file.number(scaling + "/factor")));
  } else if (type == "llama3") {
    const auto& factors = model.made.emplace_back(llama3_factors(file, scaling, base, config.head_dim));
    model.tensors.push_back({"rope_freqs.weight",
                             find_quant_type("F32"),
                             1,
                             {factors.size(), 1, 1, 1},
                             {reinterpret_cast<const std::byte*>(factors.data())},
                             0});
  } else {
    file.unsupported(fmt::format("RoPE scaling of type {} is not supported; linear and llama3 are", gguf_quoted(type)));
  }
}

void set_metadata(SourceModel& model, const JsonFile& file, const Config& config, const std::string& name) {
  GgufWriter& writer = *model.writer;
  const auto set = [&](const char* key, int64_t value) {
    writer.set(config.architecture + "." + key, static_cast<uint32_t>(value));
  };
  const bool is_llama = config.architecture == "llama";
  writer.set("general.architecture", config.architecture);
  writer.set("general.name", name);
  set("block_count", config.layers);
  set("context_length", file.integer("max_position_embeddings", 1, 1 << 30));
  set("embedding_length", config.width);
  set("vocab_size", config.vocabulary);
  set("attention.head_count", config.heads);
  if (is_llama) {
    set("attention.head_count_kv", config.kv_heads);
  } else {
    std::vector<int32_t> kv_heads;
    for (const bool attends : config.attention) kv_heads.push_back(attends ? static_cast<int32_t>(config.kv_heads) : 0);
    writer.set(config.architecture + ".attention.head_count_kv", kv_heads);
    set("shortconv.l_cache", file.integer("conv_L_cache", 1, 64));
  }
  if (config.head_dim * config.heads != config.width) {
    set("attention.key_length", config.head_dim);
    set("attention.value_length", config.head_dim);
  }
  writer.set(config.architecture + ".attention.layer_norm_rms_epsilon",
             static_cast<float>(file.number("norm_eps", file.number("rms_norm_eps", 1e-5))));
  if (config.experts > 0) {
    constexpr int64_t kSigmoid = 2;
    set("expert_count", config.experts);
    set("expert_used_count", file.integer("num_experts_per_tok", 1, config.experts));
    set("expert_feed_forward_length", file.integer("moe_intermediate_size", 1, 1 << 22));
    set("leading_dense_block_count", config.dense);
    set("expert_gating_func", kSigmoid);
  }
}

// One row for one layer, its parts found and its shape settled.
SourceTensor convert(Weights& weights, const Config& config, const Row& row, int64_t layer, const std::string& where) {
  SourceTensor out;
  out.name = with(row.here, "{}", layer);
  const std::string there = with(row.there, "{}", layer);
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::kBadFile, fmt::format("tensor {} {}", there, what), where);
  };
  const SafeTensor* first = nullptr;
  const int64_t count = row.how == kStacked ? config.experts : 1;
  for (int64_t i = 0; i < count; ++i) {
    const SafeTensor& tensor = weights.take(with(there, "<>", i));
    if (first == nullptr) first = &tensor;
    if (tensor.shape != first->shape || tensor.type != first->type) refuse("is not alike for all experts");
    out.parts.push_back(tensor.data);
  }
  std::vector<uint64_t> shape = first->shape;
  if (row.how == kKernel && shape.size() == 3 && shape[1] == 1) shape.erase(shape.begin() + 1);
  if (row.how == kStacked) shape.insert(shape.begin(), static_cast<uint64_t>(count));
  if (shape.empty() || shape.size() > 3 || first->bytes == 0) refuse("has a shape that none of a model's tensors has");
  out.type = first->type;
  out.dims = static_cast<int>(shape.size());
  std::copy(shape.rbegin(), shape.rend(), out.shape.begin());
  if (row.how == kRotaryQueries || row.how == kRotaryKeys) {
    const int64_t heads = row.how == kRotaryQueries ? config.heads : config.kv_heads;
    out.rotary_heads = static_cast<uint64_t>(heads);
    if (out.dims != 2 || out.shape[1] != static_cast<uint64_t>(heads * config.head_dim) || config.head_dim % 2 != 0) {
      refuse(fmt::format("has {} rows, not those of {} heads of {}", out.shape[1], heads, config.head_dim));
    }
  }
  if (out.name == "token_embd.weight" && (out.dims != 2 || out.shape[1] != static_cast<uint64_t>(config.vocabulary))) {
    refuse(fmt::format("has not the {} rows of the vocabulary", config.vocabulary));
  }
  return out;
}

}  // namespace

SourceModel open_hugging_face(const std::string& folder) {
  const fs::path path(folder);
  const JsonFile file((path / "config.json").string());
  const Config config = read_config(file);
  check_variant(file, config);
  SourceModel model;
  fs::path name = fs::absolute(path).lexically_normal();
  if (name.filename().empty()) name = name.parent_path();
  set_metadata(model, file, config, name.filename().string());

  Weights weights(path);
  model.files = weights.files();
  for (const Row& row : kRows) {
    if (!config.applies(row) || (row.layers != kModel && row.layers != kUntied)) continue;
    // A tied model's files may hold the output all the same.
    if (row.layers == kUntied && config.is_tied) weights.ignore(std::string(row.there));
    else model.tensors.push_back(convert(weights, config, row, 0, folder));
  }
  set_rope(model, file, config);
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    for (const Row& row : kRows) {
      if (!config.applies(row) || row.layers == kModel || row.layers == kUntied || !config.has(row.layers, layer))
        continue;
      model.tensors.push_back(convert(weights, config, row, layer, folder));
    }
  }
  weights.finish(config.architecture);
  // Some configurations state another width than the one they mean, so the tensor is asked. All layers experts: none
  // is.
  uint64_t ffn = config.dense > 0 ? 0 : static_cast<uint64_t>(file.integer("intermediate_size", 1, 1 << 22));
  for (const SourceTensor& tensor : model.tensors) {
    if (tensor.name == "blk.0.ffn_gate.weight") ffn = tensor.shape[1];
  }
  model.writer->set(config.architecture + ".feed_forward_length", static_cast<uint32_t>(ffn));
  set_tokenizer(*model.writer, folder, config.architecture, config.vocabulary);
  return model;
}

}  // namespace fieldprint
