// Takes a model's tensors out of its file by name, checks each one's shape, and at the end that none was left over: a
// tensor nobody asked for means that the file is not what the architecture takes it for.
#pragma once

#include <deque>
#include <string>
#include <unordered_set>
#include <vector>

#include "gguf/gguf.h"
#include "ops/ops.h"

namespace fieldprint {

class TensorSource {
 public:
  explicit TensorSource(const GgufFile& file) : file_(file) {}

  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }

  // A matrix of `rows` outputs by `cols` inputs (GGUF shape {cols, rows}). Throws Error kBadFile.
  Weight matrix(const std::string& name, int64_t rows, int64_t cols);

  // A vector of `n`, as float32 whatever the file's type is; `storage` keeps the floats.
  Weight vector(const std::string& name, int64_t n, std::deque<std::vector<float>>& storage);

  // Matrices of `count` experts, GGUF shape {cols, rows, count}, stacked by rows.
  Weight experts(const std::string& name, int64_t count, int64_t rows, int64_t cols);

  // A depthwise kernel, GGUF shape {taps, width}, as float32 [taps, width].
  Weight kernel(const std::string& name, int64_t taps, int64_t width, std::deque<std::vector<float>>& storage);

  // Throws Error kUnsupported where the file has tensors that nobody took.
  void finish() const;

  int64_t elements() const { return elements_; }

 private:
  Weight check_row(const Weight& w) const;  // throws Error kUnsupported for rows longer than kernels can hold
  const GgufTensor& take(const std::string& name, int64_t cols, int64_t rows, int64_t depth = 1);

  const GgufFile& file_;
  std::unordered_set<std::string_view> taken_;
  int64_t elements_ = 0;
};

}  // namespace fieldprint
