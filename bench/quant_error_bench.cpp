// The error and the speed of every encoder: `quant_error_bench [FILE.gguf TENSOR]`, else rows of normal random numbers.
// Prints the relative root mean square error with all columns alike, and with the columns weighted by a random
// importance (log-normal, sigma 1.5), and million values per second on one thread.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "base/rng.h"
#include "gguf/gguf.h"
#include "quant/type.h"

using namespace fieldprint;

namespace {

struct Rows {
  std::vector<float> values;
  int64_t count, columns;
};

Rows random_rows(Rng* random) {
  Rows rows{{}, 64, 2048};
  for (int64_t i = 0; i < rows.count * rows.columns; ++i) rows.values.push_back(random->normal() * 0.02f);
  return rows;
}

// The first rows of a tensor. A width that is not a multiple of 256 is folded into rows of 1024.
Rows tensor_rows(const std::string& path, const std::string& name) {
  const auto file = GgufFile::open(path);
  const GgufTensor& tensor = file->tensor(name);
  Rows rows{{}, 0, static_cast<int64_t>(tensor.shape[0])};
  rows.count = std::min<int64_t>(static_cast<int64_t>(tensor.elements()) / rows.columns, 128);
  rows.values.resize(static_cast<size_t>(rows.count * rows.columns));
  tensor.type->decode(tensor.data, rows.values.data(), rows.count * rows.columns);
  if (rows.columns % 256 != 0) rows.count = rows.count * rows.columns / 1024, rows.columns = 1024;
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  Rng random(7);
  const Rows rows = argc > 2 ? tensor_rows(argv[1], argv[2]) : random_rows(&random);
  const int64_t n = rows.count * rows.columns;
  std::vector<float> importance(static_cast<size_t>(rows.columns));
  for (float& weight : importance) weight = static_cast<float>(std::exp(1.5 * random.normal()));

  std::printf("%-8s %6s %12s %12s %10s\n", "type", "bits", "error", "weighted", "M values/s");
  for (const QuantType& type : quant_types()) {
    std::vector<char> blocks(type.bytes(static_cast<uint64_t>(n)));
    std::vector<float> decoded(static_cast<size_t>(n));
    double error[2], seconds = 0;
    for (const bool weighted : {false, true}) {
      const auto start = std::chrono::steady_clock::now();
      encode_rows(type, rows.values.data(), weighted ? importance.data() : nullptr, blocks.data(), rows.count,
                  rows.columns, "rows");
      seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      type.decode(blocks.data(), decoded.data(), n);
      double off = 0, all = 0;
      for (size_t i = 0; i < decoded.size(); ++i) {
        const double weight = weighted ? importance[i % importance.size()] : 1.0;
        const double value = rows.values[i], difference = decoded[i] - value;
        off += weight * difference * difference, all += weight * value * value;
      }
      error[weighted ? 1 : 0] = std::sqrt(off / all);
    }
    std::printf("%-8s %6.3f %12.4e %12.4e %10.2f\n", std::string(type.name).c_str(),
                8.0 * type.block_bytes / type.block_elements, error[0], error[1],
                2.0 * static_cast<double>(n) / seconds * 1e-6);
  }
}
