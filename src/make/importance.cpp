#include "make/importance.h"

namespace fieldprint {

Importance::Importance(const ImportanceSums& sums) {
  for (const auto& [name, tensor] : sums.tensors) {
    const size_t columns = tensor.columns;
    std::vector<double> all(columns, 0.0);
    double asked = 0.0;
    for (size_t expert = 0; expert < tensor.counts.size(); ++expert) {
      if (tensor.counts[expert] == 0.0f) continue;
      asked += static_cast<double>(tensor.counts[expert]);
      for (size_t i = 0; i < columns; ++i) all[i] += static_cast<double>(tensor.sums[expert * columns + i]);
    }
    if (asked == 0.0) continue;
    ImportanceRows rows{columns, tensor.sums};
    for (size_t expert = 0; expert < tensor.counts.size(); ++expert) {
      const float count = tensor.counts[expert];
      for (size_t i = 0; i < columns; ++i) {
        float& mean = rows.means[expert * columns + i];
        mean = count > 0.0f ? mean / count : static_cast<float>(all[i] / asked);
      }
    }
    rows_.emplace(name, std::move(rows));
  }
}

const ImportanceRows* Importance::find(std::string_view tensor) const {
  const auto found = rows_.find(std::string(tensor));
  return found == rows_.end() ? nullptr : &found->second;
}

}  // namespace fieldprint
