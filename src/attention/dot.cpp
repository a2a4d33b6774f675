// dot: s = q.k / sqrt(d) (Vaswani et al. 2017).
#include <cmath>
#include <cstring>

#include "attention/kind.h"

namespace fieldprint {
namespace {

template <class Number>
Number formula(const Number* q, const Number*, const Number* k, int d) {
  Number sum = 0;
  for (int i = 0; i < d; ++i) sum += q[i] * k[i];
  return sum;
}

double scale(int d) { return 1.0 / std::sqrt(static_cast<double>(d)); }

double prepare(const float* q, const float*, int d, float* vectors, int64_t) {
  std::memcpy(vectors, q, sizeof(float) * static_cast<size_t>(d));
  return 1;
}

void prepare_backward(const float*, const float*, int d, const float* d_vectors, int64_t, double, float* dq, float*) {
  if (dq == nullptr) return;
  for (int i = 0; i < d; ++i) dq[i] += d_vectors[i];
}

void formula_backward(const double* q, const double*, const double* k, int d, double ds, double* dq, double*,
                      double* dk) {
  for (int i = 0; i < d; ++i) {
    dq[i] += ds * k[i];
    dk[i] += ds * q[i];
  }
}

}  // namespace

AttentionKind dot() {
  return {.name = "dot",
          .third_projection = false,
          .key_squares = false,
          .anchors = false,
          .vectors = 1,
          .scale = scale,
          .prepare = prepare,
          .combine = nullptr,
          .formula_f64 = formula<double>,
          .formula_f32 = formula<float>,
          .factor = false,
          .prepare_backward = prepare_backward,
          .combine_backward = nullptr,
          .formula_backward = formula_backward};
}

}  // namespace fieldprint
