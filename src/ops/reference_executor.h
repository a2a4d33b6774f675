// The reference executor: every op straight from its formula in float64. Slow, obvious, the oracle of `run`.
#pragma once

#include <vector>

#include "kv/layout.h"
#include "ops/executor.h"
#include "ops/weight.h"

namespace fieldprint {

// All that was seen so far, a row a position for each layer: K and V [kv_heads * head_dim], convolution inputs u
// [conv_width].
struct ReferenceSequence final : SequenceState {
  explicit ReferenceSequence(const std::vector<KvLayerShape>& layers);
  int truncate(int tokens) override;
  std::unique_ptr<SequenceState> fork() const override { return std::make_unique<ReferenceSequence>(*this); }
  int64_t bytes() const override;

  const std::vector<KvLayerShape>& shapes;
  std::vector<std::vector<double>> k, v, u;
};

class ReferenceExecutor final : public Executor {
 public:
  explicit ReferenceExecutor(std::vector<KvLayerShape> layers) : Executor(this), layers_(std::move(layers)) {}

  std::unique_ptr<SequenceState> new_sequence() override { return std::make_unique<ReferenceSequence>(layers_); }
  void begin(std::span<const StepSequence> sequences) override { step_.begin(sequences); }
  std::span<const float> finish(Tensor x) override;

  // ---- For the ops.

  Tensor make(int rows, int64_t cols) { return arena().make(rows, cols, sizeof(double)); }
  double* data(const Tensor& t) { return arena().data<double>(t); }
  static ReferenceSequence& sequence(const StepSequence& s) { return static_cast<ReferenceSequence&>(*s.state); }
  const float* decoded_row(const Weight& w, int64_t row);  // [w.cols], valid until the next call

 private:
  const std::vector<KvLayerShape> layers_;
  std::vector<float> row_, result_;
};

}  // namespace fieldprint
