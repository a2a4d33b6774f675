#include "lab/maps.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "fieldprint/chart.h"
#include "fieldprint/model.h"
#include "fieldprint/observe.h"
#include "lab/held_out.h"

namespace fieldprint {

std::string head_maps(const LabSettings& settings, const std::string& model) {
  constexpr size_t kMost = 128;
  LabSettings one = settings;
  one.held_out = 1;
  std::vector<TokenId> tokens = held_out_sequences(*lab_task(one), one)[0].tokens;
  tokens.resize(std::min(tokens.size(), kMost));
  const auto loaded = Model::load(model, {.threads = 1});
  std::vector<Observation> layers;
  for (int layer = 0; layer < loaded->info().layers; ++layer) layers.push_back(observe(*loaded, tokens, layer));
  std::vector<WeightMap> maps;
  const size_t cells = tokens.size() * tokens.size();
  const auto side = static_cast<int>(tokens.size());
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    for (int head = 0; head < layers[layer].heads; ++head) {
      maps.push_back({layers.size() > 1 ? fmt::format("layer {}, head {}", layer, head) : fmt::format("head {}", head),
                      side, side,
                      std::span(layers[layer].attention).subspan(static_cast<size_t>(head) * cells, cells)});
    }
  }
  return weight_maps(
      fmt::format("{}, learning rate {:g}, seed {}", settings.kind, settings.learning_rate, settings.seed), maps,
      layers[0].heads);
}

}  // namespace fieldprint
