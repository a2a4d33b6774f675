// gram: s = -det G(q, k, r) * d^-1.5, G the Gram matrix of the three vectors; r is a third projection of the query's
// position. As published: det = qq kk rr + 2 qk rk rq - qq rk^2 - kk rq^2 - rr qk^2, a difference of large numbers.
// What it is: A = qq rr - rq^2 is the squared area of (q, r), and det = A times the squared distance of k from their
// plane. So with e1 = q / |q| and e2 the unit rest of r after e1
//   s = -A (kk - (k.e1)^2 - (k.e2)^2) d^-1.5,
// one more product than dot and |k|^2; s <= 0. Degree 6 in the vectors' length: files may ask for norm `rms`, which
// normalises q, k and r before they come here (models/attention.cpp).
#include <algorithm>
#include <cmath>

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

double product(const float* a, const float* b, int d) {
  double sum = 0;
  for (int i = 0; i < d; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// Floats that are parallel but for their own rounding have sin^2 below this: they span no plane.
constexpr double kParallel = 0x1p-46;

double prepare(const float* q, const float* r, int d, float* vectors, int64_t stride) {
  double qq = product(q, q, d), rr = product(r, r, d);
  // The pair in one order, whichever is called q: the score is symmetric to the bit.
  if (qq < rr || (qq == rr && std::lexicographical_compare(q, q + d, r, r + d))) {
    std::swap(q, r);
    std::swap(qq, rr);
  }
  float *e1 = vectors, *e2 = vectors + stride;
  std::fill_n(e1, d, 0.0f);
  std::fill_n(e2, d, 0.0f);
  if (!(rr > 0)) return 0;
  const double along = product(q, r, d) / qq;  // the rest of r is r - along * q
  double rest = 0;
  for (int i = 0; i < d; ++i) {
    const double x = static_cast<double>(r[i]) - along * static_cast<double>(q[i]);
    rest += x * x;
  }
  if (rest <= kParallel * rr) return 0;
  const double inverse_q = 1.0 / std::sqrt(qq), inverse_rest = 1.0 / std::sqrt(rest);
  for (int i = 0; i < d; ++i) {
    e1[i] = static_cast<float>(static_cast<double>(q[i]) * inverse_q);
    e2[i] = static_cast<float>((static_cast<double>(r[i]) - along * static_cast<double>(q[i])) * inverse_rest);
  }
  return -qq * rest;
}

// The squared distance of each key from the plane; rounding must not make it negative.
void combine(float* products, int64_t stride, const float* squares, int n) {
  const float* second = products + stride;
  for (int j = 0; j < n; ++j) {
    const float rest = squares[j] - products[j] * products[j] - second[j] * second[j];
    products[j] = rest > 0 ? rest : 0;
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
          .formula_f32 = formula<float>};
}

}  // namespace fieldprint
