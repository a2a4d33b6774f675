// y[t, r] = sum over c of x[t, c] * w[r, c].
#include "ops/activations.h"
#include "ops/observer.h"
#include "ops/ops.h"
#include "ops/products.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

void compute(RunExecutor& run, const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y) {
  Products& products = run.memory<Products>();
  products.clear();
  for (size_t i = 0; i < weights.size(); ++i) {
    y[i] = run.make(x.rows(), weights[i]->rows);
    products.add({*weights[i], activations(run, x, *weights[i]), x.rows(), run.data(y[i])});
  }
  products.multiply(run);
}

void compute(ReferenceExecutor& reference, const Tensor& x, std::span<const Weight* const> weights,
             std::span<Tensor> y) {
  const double* in = reference.data(x);
  for (size_t i = 0; i < weights.size(); ++i) {
    const Weight& w = *weights[i];
    if (OpsObserver* observer = reference.observer()) {
      const std::vector<float> inputs(in, in + x.rows() * x.cols());
      observer->inputs(w, inputs);
    }
    y[i] = reference.make(x.rows(), w.rows);
    double* out = reference.data(y[i]);
    for (int64_t r = 0; r < w.rows; ++r) {
      const float* row = reference.decoded_row(w, r);
      for (int t = 0; t < x.rows(); ++t) {
        double sum = 0;
        for (int64_t c = 0; c < w.cols; ++c) sum += in[t * x.cols() + c] * static_cast<double>(row[c]);
        out[t * w.rows + r] = sum;
      }
    }
  }
}

}  // namespace

void Ops::linear(const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y) {
  const OpScope scope(executor_, "linear", weights[0]->name, -1, weights.size());
  executor_.visit([&](auto& executor) { compute(executor, x, weights, y); });
}

Tensor Ops::linear(const Tensor& x, const Weight& weight) {
  const Weight* weights[] = {&weight};
  Tensor y[1];
  linear(x, weights, y);
  return std::move(y[0]);
}

}  // namespace fieldprint
