// An importance matrix: how large the inputs of each matrix are, column by column, measured on text.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fieldprint {

// Of one tensor: the mean square of each input, per expert.
struct ImportanceRows {
  uint64_t columns = 0;
  std::vector<float> means;  // [experts, columns]; an expert that was never asked has the mean of the others

  uint64_t experts() const { return columns == 0 ? 0 : means.size() / columns; }
};

class Importance {
 public:
  // A GGUF file with general.type "imatrix" and for each tensor NAME two: NAME.in_sum2 [columns, experts], sums of
  // squares, and NAME.counts [1, experts]. Throws as GgufFile::open, and Error kBadFile where that is not what it
  // holds.
  static Importance read(const std::string& path);

  const ImportanceRows* find(std::string_view tensor) const;  // nullptr where absent
  size_t size() const { return rows_.size(); }

 private:
  std::unordered_map<std::string, ImportanceRows> rows_;
};

}  // namespace fieldprint
