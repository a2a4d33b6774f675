#include "models/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numbers>

#include "base/math.h"
#include "fieldprint/error.h"
#include "models/rope.h"

namespace fieldprint {
namespace {

// RoPE as config.json says it, in one of two objects.
class RopeReader {
 public:
  RopeReader(const Config& config, const ConfigDefaults& defaults, const Hyperparameters& hp, RopeSettings* rope)
      : config_(config), defaults_(defaults), hp_(hp), rope_(*rope), at_(place(config, defaults)) {
    rope_.base = config.number(at_ + "rope_theta", config.number("rope_theta", defaults.rope_base));
    if (!(rope_.base > 0)) config.refuse("rope_theta should be positive");
    const double part =
        config.number(at_ + "partial_rotary_factor", config.number("partial_rotary_factor", defaults.rotary_part));
    rope_.dims = static_cast<int>(hp.head_dim * part);
    if (rope_.dims < 2 || rope_.dims > hp.head_dim || rope_.dims % 2 != 0)
      config.refuse(
          fmt::format("partial_rotary_factor {} makes {} of {} dimensions turn", part, rope_.dims, hp.head_dim));
    if (config.has(at_ + "full_attention")) config.unsupported("RoPE that differs between layers is not supported");
    const std::string type = config.string(at_ + "rope_type", config.string(at_ + "type", "default"));
    if (type == "linear") linear();
    else if (type == "llama3") llama3();
    else if (type == "yarn") yarn();
    else if (type == "longrope" || type == "su") long_rope();
    else if (type != "default") {
      config.unsupported(
          fmt::format("RoPE scaling of type '{}' is not supported; linear, llama3, yarn and longrope are", type));
    }
  }

 private:
  static std::string place(const Config& config, const ConfigDefaults& defaults) {
    if (!defaults.rope_object.empty()) return std::string(defaults.rope_object);
    return config.has("rope_scaling") ? "rope_scaling/" : "rope_parameters/";
  }
  double value(const char* key) const { return config_.number(at_ + key); }
  void check(bool good, const char* type) const {
    if (!good)
      config_.refuse(fmt::format("{}: the numbers of {} scaling make no sense", at_.substr(0, at_.size() - 1), type));
  }
  int original_context() const {
    const int usual = defaults_.original_context > 0 ? defaults_.original_context : hp_.context;
    const int64_t fallback = config_.integer("original_max_position_embeddings", 1, 1 << 30, usual);
    return static_cast<int>(config_.integer(at_ + "original_max_position_embeddings", 1, 1 << 30, fallback));
  }

  void linear() {
    rope_.scaling = RopeScaling::kLinear;
    rope_.factor = value("factor");
    if (!(rope_.factor > 0)) config_.refuse(at_ + "factor should be positive");
  }

  // By how much the period of each pair grows (Llama 3.1): short periods stay, long ones are stretched by `factor`, and
  // between the two it is blended.
  void llama3() {
    const double factor = value("factor"), low = value("low_freq_factor"), high = value("high_freq_factor");
    const double context = config_.number(at_ + "original_max_position_embeddings", hp_.context);
    check(factor > 0 && low > 0 && high > low && context > 0, "llama3");
    for (int i = 0; i < rope_.dims / 2; ++i) {
      const double period =
          2 * std::numbers::pi * exp_f64(static_cast<double>(2 * i) / rope_.dims * log_f64(rope_.base));
      const double smooth = std::clamp((context / period - low) / (high - low), 0.0, 1.0);
      rope_.divisors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
    }
  }

  void yarn() {
    rope_.scaling = RopeScaling::kYarn;
    rope_.factor = value("factor");
    rope_.original_context = original_context();
    rope_.beta_fast = config_.number(at_ + "beta_fast", 32);
    rope_.beta_slow = config_.number(at_ + "beta_slow", 1);
    check(rope_.factor > 0 && rope_.base > 1 && rope_.beta_fast > 0 && rope_.beta_slow > 0, "yarn");
    if (config_.has(at_ + "mscale") || config_.has(at_ + "mscale_all_dim"))
      config_.unsupported("YaRN with mscale is not supported");
    const double usual = yarn_magnitude(rope_.factor), magnitude = config_.number(at_ + "attention_factor", usual);
    check(magnitude > 0, "yarn");
    rope_.magnitude = magnitude / usual;
  }

