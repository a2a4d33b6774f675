// How often each expert of each layer is chosen, seen while the model computes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "ops/moe.h"
#include "ops/observer.h"

namespace fieldprint {

class ExpertCounts : public OpsObserver {
 public:
  void experts(const Moe& moe, std::span<const int> chosen, std::span<const float> weights) override {
    (void)weights;
    auto layer =
        std::find_if(layers_.begin(), layers_.end(), [&](const auto& l) { return l.router == moe.router.data; });
    if (layer == layers_.end()) {
      layers_.push_back({moe.router.data, std::vector<int64_t>(static_cast<size_t>(moe.experts))});
      layer = layers_.end() - 1;
    }
    for (const int expert : chosen) ++layer->counts[static_cast<size_t>(expert)];
  }

  // Of each layer that has experts, in the model's order, each expert's share of the choices; then counting begins
  // anew.
  std::vector<std::vector<float>> take() {
    std::vector<std::vector<float>> shares;
    for (Layer& layer : layers_) {
      const auto all = std::accumulate(layer.counts.begin(), layer.counts.end(), int64_t{0});
      auto& of = shares.emplace_back();
      for (int64_t& count : layer.counts) {
        of.push_back(static_cast<float>(static_cast<double>(count) / static_cast<double>(std::max(int64_t{1}, all))));
        count = 0;
      }
    }
    return shares;
  }

 private:
  struct Layer {
    const std::byte* router;
    std::vector<int64_t> counts;  // [experts]
  };
  std::vector<Layer> layers_;  // a forward pass goes through them in order
};

}  // namespace fieldprint
