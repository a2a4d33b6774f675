// exp_f32 of base/math.h for vectors, operation by operation, and what is made of it. Internal linkage and no standard
// library, as in matmul.h.
#pragma once

#include "base/exp_constants.h"
#include "kernels/lanes/float_contract.h"

namespace fieldprint {
namespace {

// Of N vectors in step: one after the other they would fill the scheduler with operations that wait for each other.
template <FloatVector V, int N>
inline void exp_vectors(typename V::Vector (&x)[N]) {
  using C = ExpConstants;
  const auto each = [](auto&& step) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) step(i);
  };
  typename V::Mask below[N];
  typename V::Vector scale[N], p[N];
  each([&](int i) { below[i] = V::below(x[i], V::splat(C::kLow)); });
  each([&](int i) { x[i] = V::min(V::splat(C::kHigh), x[i]); });  // in this order a NaN stays
  each([&](int i) { scale[i] = V::fma(x[i], V::splat(C::kLog2e), V::splat(C::kRound)); });
  each([&](int i) { p[i] = V::sub(scale[i], V::splat(C::kRound)); });
  each([&](int i) { x[i] = V::fma(p[i], V::splat(-C::kLn2High), x[i]); });
  each([&](int i) { x[i] = V::fma(p[i], V::splat(-C::kLn2Low), x[i]); });
  each([&](int i) { p[i] = V::fma(V::splat(C::kC6), x[i], V::splat(C::kC5)); });
  each([&](int i) { p[i] = V::fma(p[i], x[i], V::splat(C::kC4)); });
  each([&](int i) { p[i] = V::fma(p[i], x[i], V::splat(C::kC3)); });
  each([&](int i) { p[i] = V::fma(p[i], x[i], V::splat(C::kC2)); });
  each([&](int i) { p[i] = V::fma(p[i], V::mul(x[i], x[i]), x[i]); });
  each([&](int i) { scale[i] = V::power_of_two(scale[i]); });
  each([&](int i) { x[i] = V::clear(below[i], V::fma(p[i], scale[i], scale[i])); });
}

// y = gate / (1 + e^-gate) * up for as many whole groups of kVectors vectors as n has; returns how many numbers.
template <FloatVector V, int kVectors>
inline __attribute__((always_inline)) int silu_mul_vectors(const float* gate, const float* up, int n, float* y) {
  int i = 0;
  for (; i + V::kLanes * kVectors <= n; i += V::kLanes * kVectors) {
    typename V::Vector e[kVectors];
    for (int v = 0; v < kVectors; ++v) e[v] = V::negate(V::load(gate + i + V::kLanes * v));
    exp_vectors<V>(e);
    for (int v = 0; v < kVectors; ++v) {
      const int at = i + V::kLanes * v;
      const typename V::Vector s = V::div(V::load(gate + at), V::add(V::splat(1.0f), e[v]));
      V::store(y + at, V::mul(s, V::load(up + at)));
    }
  }
  return i;
}

}  // namespace
}  // namespace fieldprint
