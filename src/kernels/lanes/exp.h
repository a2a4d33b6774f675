// exp_f32 of base/math.h for vectors, operation by operation, and what is made of it. Internal linkage and no standard
// library, as in matmul.h.
#pragma once

#include "base/exp_constants.h"
#include "kernels/lanes/float_contract.h"
#include "kernels/table.h"

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

// What y = g / (1 + e^exponent(g)) * u(up) is made of, for each way of gating (table.h).
template <FloatVector V>
struct Silu {
  using Vector = typename V::Vector;
  static Vector gate(Vector g) { return g; }
  static Vector exponent(Vector g) { return V::negate(g); }
  static Vector up(Vector u) { return u; }
};

template <FloatVector V>
struct Gelu : Silu<V> {
  using Vector = typename V::Vector;
  static Vector exponent(Vector g) {
    return V::mul(g, V::fma(V::mul(g, g), V::splat(kGeluCubic), V::splat(kGeluLinear)));
  }
};

template <FloatVector V>
struct ClampedSilu {
  using Vector = typename V::Vector;
  static Vector gate(Vector g) { return V::min(V::splat(kSwigluLimit), g); }  // in this order a NaN stays
  static Vector exponent(Vector g) { return V::mul(g, V::splat(-kSwigluSlope)); }
  static Vector up(Vector u) {
    const Vector most = V::min(V::splat(kSwigluLimit), u);
    return V::add(V::negate(V::min(V::splat(kSwigluLimit), V::negate(most))), V::splat(1.0f));
  }
};

// For as many whole groups of kVectors vectors as n has; returns how many numbers.
template <FloatVector V, int kVectors, template <class> class Gate>
inline __attribute__((always_inline)) int gated_vectors(const float* gate, const float* up, int n, float* y) {
  int i = 0;
  for (; i + V::kLanes * kVectors <= n; i += V::kLanes * kVectors) {
    typename V::Vector g[kVectors], e[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      g[v] = Gate<V>::gate(V::load(gate + i + V::kLanes * v));
      e[v] = Gate<V>::exponent(g[v]);
    }
    exp_vectors<V>(e);
    for (int v = 0; v < kVectors; ++v) {
      const int at = i + V::kLanes * v;
      const typename V::Vector s = V::div(g[v], V::add(V::splat(1.0f), e[v]));
      V::store(y + at, V::mul(s, Gate<V>::up(V::load(up + at))));
    }
  }
  return i;
}

// The softcap slot for as many whole groups of kVectors vectors as n has; returns how many numbers.
template <FloatVector V, int kVectors>
inline __attribute__((always_inline)) int softcap_vectors(float* x, int n, float scale, float cap) {
  const typename V::Vector slope = V::splat(-2.0f * scale / cap), twice = V::splat(2.0f * cap), one = V::splat(cap);
  int i = 0;
  for (; i + V::kLanes * kVectors <= n; i += V::kLanes * kVectors) {
    typename V::Vector e[kVectors];
    for (int v = 0; v < kVectors; ++v) e[v] = V::mul(V::load(x + i + V::kLanes * v), slope);
    exp_vectors<V>(e);
    for (int v = 0; v < kVectors; ++v)
      V::store(x + i + V::kLanes * v, V::sub(V::div(twice, V::add(V::splat(1.0f), e[v])), one));
  }
  return i;
}

}  // namespace
}  // namespace fieldprint
