#include "ops/reference_executor.h"

namespace fieldprint {

int ReferenceSequence::replay_cost(int tokens) const {
  return std::any_of(m.begin(), m.end(), [](const auto& states) { return !states.empty(); }) ? tokens : 0;
}

int ReferenceSequence::truncate(int tokens) {
  spans.truncate(tokens);
  const int replay = replay_cost(tokens);
  for (std::vector<double>& states : m) std::fill(states.begin(), states.end(), 0.0);
  for (std::vector<History>* layers : {&k, &v, &u})
    for (History& layer : *layers) layer.truncate(tokens - replay);
  return replay;
}

int64_t ReferenceSequence::bytes() const {
  size_t total = 0;
  for (const std::vector<History>* layers : {&k, &v, &u})
    for (const History& layer : *layers) total += layer.values.size() * sizeof(double);
  for (const std::vector<double>& states : m) total += states.size() * sizeof(double);
  return static_cast<int64_t>(total);
}

std::span<const float> ReferenceExecutor::rounded(const Tensor& x, std::vector<float>& to) {
  to.resize(static_cast<size_t>(x.rows() * x.cols()));
  if (to.empty()) return {};
  const double* values = data(x);
  for (size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(values[i]);
  return to;
}

const float* ReferenceExecutor::decoded_row(const Weight& w, int64_t row) {
  row_.resize(static_cast<size_t>(w.cols));
  w.type->decode(w.data + row * w.row_bytes(), row_.data(), w.cols);
  return row_.data();
}

}  // namespace fieldprint
