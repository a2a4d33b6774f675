#include <fmt/format.h>

#include "fieldprint/error.h"
#include "models/architecture.h"

namespace fieldprint {

extern const ArchitectureRow kLlama, kLfm2, kLfm2Moe, kQwen2, kQwen3, kQwen3Moe, kQwen35, kQwen35Moe, kPhi3, kSmolLm3,
    kGranite, kGraniteMoe, kGraniteHybrid, kGemma2, kGemma3, kGptOss, kBert, kGpt2, kClassic, kLab;

namespace {

constexpr const ArchitectureRow* kRows[] = {
    &kLlama,     &kLfm2,   &kLfm2Moe, &kQwen2,   &kQwen3,      &kQwen3Moe,      &kQwen35,
    &kQwen35Moe, &kPhi3,   &kSmolLm3, &kGranite, &kGraniteMoe, &kGraniteHybrid, &kGemma2,
    &kGemma3,    &kGptOss, &kBert,    &kGpt2,    &kClassic,    &kLab,
};

// A kind cannot be chosen: the projections were trained for one.
void check_attention(const Hyperparameters& hp, std::string_view wanted) {
  if (wanted.empty()) return;
  if (find_attention_kind(wanted) == nullptr) {
    std::string all;
    for (const AttentionKind& kind : attention_kinds()) all += fmt::format("{}{}", all.empty() ? "" : ", ", kind.name);
    throw Error(ErrorKind::kUsage, fmt::format("there is no attention of kind '{}'", wanted), "--attention-kind",
                "one of: " + all);
  }
  for (size_t i = 0; i < hp.plan.size(); ++i) {
    const AttentionKind* kind = hp.plan[i].attention;
    if (kind == nullptr || kind->name == wanted) continue;
    throw Error(
        ErrorKind::kUsage,
        fmt::format("layer {} of the model was trained to attend by {}: under {} its weights would mean nothing", i,
                    kind->name, wanted),
        "--attention-kind", "leave the flag away; the file says which kind each layer is of");
  }
}

void choose_experts(Hyperparameters& hp, int wanted) {
  if (wanted == 0) return;
  if (wanted > hp.experts) {
    throw Error(
        ErrorKind::kUsage, fmt::format("{} active experts asked for, the model has {}", wanted, hp.experts),
        "--experts",
        hp.experts == 0 ? "it is no mixture of experts: leave the flag away" : fmt::format("1 to {}", hp.experts));
  }
  hp.experts_used = wanted;
}

// What each layer keeps of the tokens that it has seen.
std::vector<KvLayerShape> kept_by_layers(const Hyperparameters& hp) {
  std::vector<KvLayerShape> all;
  for (const LayerPlan& layer : hp.plan) {
    switch (layer.mixer) {
      case Mixer::kAttention:
        all.push_back({.kv_heads = layer.kv_heads,
                       .head_dim = hp.head_dim * (layer.attention->key_plane ? 2 : 1),
                       .key_squares = layer.attention->key_squares,
                       .window = layer.window < hp.context ? layer.window : 0});
        break;
      case Mixer::kShortConv:
        all.push_back({.state_floats = int64_t{hp.conv_taps - 1} * hp.width, .state_replay = hp.conv_taps - 1});
        break;
      case Mixer::kDeltaNet:
      case Mixer::kMamba2:
        all.push_back({.state_floats = (hp.conv_taps - 1) * conv_channels(hp) +
                                       int64_t{hp.linear_heads} * hp.linear_keys * hp.linear_columns,
                       .state_replay = kNoReplay});
        break;
    }
  }
  return all;
}

Hyperparameters read_hyperparameters(const GgufFile& file, const ArchitectureRow& row) {
  Hyperparameters hp = row.read(Metadata(file));
  check_supported(hp, file.path());
  hp.kv = kept_by_layers(hp);
  return hp;
}

}  // namespace

std::span<const ArchitectureRow* const> architectures() { return kRows; }

const ArchitectureRow& architecture_of(const GgufFile& file) {
  if (file.string("general.type", "") == "adapter") {
    throw Error(ErrorKind::kUsage, "is an adapter, not a model", file.path(),
                "name its model with --model and the adapter with --lora");
  }
  const std::string_view name = file.string("general.architecture");
  std::string known;
  for (const ArchitectureRow* row : kRows) {
    if (row->name == name) return *row;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row->name);
  }
  throw Error(ErrorKind::kUnsupported, fmt::format("models of architecture '{}' are not supported", name), file.path(),
              "supported: " + known);
}

void check_supported(const Hyperparameters& hp, const std::string& where) {
  const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kUnsupported, what, where); };
  if (hp.head_dim < 8 || hp.head_dim > kMaxHeadDim || hp.head_dim % 8 != 0)
    refuse(fmt::format("a head size of {} is not supported, a multiple of 8 up to {} is", hp.head_dim, kMaxHeadDim));
  for (const LayerPlan& layer : hp.plan) {
    if (layer.attention == nullptr) continue;
    if (layer.attention->key_plane && 2 * hp.head_dim > kMaxHeadDim)
      refuse(fmt::format("attention by {} to heads of {} is not supported, to heads of up to {} it is",
                         layer.attention->name, hp.head_dim, kMaxHeadDim / 2));
    if (hp.heads % layer.kv_heads != 0)
      refuse(fmt::format("{} heads cannot share {} K/V heads evenly", hp.heads, layer.kv_heads));
    if (hp.heads / layer.kv_heads > kMaxHeadGroup)
      refuse(fmt::format("more than {} query heads to a K/V head are not supported", kMaxHeadGroup));
  }
}

std::unique_ptr<Architecture> load_architecture(const GgufFile& file, const ModelOverrides& overrides) {
  const ArchitectureRow& row = architecture_of(file);
  Hyperparameters hp = read_hyperparameters(file, row);
  check_attention(hp, overrides.attention_kind);
  choose_experts(hp, overrides.experts);
  Weights weights(file, row.tensors, hp, overrides.weights);
  hp.parameters = weights.elements();
  hp.active_parameters = hp.parameters - weights.idle_elements();
  return row.make(std::move(hp), std::move(weights));
}

Hyperparameters read_hyperparameters(const GgufFile& file) { return read_hyperparameters(file, architecture_of(file)); }

ConfiguredModel read_config(const Config& config) {
  const std::string type = config.string("model_type", "");
  std::string known;
  for (const ArchitectureRow* row : kRows) {
    for (const HuggingFaceType& one : row->hugging_face) {
      if (one.name == type) return {row, one.read(config), &one};
      known += fmt::format("{}{}", known.empty() ? "" : ", ", one.name);
    }
  }
  config.unsupported(fmt::format("models of type '{}' are not supported; {} are", type, known));
}

}  // namespace fieldprint
