// The error and the speed of every encoder: `quant_error_bench [FILE.gguf TENSOR]`, else rows of normal random numbers.
// Prints the relative root mean square error with all columns alike, and with the columns weighted by a random
// importance (log-normal, sigma 1.5), and million values per second on one thread.
//
// `quant_error_bench --files BASE OURS THEIRS [IMATRIX]` compares two quantised files of one model, tensors that have
// the same type in both: for each type the errors of both, weighted by the importance matrix where one is given. For
// all types at once: bench/quant_error_table.py.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "gguf/gguf.h"
#include "make/importance.h"
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

std::vector<float> decoded(const GgufTensor& tensor) {
  std::vector<float> values(tensor.elements());
  tensor.type->decode(tensor.data, values.data(), static_cast<int64_t>(values.size()));
  return values;
}

struct FileErrors {
  double all = 0, ours = 0, theirs = 0;
  int tensors = 0, worse = 0;  // of which ours errs more
};

int compare_files(const std::vector<std::string>& paths) {
  const auto base = GgufFile::open(paths[0]), ours = GgufFile::open(paths[1]), theirs = GgufFile::open(paths[2]);
  std::unique_ptr<Importance> importance;
  if (paths.size() > 3) importance = std::make_unique<Importance>(ImportanceSums::read(paths[3]));
  std::map<std::string_view, FileErrors> types;
  for (const GgufTensor& tensor : base->tensors()) {
    const GgufTensor &a = ours->tensor(tensor.name), &b = theirs->tensor(tensor.name);
    if (a.type != b.type || a.type == tensor.type || a.type->block_elements == 1) continue;
    const ImportanceRows* rows = importance != nullptr ? importance->find(tensor.name) : nullptr;
    if (importance != nullptr && rows == nullptr) continue;
    const auto x = decoded(tensor), y = decoded(a), z = decoded(b);
    const size_t columns = tensor.shape[0], expert = columns * tensor.shape[1];
    FileErrors one;
    for (size_t i = 0; i < x.size(); ++i) {
      const double w = rows == nullptr ? 1.0 : static_cast<double>(rows->means[i / expert * columns + i % columns]);
      const double value = x[i];
      one.all += w * value * value;
      one.ours += w * (y[i] - value) * (y[i] - value);
      one.theirs += w * (z[i] - value) * (z[i] - value);
    }
    // Each tensor counts alike, however large its inputs are.
    FileErrors& sum = types[a.type->name];
    sum.all += 1;
    sum.ours += one.ours / one.all;
    sum.theirs += one.theirs / one.all;
    sum.tensors += 1;
    sum.worse += one.ours > one.theirs ? 1 : 0;
  }
  std::printf("%-8s %8s %12s %12s %8s %6s\n", "type", "tensors", "ours", "theirs", "ratio", "worse");
  for (const auto& [type, sum] : types) {
    std::printf("%-8s %8d %12.4e %12.4e %8.4f %6d\n", std::string(type).c_str(), sum.tensors,
                std::sqrt(sum.ours / sum.all), std::sqrt(sum.theirs / sum.all), std::sqrt(sum.ours / sum.theirs),
                sum.worse);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 4 && std::string_view(argv[1]) == "--files") {
    try {
      return compare_files({argv + 2, argv + argc});
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 2;
    }
  }
  Rng random(7);
  const Rows rows = argc > 2 ? tensor_rows(argv[1], argv[2]) : random_rows(&random);
  const int64_t n = rows.count * rows.columns;
  std::vector<float> importance(static_cast<size_t>(rows.columns));
  for (float& weight : importance) weight = static_cast<float>(std::exp(1.5 * random.normal()));

  std::printf("%-8s %6s %12s %12s %10s\n", "type", "bits", "error", "weighted", "M values/s");
  for (const QuantType& type : quant_types()) {
    std::vector<char> blocks(type.bytes(static_cast<uint64_t>(n)));
    std::vector<float> again(static_cast<size_t>(n));
    double error[2], seconds = 0;
    for (const bool weighted : {false, true}) {
      const auto start = std::chrono::steady_clock::now();
      encode_rows(type, rows.values.data(), weighted ? importance.data() : nullptr, blocks.data(), rows.count,
                  rows.columns, "rows");
      seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      type.decode(blocks.data(), again.data(), n);
      double off = 0, all = 0;
      for (size_t i = 0; i < again.size(); ++i) {
        const double weight = weighted ? importance[i % importance.size()] : 1.0;
        const double value = rows.values[i], difference = again[i] - value;
        off += weight * difference * difference, all += weight * value * value;
      }
      error[weighted ? 1 : 0] = std::sqrt(off / all);
    }
    std::printf("%-8s %6.3f %12.4e %12.4e %10.2f\n", std::string(type.name).c_str(),
                8.0 * type.block_bytes / type.block_elements, error[0], error[1],
                2.0 * static_cast<double>(n) / seconds * 1e-6);
  }
}
