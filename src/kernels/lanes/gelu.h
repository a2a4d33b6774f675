// gelu_erf for vectors, operation by operation as kernels/scalar has it. Internal linkage and no standard library, as
// in matmul.h.
#pragma once

#include "base/gelu_constants.h"
#include "kernels/lanes/exp.h"

namespace fieldprint {
namespace {

// y = x Phi(x) for as many whole groups of kVectors vectors as n has; returns how many numbers.
template <FloatVector V, int kVectors>
inline __attribute__((always_inline)) int gelu_erf_vectors(const float* x, int n, float* y) {
  using C = GeluConstants;
  using Vector = typename V::Vector;
  int i = 0;
  for (; i + V::kLanes * kVectors <= n; i += V::kLanes * kVectors) {
    Vector positive[kVectors], size[kVectors], tail[kVectors], e[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const Vector in = V::load(x + i + V::kLanes * v), negated = V::negate(in);
      positive[v] = V::clear(V::below(in, V::zero()), in);
      size[v] = V::add(positive[v], V::clear(V::below(negated, V::zero()), negated));
      e[v] = V::mul(size[v], V::mul(size[v], V::splat(-0.5f)));
      const Vector t = V::div(V::splat(1.0f), V::fma(size[v], V::splat(C::kSlope), V::splat(1.0f)));
      Vector p = V::splat(C::k[8]);
      for (int k = 7; k >= 0; --k) p = V::fma(p, t, V::splat(C::k[k]));
      tail[v] = V::mul(p, t);
    }
    exp_vectors<V>(e);
    for (int v = 0; v < kVectors; ++v)
      V::store(y + i + V::kLanes * v, V::sub(positive[v], V::mul(size[v], V::mul(tail[v], e[v]))));
  }
  return i;
}

}  // namespace
}  // namespace fieldprint
