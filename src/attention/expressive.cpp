// expressive: s = (q.k)^2 / d (after Gros 2024, "Reorganizing attention-space geometry with expressive attention"):
// keys parallel and antiparallel to the query count alike, orthogonal ones least.
#include "attention/kind.h"

namespace fieldprint {
namespace {

template <class Number>
Number product(const Number* q, const Number* k, int d) {
  Number sum = 0;
  for (int i = 0; i < d; ++i) sum += q[i] * k[i];
  return sum;
}

template <class Number>
Number formula(const Number* q, const Number*, const Number* k, int d) {
  const Number sum = product(q, k, d);
  return sum * sum;
}

double scale(int d) { return 1.0 / d; }

void combine(const float* products, int64_t, const float*, int n, float* combined) {
#pragma GCC ivdep
  for (int j = 0; j < n; ++j) combined[j] = products[j] * products[j];
}

void combine_backward(const float* products, int64_t, const float*, int n, float* d, float*) {
  for (int j = 0; j < n; ++j) d[j] *= 2 * products[j];
}

void formula_backward(const double* q, const double*, const double* k, int d, double ds, double* dq, double*,
                      double* dk) {
  const double by_product = 2 * product(q, k, d) * ds;
  for (int i = 0; i < d; ++i) {
    dq[i] += by_product * k[i];
    dk[i] += by_product * q[i];
  }
}

}  // namespace

AttentionKind expressive() {
  AttentionKind kind = dot();
  kind.name = "expressive";
  kind.scale = scale;
  kind.combine = combine;
  kind.formula_f64 = formula<double>;
  kind.formula_f32 = formula<float>;
  kind.combine_backward = combine_backward;
  kind.formula_backward = formula_backward;
  return kind;
}

}  // namespace fieldprint
