// What the encoders want of an importance matrix: how much an error in each column counts.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "make/importance_sums.h"

namespace fieldprint {

// Of one tensor: the mean square of each input, per expert.
struct ImportanceRows {
  uint64_t columns = 0;
  std::vector<float> means;  // [experts, columns]; an expert that was never asked has the mean of the others

  uint64_t experts() const { return columns == 0 ? 0 : means.size() / columns; }
};

class Importance {
 public:
  // Tensors whose counts are all 0 are left out: nothing was measured.
  explicit Importance(const ImportanceSums& sums);
  static Importance read(const std::string& path) { return Importance(ImportanceSums::read(path)); }

  const ImportanceRows* find(std::string_view tensor) const;  // nullptr where absent
  size_t size() const { return rows_.size(); }

 private:
  std::unordered_map<std::string, ImportanceRows> rows_;
};

}  // namespace fieldprint
