// gram: s = -det G(q, k, r) * d^-1.5, G the Gram matrix of the three vectors; r is a third projection of the query's
// position. As published: det = qq kk rr + 2 qk rk rq - qq rk^2 - kk rq^2 - rr qk^2, a difference of large numbers.
// What it is: A = qq rr - rq^2 is the squared area of (q, r), and det = A times the squared distance of k from their
// plane. So with e1 = q / |q| and e2 the unit rest of r after e1
//   s = -A (kk - (k.e1)^2 - (k.e2)^2) d^-1.5,
// one more product than dot and |k|^2; s <= 0. Degree 6 in the vectors' length: files may ask for norm `rms`, which
// normalises q, k and r before they come here (models/attention.cpp).
//
// Gradients, with A = |q|^2 |u|^2, u = r - (q.r / |q|^2) q and e2 = u / |u|: through A, u and e1 to q and r. Where q
// and r are parallel A has its least value, and all of them are 0.
#include <algorithm>
#include <cmath>
#include <utility>

#include "attention/kind.h"

namespace fieldprint {
namespace {

template <class Number>
Number formula(const Number* q, const Number* r, const Number* k, int d) {
  Number qq = 0, kk = 0, rr = 0, qk = 0, rk = 0, rq = 0;
  for (int i = 0; i < d; ++i) {
    qq += q[i] * q[i];
    kk += k[i] * k[i];
    rr += r[i] * r[i];
    qk += q[i] * k[i];
    rk += r[i] * k[i];
    rq += r[i] * q[i];
  }
  return -(qq * kk * rr + 2 * qk * rk * rq - qq * rk * rk - kk * rq * rq - rr * qk * qk);
}

double scale(int d) { return 1.0 / (d * std::sqrt(static_cast<double>(d))); }

// Floats that are parallel but for their own rounding have sin^2 below this: they span no plane.
constexpr double kParallel = 0x1p-46;

// The plane of a pair.
struct Plane {
  bool swapped = false;                // q and r in the other order
  bool there = false;                  // they are not parallel
  double qq = 0, along = 0, rest = 0;  // after the swap: |q|^2; u = r - along * q; |u|^2

