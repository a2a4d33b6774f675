#include "models/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>

#include "base/math.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// By how much the period of each pair of RoPE grows (Llama 3.1): short periods stay, long ones are stretched by
// `factor`, and between the two it is blended.
std::vector<float> llama3_divisors(const Config& config, const std::string& rope, const Hyperparameters& hp) {
  const auto value = [&](const char* key) { return config.number(rope + key); };
  const double factor = value("factor"), low = value("low_freq_factor"), high = value("high_freq_factor");
  const double context = config.number(rope + "original_max_position_embeddings", hp.context);
  if (!(factor > 0) || !(low > 0) || !(high > low) || !(context > 0))
    config.refuse(fmt::format("{}: the numbers of llama3 scaling make no sense", rope.substr(0, rope.size() - 1)));
  std::vector<float> divisors;
  for (int i = 0; i < hp.head_dim / 2; ++i) {
    const double period =
        2 * std::numbers::pi * exp_f64(static_cast<double>(2 * i) / hp.head_dim * log_f64(hp.rope_base));
    const double smooth = std::clamp((context / period - low) / (high - low), 0.0, 1.0);
    divisors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
  }
  return divisors;
}

void read_rope(const Config& config, const ConfigDefaults& defaults, Hyperparameters& hp) {
  const std::string rope = config.has("rope_scaling") ? "rope_scaling/" : "rope_parameters/";
  hp.rope_dims = hp.head_dim;
  hp.rope_base = config.number(rope + "rope_theta", config.number("rope_theta", defaults.rope_base));
  if (!(hp.rope_base > 0)) config.refuse("rope_theta should be positive");
  const double part = config.number(rope + "partial_rotary_factor", config.number("partial_rotary_factor", 1));
  if (part != 1) config.unsupported(fmt::format("a RoPE of {} of a head's dimensions is not supported", part));
  if (config.has(rope + "full_attention")) config.unsupported("RoPE that differs between layers is not supported");
  const std::string type = config.string(rope + "rope_type", config.string(rope + "type", "default"));
  if (type == "linear") {
    hp.rope_factor = config.number(rope + "factor");
    if (!(hp.rope_factor > 0)) config.refuse(rope + "factor should be positive");
  } else if (type == "llama3") {
    hp.rope_divisors = llama3_divisors(config, rope, hp);
  } else if (type != "default") {
    config.unsupported(fmt::format("RoPE scaling of type '{}' is not supported; linear and llama3 are", type));
  }
}

}  // namespace

void Config::refuse(const std::string& what) const { throw Error(ErrorKind::kBadFile, what, path()); }
void Config::unsupported(const std::string& what) const { throw Error(ErrorKind::kUnsupported, what, path()); }

Hyperparameters read_common(const Config& config, const ConfigDefaults& defaults) {
  Hyperparameters hp;
  hp.layers = static_cast<int>(config.integer("num_hidden_layers", 1, 1000));
  hp.width = static_cast<int>(config.integer("hidden_size", 1, 1 << 20));
  hp.vocabulary = static_cast<int>(config.integer("vocab_size", 1, 1 << 24));
  hp.context = static_cast<int>(config.integer("max_position_embeddings", 1, 1 << 30, defaults.context));
  hp.heads = static_cast<int>(config.integer("num_attention_heads", 1, 1 << 12));
  hp.head_dim = static_cast<int>(config.integer("head_dim", 1, 1 << 12, hp.width / hp.heads));
  hp.eps = static_cast<float>(config.number(defaults.eps_key, defaults.eps));
  if (!(hp.eps >= 0 && hp.eps <= 1)) config.refuse(fmt::format("{} should be 0 to 1", defaults.eps_key));
  hp.tied = config.boolean("tie_word_embeddings", defaults.tied);
  if (const auto act = config.string("hidden_act", "silu"); act != "silu")
    config.unsupported(fmt::format("the activation '{}' is not supported, silu is", act));
  LayerPlan layer;
  const int kv_heads = defaults.kv_heads > 0 ? defaults.kv_heads : hp.heads;
  layer.kv_heads = static_cast<int>(config.integer("num_key_value_heads", 1, 1 << 12, kv_heads));
  layer.ffn = static_cast<int>(config.integer("intermediate_size", 1, 1 << 22));
  layer.attention = &dot_kind();
  hp.plan.assign(static_cast<size_t>(hp.layers), layer);
  hp.dense_layers = hp.layers;
  read_rope(config, defaults, hp);
  return hp;
}

}  // namespace fieldprint
