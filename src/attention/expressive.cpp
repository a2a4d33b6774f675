// expressive: s = (q.k)^2 / d (after Gros 2024, "Reorganizing attention-space geometry with expressive attention"):
// keys parallel and antiparallel to the query count alike, orthogonal ones least.
#include "attention/kind.h"

namespace fieldprint {
namespace {

template <class Number>
Number formula(const Number* q, const Number*, const Number* k, int d) {
  Number sum = 0;
  for (int i = 0; i < d; ++i) sum += q[i] * k[i];
  return sum * sum;
}

double scale(int d) { return 1.0 / d; }

void combine(float* products, int64_t, const float*, int n) {
  for (int j = 0; j < n; ++j) products[j] *= products[j];
}

}  // namespace

AttentionKind expressive() {
  AttentionKind kind = dot();
  kind.name = "expressive";
  kind.scale = scale;
  kind.combine = combine;
  kind.formula_f64 = formula<double>;
  kind.formula_f32 = formula<float>;
  return kind;
}

}  // namespace fieldprint
