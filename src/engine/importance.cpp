#include "engine/importance.h"

#include <cmath>

#include "fieldprint/error.h"
#include "gguf/gguf.h"

namespace fieldprint {
namespace {

std::vector<float> floats(const GgufTensor& tensor) {
  std::vector<float> values(tensor.elements());
  tensor.type->decode(tensor.data, values.data(), static_cast<int64_t>(values.size()));
  return values;
}

}  // namespace

Importance Importance::read(const std::string& path) {
  const auto file = GgufFile::open(path);
  if (file->string("general.type", "") != "imatrix") {
    throw Error(ErrorKind::kBadFile, "is no importance matrix: its general.type is not imatrix", path,
                "an imatrix in llama.cpp's older .dat format has to be converted to GGUF first");
  }
  constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
  Importance importance;
  for (const GgufTensor& tensor : file->tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name(tensor.name.substr(0, tensor.name.size() - kSums.size()));
    const GgufTensor& counts_tensor = file->tensor(name + std::string(kCounts));
    const auto refuse = [&](const std::string& why) { throw Error(ErrorKind::kBadFile, name + ": " + why, path); };
    ImportanceRows rows;
    rows.columns = tensor.shape[0];
    rows.means = floats(tensor);
    const std::vector<float> counts = floats(counts_tensor);
    if (rows.columns == 0 || counts.size() != rows.experts()) refuse("counts and sums do not belong together");

    std::vector<double> all(rows.columns, 0.0);
    double asked = 0.0;
    for (size_t expert = 0; expert < counts.size(); ++expert) {
      if (!std::isfinite(counts[expert]) || counts[expert] < 0.0f) refuse("a count is no number from 0 up");
      asked += counts[expert];
      for (size_t i = 0; i < rows.columns; ++i) {
        float& mean = rows.means[expert * rows.columns + i];
        if (!std::isfinite(mean) || mean < 0.0f) refuse("a sum of squares is no number from 0 up");
        all[i] += mean;
        if (counts[expert] > 0.0f) mean /= counts[expert];
      }
    }
    if (asked == 0.0) continue;  // nothing was measured
    for (size_t expert = 0; expert < counts.size(); ++expert) {
      if (counts[expert] > 0.0f) continue;
      for (size_t i = 0; i < rows.columns; ++i) {
        rows.means[expert * rows.columns + i] = static_cast<float>(all[i] / asked);
      }
    }
    importance.rows_.emplace(name, std::move(rows));
  }
  if (importance.rows_.empty()) throw Error(ErrorKind::kBadFile, "holds no sums of squares (NAME.in_sum2)", path);
  return importance;
}

const ImportanceRows* Importance::find(std::string_view tensor) const {
  const auto found = rows_.find(std::string(tensor));
  return found == rows_.end() ? nullptr : &found->second;
}

}  // namespace fieldprint