  void long_rope() {
    rope_.scaling = RopeScaling::kLongRope;
    rope_.original_context = original_context();
    rope_.long_divisors = divisors("long_factor");
    rope_.short_divisors = divisors("short_factor");
    // The factor that was trained with follows from the contexts, unless it is said.
    const double factor = config_.number(at_ + "factor", static_cast<double>(hp_.context) / rope_.original_context);
    rope_.magnitude = config_.number(at_ + "attention_factor", long_rope_magnitude(factor, rope_.original_context));
    check(rope_.magnitude > 0 && rope_.original_context > 1, "longrope");
  }

  std::vector<float> divisors(const char* key) const {
    std::vector<float> all;
    for (const double divisor : config_.numbers(at_ + key)) all.push_back(static_cast<float>(divisor));
    check(all.size() == static_cast<size_t>(rope_.dims / 2) &&
              std::all_of(all.begin(), all.end(), [](float divisor) { return divisor > 0; }),
          "longrope");
    return all;
  }

  const Config& config_;
  const ConfigDefaults& defaults_;
  const Hyperparameters& hp_;
  RopeSettings& rope_;
  const std::string at_;
};

}  // namespace

void Config::refuse(const std::string& what) const { throw Error(ErrorKind::kBadFile, what, path()); }
void Config::unsupported(const std::string& what) const { throw Error(ErrorKind::kUnsupported, what, path()); }

int Config::choice(std::string_view key, std::span<const std::string_view> names, int fallback) const {
  const std::string value = string(key, names[static_cast<size_t>(fallback)]);
  const auto found = std::find(names.begin(), names.end(), value);
  if (found == names.end()) refuse(fmt::format("{} is '{}', expected one of {}", key, value, fmt::join(names, ", ")));
  return static_cast<int>(found - names.begin());
}

Hyperparameters read_common(const Config& config, const ConfigDefaults& defaults) {
  Hyperparameters hp;
  hp.layers = static_cast<int>(config.integer("num_hidden_layers", 1, 1000, defaults.layers));
  hp.width = static_cast<int>(config.integer("hidden_size", 1, 1 << 20, defaults.width));
  hp.vocabulary = static_cast<int>(config.integer("vocab_size", 1, 1 << 24, defaults.vocabulary));
  hp.context = static_cast<int>(config.integer("max_position_embeddings", 1, 1 << 30, defaults.context));
  hp.heads = static_cast<int>(config.integer("num_attention_heads", 1, 1 << 12, defaults.heads));
  hp.head_dim = static_cast<int>(
      config.integer("head_dim", 1, 1 << 12, defaults.head_dim > 0 ? defaults.head_dim : hp.width / hp.heads));
  hp.eps = static_cast<float>(config.number(defaults.eps_key, defaults.eps));
  if (!(hp.eps >= 0 && hp.eps <= 1)) config.refuse(fmt::format("{} should be 0 to 1", defaults.eps_key));
  hp.tied = config.boolean("tie_word_embeddings", defaults.tied);
  if (const auto act = config.string(defaults.activation_key, defaults.activation); act != defaults.activation)
    config.unsupported(fmt::format("the activation '{}' is not supported, {} is", act, defaults.activation));
  LayerPlan layer;
  const int kv_heads = defaults.kv_heads > 0 ? defaults.kv_heads : hp.heads;
  layer.kv_heads = static_cast<int>(config.integer("num_key_value_heads", 1, 1 << 12, kv_heads));
  layer.ffn = static_cast<int>(config.integer("intermediate_size", 1, 1 << 22, defaults.ffn));
  layer.attention = &dot_kind();
  hp.plan.assign(static_cast<size_t>(hp.layers), layer);
  hp.dense_layers = hp.layers;
  RopeReader(config, defaults, hp, &hp.rope);
  return hp;
}

void refuse_window(const Config& config, const Hyperparameters& hp, bool has) {
  if (!has) return;
  if (const int64_t window = config.integer("sliding_window", 1, 1 << 30, 4096); window < hp.context)
    config.unsupported(fmt::format("a sliding window of {} is not supported", window));
}

void set_experts(Hyperparameters& hp, int experts, int used, int ffn) {
  hp.experts = experts;
  hp.experts_used = used;
  hp.expert_ffn = ffn;
  hp.dense_layers = 0;
  hp.gating = Gating::kSoftmax;
  for (LayerPlan& layer : hp.plan) layer.experts = true;
}

}  // namespace fieldprint
