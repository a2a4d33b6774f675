// The reference executor: every op straight from its formula in float64. Slow, obvious, the oracle of `run`.
#pragma once

#include <algorithm>
#include <vector>

#include "ops/executor.h"
#include "ops/tape.h"
#include "ops/weight.h"

namespace fieldprint {

// What a layer has seen, a row a position.
struct History {
  int64_t cols = 0;
  std::vector<double> values;

  void append(const double* x, int64_t rows, int64_t of) {  // [rows, of]
    cols = of;
    values.insert(values.end(), x, x + rows * cols);
  }
  void truncate(int tokens) { values.resize(std::min(values.size(), static_cast<size_t>(tokens * cols))); }
};

// All that was seen so far: keys and values, and the inputs of convolutions. Nothing is replayed but where a layer has
// states of linear attention: then all is, from the first token on.
struct ReferenceSequence final : SequenceState {
  static constexpr std::string_view kExecutor = "reference";

  explicit ReferenceSequence(size_t layers) : SequenceState(kExecutor), k(layers), v(layers), u(layers), m(layers) {}
  int64_t bytes() const override;
  int truncate(int tokens) override;
  int replay_cost(int tokens) const override;
  std::unique_ptr<SequenceState> fork() const override { return std::make_unique<ReferenceSequence>(*this); }

  std::vector<History> k, v, u;        // of each layer
  std::vector<std::vector<double>> m;  // of each layer: the states of its heads; empty: none, or nothing seen yet
};

class ReferenceExecutor final : public Executor {
 public:
  explicit ReferenceExecutor(size_t layers) : Executor(this, ReferenceSequence::kExecutor), layers_(layers) {}

  std::unique_ptr<SequenceState> new_sequence() override { return std::make_unique<ReferenceSequence>(layers_); }
  void begin(std::span<const StepSequence> sequences) override {
    step_.begin(sequences);
    hidden_ = Tensor();
  }
  std::span<const float> finish(Tensor x) override { return rounded(x, result_); }
  std::span<const float> hidden() override { return rounded(hidden_, rounded_hidden_); }

  // Records what ops do from tape.begin() on; nullptr: nothing is recorded. It outlives its use here.
  void attach(Tape<double>* tape) { tape_ = tape; }

  // ---- For the ops.

  using Number = double;
  Tape<double>* tape() const { return tape_; }
  template <class Task>
  void for_rows(int count, Task&& task) {
    for (int row = 0; row < count; ++row) task(row);
  }
  Tensor make(int rows, int64_t cols) { return arena().make(rows, cols, sizeof(double)); }
  double* data(const Tensor& t) { return arena().data<double>(t); }
  static ReferenceSequence& sequence(const StepSequence& s) { return static_cast<ReferenceSequence&>(*s.state); }
  const float* decoded_row(const Weight& w, int64_t row);  // [w.cols], valid until the next call

 private:
  std::span<const float> rounded(const Tensor& x, std::vector<float>& to);

  const size_t layers_;
  Tape<double>* tape_ = nullptr;
  std::vector<float> row_, result_, rounded_hidden_;
};

}  // namespace fieldprint
