// Matrix products of gradients: c [m, n] += a b, with a [m, inner] read in any direction.
//   c[i, k] += sum over j of a[i * a_row + j * a_step] * b[j * b_row + k]
// Each number of c is one sum in order of j, whoever computes it; in float32 one fma a step.
#pragma once

#include <cstdint>

#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {

template <class Number>
struct Gemm {
  const Number* a = nullptr;
  int64_t a_row = 0, a_step = 1;
  const Number* b = nullptr;
  int64_t b_row = 0;
  Number* c = nullptr;
  int64_t c_row = 0;
  int64_t m = 0, inner = 0, n = 0;
};

void accumulate(RunExecutor& run, const Gemm<float>& gemm);  // shared among the threads
void accumulate(ReferenceExecutor& reference, const Gemm<double>& gemm);

// dx [tokens, w.cols] += dy [tokens, w.rows] w, whatever w's type: its rows are decoded, some at a time.
void add_product(RunExecutor& run, const float* dy, int64_t tokens, const Weight& w, float* dx);
void add_product(ReferenceExecutor& reference, const double* dy, int64_t tokens, const Weight& w, double* dx);

}  // namespace fieldprint
