// What ops that make y = f(a, b), element by element of two tensors of one shape, have in common.
#pragma once

#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {

// kernel(a, b, n, y) for each row of n values.
inline Tensor pairwise(RunExecutor& run, const Tensor& a, const Tensor& b,
                       void (*kernel)(const float* a, const float* b, int n, float* y)) {
  Tensor y = run.make(a.rows(), a.cols());
  const int n = static_cast<int>(a.cols());
  run.for_rows(a.rows(), [&](int row) {
    const int64_t at = int64_t{row} * n;
    kernel(run.data(a) + at, run.data(b) + at, n, run.data(y) + at);
  });
  return y;
}

template <class Formula>  // formula(a, b) in float64
Tensor pairwise(ReferenceExecutor& reference, const Tensor& a, const Tensor& b, Formula formula) {
  Tensor y = reference.make(a.rows(), a.cols());
  for (int64_t i = 0; i < a.rows() * a.cols(); ++i)
    reference.data(y)[i] = formula(reference.data(a)[i], reference.data(b)[i]);
  return y;
}

}  // namespace fieldprint
