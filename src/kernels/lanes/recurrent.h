// The slots of layers with recurrent state (ConvolveRow, StateScan in table.h) for vectors of floats. Each does the
// whole vectors that its numbers fill and returns where the rest begins, which is scalar's: its bits are the same.
// Internal linkage and no standard library, as in matmul.h.
#pragma once

#include "kernels/lanes/exp.h"
#include "kernels/table.h"

namespace fieldprint {
namespace {

template <FloatVector V>
inline __attribute__((always_inline)) int sigmoid_mul_vectors(const float* gate, const float* x, int n, float* y) {
  constexpr int kVectors = 2;
  int i = 0;
  for (; i + V::kLanes * kVectors <= n; i += V::kLanes * kVectors) {
    typename V::Vector e[kVectors];
    for (int v = 0; v < kVectors; ++v) e[v] = V::negate(V::load(gate + i + V::kLanes * v));
    exp_vectors<V>(e);
    for (int v = 0; v < kVectors; ++v) {
      const int at = i + V::kLanes * v;
      V::store(y + at, V::mul(V::div(V::splat(1.0f), V::add(V::splat(1.0f), e[v])), V::load(x + at)));
    }
  }
  return i;
}

template <FloatVector V>
inline __attribute__((always_inline)) int convolve_silu_vectors(const ConvolveRow& c) {
  constexpr int kVectors = 2;
  int i = c.begin;
  for (; i + V::kLanes * kVectors <= c.end; i += V::kLanes * kVectors) {
    typename V::Vector sum[kVectors], e[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = c.bias != nullptr ? V::load(c.bias + i + V::kLanes * v) : V::zero();
    for (int j = 0; j < c.taps; ++j) {
      const float *kernel = c.kernel + static_cast<int64_t>(j) * c.n + i, *row = c.rows[j] + i;
      for (int v = 0; v < kVectors; ++v)
        sum[v] = V::fma(V::load(kernel + V::kLanes * v), V::load(row + V::kLanes * v), sum[v]);
    }
    for (int v = 0; v < kVectors; ++v) e[v] = V::negate(sum[v]);
    exp_vectors<V>(e);
    for (int v = 0; v < kVectors; ++v) V::store(c.y + i + V::kLanes * v, V::div(sum[v], V::add(V::splat(1.0f), e[v])));
  }
  return i;
}

// N vectors of columns from `column` on: with keys of 128 they stay in the first-level cache over all tokens.
template <FloatVector V, int N>
inline __attribute__((always_inline)) void scan_columns(const StateScan& s, int column) {
  using Vector = typename V::Vector;
  const auto total = [](const Vector(&sum)[4][N], int n) __attribute__((always_inline)) {
    return V::add(V::add(sum[0][n], sum[1][n]), V::add(sum[2][n], sum[3][n]));
  };
  const auto clear = [](Vector(&sum)[4][N]) __attribute__((always_inline)) {
    for (int i = 0; i < 4; ++i) {
      for (int n = 0; n < N; ++n) sum[i][n] = V::zero();
    }
  };
  for (int t = 0; t < s.tokens; ++t) {
    const float *q = s.q + t * s.key_stride, *k = s.k + t * s.key_stride, *v = s.v + t * s.value_stride + column;
    const Vector decay = V::splat(s.decay[t * s.gate_stride]);
    Vector d[N], sum[4][N];
    for (int n = 0; n < N; ++n) d[n] = V::load(v + V::kLanes * n);
    if (s.beta != nullptr) {
      const Vector beta = V::splat(s.beta[t * s.gate_stride]);
      clear(sum);
      const float* m = s.state + column;
      for (int i = 0; i < s.keys; i += 4) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j, m += s.state_stride) {
          const Vector key = V::splat(k[i + j]);
          for (int n = 0; n < N; ++n) sum[j][n] = V::fma(V::load(m + V::kLanes * n), key, sum[j][n]);
        }
      }
      for (int n = 0; n < N; ++n) d[n] = V::mul(beta, V::sub(d[n], V::mul(decay, total(sum, n))));
    }
    clear(sum);
    float* m = s.state + column;
    for (int i = 0; i < s.keys; i += 4) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j, m += s.state_stride) {
        const Vector key = V::splat(k[i + j]), query = V::splat(q[i + j]);
        for (int n = 0; n < N; ++n) {
          const Vector value = V::fma(key, d[n], V::mul(decay, V::load(m + V::kLanes * n)));
          V::store(m + V::kLanes * n, value);
          sum[j][n] = V::fma(value, query, sum[j][n]);
        }
      }
    }
    float* o = s.o + t * s.output_stride + column;
    for (int n = 0; n < N; ++n) V::store(o + V::kLanes * n, total(sum, n));
  }
}

template <FloatVector V>
inline __attribute__((always_inline)) int scan_state_vectors(const StateScan& s) {
  int column = 0;
  for (; column + 2 * V::kLanes <= s.columns; column += 2 * V::kLanes) scan_columns<V, 2>(s, column);
  for (; column + V::kLanes <= s.columns; column += V::kLanes) scan_columns<V, 1>(s, column);
  return column;
}

// What is left of `s` behind its first columns.
inline StateScan columns_from(const StateScan& s, int first) {
  StateScan rest = s;
  rest.state += first, rest.v += first, rest.o += first;
  rest.columns -= first;
  return rest;
}

}  // namespace
}  // namespace fieldprint
