#include "ops/reference_executor.h"

#include <algorithm>

namespace fieldprint {

ReferenceSequence::ReferenceSequence(const std::vector<KvLayerShape>& layers)
    : shapes(layers), k(layers.size()), v(layers.size()), u(layers.size()) {}

int ReferenceSequence::truncate(int tokens) {
  spans.truncate(tokens);
  for (size_t i = 0; i < shapes.size(); ++i) {
    const auto n = static_cast<size_t>(int64_t{tokens} * shapes[i].kv_heads * shapes[i].head_dim);
    k[i].resize(std::min(k[i].size(), n));
    v[i].resize(std::min(v[i].size(), n));
    u[i].resize(std::min(u[i].size(), static_cast<size_t>(int64_t{tokens} * shapes[i].conv_width)));
  }
  return 0;
}

int64_t ReferenceSequence::bytes() const {
  size_t total = 0;
  for (size_t i = 0; i < shapes.size(); ++i) total += (k[i].size() + v[i].size() + u[i].size()) * sizeof(double);
  return static_cast<int64_t>(total);
}

std::span<const float> ReferenceExecutor::finish(Tensor x) {
  const double* values = data(x);
  result_.resize(static_cast<size_t>(x.rows() * x.cols()));
  for (size_t i = 0; i < result_.size(); ++i) result_[i] = static_cast<float>(values[i]);
  return result_;
}

const float* ReferenceExecutor::decoded_row(const Weight& w, int64_t row) {
  row_.resize(static_cast<size_t>(w.cols));
  w.type->decode(w.data + row * w.row_bytes(), row_.data(), w.cols);
  return row_.data();
}

}  // namespace fieldprint
