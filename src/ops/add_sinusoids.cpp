// Sinusoidal positions (Vaswani et al. 2017): x[t, 2i] += sin(p f_i), x[t, 2i + 1] += cos(p f_i), p the position of t,
// f_i = 10000^(-2i / columns). Made anew for each row, so that a long context needs no table.
#include <cassert>
#include <vector>

#include "base/math.h"
#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

struct SinusoidFrequencies {
  int64_t cols = 0;
  std::vector<double> values;  // [(cols + 1) / 2]

  void make(int64_t of) {
    if (cols == of) return;
    cols = of;
    values.resize(static_cast<size_t>((cols + 1) / 2));
    const double step = -2 * log_f64(10000) / static_cast<double>(cols);
    for (size_t i = 0; i < values.size(); ++i) values[i] = exp_f64(static_cast<double>(i) * step);
  }
};

template <class Number>
void add_row(const SinusoidFrequencies& frequencies, int position, Number* x) {
  for (int64_t i = 0; i < frequencies.cols; ++i) {
    double sine = 0, cosine = 0;
    sincos_f64(position * frequencies.values[static_cast<size_t>(i / 2)], &sine, &cosine);
    x[i] += static_cast<Number>(sine);
    if (++i < frequencies.cols) x[i] += static_cast<Number>(cosine);
  }
}

void compute(RunExecutor& run, Tensor& x) {
  auto& frequencies = run.memory<SinusoidFrequencies>();
  frequencies.make(x.cols());
  run.arena().changed(x);
  run.for_rows(x.rows(),
               [&](int row) { add_row(frequencies, run.step().position(row), run.data(x) + row * x.cols()); });
}

void compute(ReferenceExecutor& reference, Tensor& x) {
  SinusoidFrequencies frequencies;
  frequencies.make(x.cols());
  for (int row = 0; row < x.rows(); ++row)
    add_row(frequencies, reference.step().position(row), reference.data(x) + row * x.cols());
}

}  // namespace

void Ops::add_sinusoids(Tensor& x) {
  assert(x.rows() == executor_.step().rows());
  const OpScope scope(executor_, "add_sinusoids");
  executor_.visit([&](auto& executor) {
    own(executor, x);
    compute(executor, x);  // x's gradient stays
  });
}

}  // namespace fieldprint
