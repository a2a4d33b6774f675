#include "models/windows.h"

#include <fmt/format.h>

#include <algorithm>

namespace fieldprint {
namespace {

constexpr std::string_view kWindow = "attention.sliding_window", kPattern = "attention.sliding_window_pattern";

bool local_by(int period, size_t layer) { return static_cast<int>(layer) % period < period - 1; }

void set_windows(Hyperparameters& hp, int window, int period) {
  for (size_t i = 0; i < hp.plan.size(); ++i) hp.plan[i].window = local_by(period, i) ? window : 0;
}

}  // namespace

void read_windows(const Metadata& metadata, Hyperparameters& hp, int window, int period) {
  window = metadata.integer(kWindow, 0, 1 << 30, window);
  const GgufValue* pattern = metadata.file().find(metadata.name(kPattern));
  if (pattern == nullptr || !std::holds_alternative<GgufArray>(pattern->value))
    return set_windows(hp, window, metadata.integer(kPattern, 1, 1000, period));
  const std::vector<int> local = metadata.integers(kPattern, hp.layers, 0, 1);
  for (size_t i = 0; i < hp.plan.size(); ++i) hp.plan[i].window = local[i] != 0 ? window : 0;
}

void read_windows(const Config& config, Hyperparameters& hp, int window, int period) {
  window = static_cast<int>(config.integer("sliding_window", 1, 1 << 30, window));
  if (!config.has("layer_types")) return set_windows(hp, window, period);
  const auto types = config.strings("layer_types");
  if (types.size() != hp.plan.size()) config.refuse("layer_types should name every layer's type");
  for (size_t i = 0; i < types.size(); ++i) {
    const bool local = types[i] == "sliding_attention";
    if (!local && types[i] != "full_attention") {
      config.unsupported(
          fmt::format("layer {} is of type '{}'; full_attention and sliding_attention are supported", i, types[i]));
    }
    hp.plan[i].window = local ? window : 0;
  }
}

void write_windows(const MetadataWriter& out, const Hyperparameters& hp, int period) {
  int window = 0;
  for (const LayerPlan& layer : hp.plan) window = std::max(window, layer.window);
  out.set(kWindow, window);
  std::vector<bool> local;
  bool usual = window > 0;
  for (size_t i = 0; i < hp.plan.size(); ++i) {
    local.push_back(hp.plan[i].window > 0);
    usual = usual && local[i] == local_by(period, i);
  }
  if (!usual && window > 0) out.set(kPattern, local);
}

float read_softcap(const Metadata& metadata, std::string_view key, double fallback) {
  return static_cast<float>(metadata.number(key, 0, 1e6, fallback));
}

}  // namespace fieldprint
