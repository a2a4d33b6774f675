#include "models/plan.h"

#include <fmt/format.h>

namespace fieldprint {

std::vector<PlannedTensor> tensors_of(const TensorPlan& plan, const Hyperparameters& hp) {
  std::vector<PlannedTensor> all;
  const auto add = [&](const TensorRow& row, int index, const LayerPlan& layer) {
    PlannedTensor tensor{&row, index, std::string(row.here), std::string(row.there), {}, row.when(hp, layer)};
    if (index >= 0) {
      tensor.here = fmt::format("blk.{}.{}", index, row.here);
      tensor.there = fmt::format(fmt::runtime(plan.layers_there), index) + tensor.there;
    }
    for (const Length length : row.shape) {
      if (length != nullptr) tensor.shape.push_back(length(hp, layer));
    }
    all.push_back(std::move(tensor));
  };
  for (const TensorRow& row : plan.model) add(row, -1, {});
  for (int i = 0; i < hp.layers; ++i) {
    for (const TensorRow& row : plan.layer) add(row, i, hp.plan[static_cast<size_t>(i)]);
  }
  return all;
}

}  // namespace fieldprint