  Plane(const float* q, const float* r, int d) {
    double rr = 0, qr = 0;
    for (int i = 0; i < d; ++i) {  // together: one sum alone would wait for its own results
      const auto x = static_cast<double>(q[i]), y = static_cast<double>(r[i]);
      qq += x * x, rr += y * y, qr += x * y;
    }
    // The pair in one order, whichever is called q: the score is symmetric to the bit.
    if (qq < rr || (qq == rr && std::lexicographical_compare(q, q + d, r, r + d))) {
      swapped = true;
      std::swap(q, r);
      std::swap(qq, rr);
    }
    if (!(rr > 0)) return;
    along = qr / qq;
    for (int i = 0; i < d; ++i) {
      const double x = static_cast<double>(r[i]) - along * static_cast<double>(q[i]);
      rest += x * x;
    }
    there = rest > kParallel * rr;
  }
};

double prepare(const float* q, const float* r, int d, float* vectors, int64_t stride) {
  const Plane plane(q, r, d);
  if (plane.swapped) std::swap(q, r);
  float *e1 = vectors, *e2 = vectors + stride;
  std::fill_n(e1, d, 0.0f);
  std::fill_n(e2, d, 0.0f);
  if (!plane.there) return 0;
  const double inverse_q = 1.0 / std::sqrt(plane.qq), inverse_rest = 1.0 / std::sqrt(plane.rest);
  for (int i = 0; i < d; ++i) {
    e1[i] = static_cast<float>(static_cast<double>(q[i]) * inverse_q);
    e2[i] = static_cast<float>((static_cast<double>(r[i]) - plane.along * static_cast<double>(q[i])) * inverse_rest);
  }
  return -plane.qq * plane.rest;
}

void prepare_backward(const float* q, const float* r, int d, const float* d_vectors, int64_t stride, double d_factor,
                      float* dq, float* dr) {
  const Plane plane(q, r, d);
  if (!plane.there) return;
  if (plane.swapped) std::swap(q, r), std::swap(dq, dr);
  const float *d_e1 = d_vectors, *d_e2 = d_vectors + stride;
  const auto u = [&](int i) { return static_cast<double>(r[i]) - plane.along * static_cast<double>(q[i]); };
  double e1_q = 0, e2_u = 0, e2_q = 0;
  for (int i = 0; i < d; ++i) {
    e1_q += static_cast<double>(d_e1[i]) * static_cast<double>(q[i]);
    e2_u += static_cast<double>(d_e2[i]) * u(i);
    e2_q += static_cast<double>(d_e2[i]) * static_cast<double>(q[i]);
  }
  const double inverse_q = 1.0 / std::sqrt(plane.qq), inverse_rest = 1.0 / std::sqrt(plane.rest);
  // du = by_e2 * d_e2 + by_u * u; u is orthogonal to q, so that only d_e2 moves `along`.
  const double by_e2 = inverse_rest, by_u = -e2_u * inverse_rest / plane.rest - 2 * plane.qq * d_factor;
  const double d_along = -by_e2 * e2_q;
  // Of q itself: through e1, |q|^2 and `along`.
  const double by_e1 = inverse_q, by_r = d_along / plane.qq;
  const double by_q = -e1_q * inverse_q / plane.qq - 2 * plane.rest * d_factor - 2 * d_along * plane.along / plane.qq;
  const auto du = [&](int i) { return by_e2 * static_cast<double>(d_e2[i]) + by_u * u(i); };
  for (int i = 0; dr != nullptr && i < d; ++i) dr[i] += static_cast<float>(du(i) + by_r * static_cast<double>(q[i]));
  for (int i = 0; dq != nullptr && i < d; ++i)
    dq[i] += static_cast<float>(by_e1 * static_cast<double>(d_e1[i]) + by_q * static_cast<double>(q[i]) +
                                by_r * static_cast<double>(r[i]) - plane.along * du(i));
}

// The squared distance of each key from the plane; rounding must not make it negative.
void combine(const float* products, int64_t stride, const float* squares, int n, float* combined) {
  const float* second = products + stride;
#pragma GCC ivdep
  for (int j = 0; j < n; ++j) {
    const float rest = squares[j] - products[j] * products[j] - second[j] * second[j];
    combined[j] = rest > 0 ? rest : 0;
  }
}

void combine_backward(const float* products, int64_t stride, const float* squares, int n, float* d, float* d_squares) {
  const float* second = products + stride;
  float* d_second = d + stride;
#pragma GCC ivdep
  for (int j = 0; j < n; ++j) {
    const float rest = squares[j] - products[j] * products[j] - second[j] * second[j], g = rest > 0 ? d[j] : 0;
    d_squares[j] += g;
    d[j] = -2 * products[j] * g;
    d_second[j] = -2 * second[j] * g;
  }
}

// By the determinant as it is published, G its gradient: with a = q.k, b = q.r, c = k.r, n = qq, K = kk, R = rr
//   da = 2 (bc - Ra), db = 2 (ac - Kb), dc = 2 (ab - nc), dn = KR - c^2, dK = nR - b^2, dR = nK - a^2, each times G.
void formula_backward(const double* q, const double* r, const double* k, int d, double ds, double* dq, double* dr,
                      double* dk) {
  double a = 0, b = 0, c = 0, qq = 0, kk = 0, rr = 0;
  for (int i = 0; i < d; ++i) {
    a += q[i] * k[i];
    b += q[i] * r[i];
    c += k[i] * r[i];
    qq += q[i] * q[i];
    kk += k[i] * k[i];
    rr += r[i] * r[i];
  }
  const double g = -ds;
  const double da = 2 * (b * c - rr * a) * g, db = 2 * (a * c - kk * b) * g, dc = 2 * (a * b - qq * c) * g;
  const double d_qq = (kk * rr - c * c) * g, d_kk = (qq * rr - b * b) * g, d_rr = (qq * kk - a * a) * g;
  for (int i = 0; i < d; ++i) {
    dq[i] += da * k[i] + db * r[i] + 2 * d_qq * q[i];
    dk[i] += da * q[i] + dc * r[i] + 2 * d_kk * k[i];
    dr[i] += db * q[i] + dc * k[i] + 2 * d_rr * r[i];
  }
}

}  // namespace

AttentionKind gram() {
  return {.name = "gram",
          .third_projection = true,
          .key_squares = true,
          .anchors = false,
          .vectors = 2,
          .scale = scale,
          .prepare = prepare,
          .combine = combine,
          .formula_f64 = formula<double>,
          .formula_f32 = formula<float>,
          .factor = true,
          .prepare_backward = prepare_backward,
          .combine_backward = combine_backward,
          .formula_backward = formula_backward};
}

}  // namespace fieldprint
