// y[t, r] = sum over c of x[t, c] * w[r, c], and what adapters add to w.
#include "ops/activations.h"
#include "ops/backward.h"
#include "ops/gemm.h"
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

// dx = dy w, where w may be frozen and of any type; dw = dy^T x.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Weight& w, const Tensor& y) {
  on_tape(executor, {&x}, {&w}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.trains(w) ? tape.keep(x) : tape.node(x), w, y = tape.node(y)] {
      const auto* dy = tape.gradient(y);
      if (tape.wants(x)) add_product(executor, dy, x.rows, w, tape.gradient(x));
      if (auto* dw = tape.gradient(w))
        accumulate(executor, {.a = dy,
                              .a_row = 1,
                              .a_step = w.rows,
                              .b = tape.values(x),
                              .b_row = x.cols,
                              .c = dw,
                              .c_row = w.cols,
                              .m = w.rows,
                              .inner = x.rows,
                              .n = w.cols});
    });
  });
}

}  // namespace

void Ops::linear(const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y) {
  const OpScope scope(executor_, "linear", weights[0]->name, -1, weights.size());
  executor_.visit([&](auto& executor) {
    compute(executor, x, weights, y);
    for (size_t i = 0; i < weights.size(); ++i) record(executor, x, *weights[i], y[i]);
  });
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i]->additions == nullptr) continue;
    for (const LowRank& addition : *weights[i]->additions) {
      const Weight a = addition.a_of(*weights[i]), b = addition.b_of(*weights[i]);
      add(y[i], linear(linear(x, a), b), addition.scale);
    }
  }
}

Tensor Ops::linear(const Tensor& x, const Weight& weight) {
  const Weight* weights[] = {&weight};
  Tensor y[1];
  linear(x, weights, y);
  return std::move(y[0]);
}

}  // namespace fieldprint
