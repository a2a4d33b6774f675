// gram_key: gram with r at the key's position, s = -det G(q, k, r) d^-1.5. The keys that the walk sees are what the op
// key_plane makes of k and r: f1 and f2, orthogonal, in their plane, |f1|^2 = |f2|^2 = A, the squared area. So
//   det = A qq - (q.f1)^2 - (q.f2)^2 = qq (A - (e.f1)^2 - (e.f2)^2),  e = q / |q|,
// with the vectors [e, 0] and [0, e] against keys [f1, f2], whose square is 2 A. `d` is the length of these keys here;
// the scale is that of gram, of half of it.
#include <algorithm>
#include <cmath>

#include "attention/kind.h"

namespace fieldprint {
namespace {

template <class Number>
struct Products {
  Number qq = 0, ff = 0, first = 0, second = 0;  // |q|^2, |f1|^2 + |f2|^2, q.f1, q.f2

  Products(const Number* q, const Number* k, int half) {
    for (int i = 0; i < half; ++i) {
      qq += q[i] * q[i];
      ff += k[i] * k[i] + k[half + i] * k[half + i];
      first += q[i] * k[i];
      second += q[i] * k[half + i];
    }
  }
  Number determinant() const { return qq * ff / 2 - first * first - second * second; }
};

template <class Number>
Number formula(const Number* q, const Number*, const Number* k, int d) {
  return -std::max(Number{0}, Products<Number>(q, k, d / 2).determinant());
}

void formula_backward(const double* q, const double*, const double* k, int d, double ds, double* dq, double*,
                      double* dk) {
  const int half = d / 2;
  const Products<double> p(q, k, half);
  if (!(p.determinant() > 0)) return;
  for (int i = 0; i < half; ++i) {
    dq[i] -= ds * (p.ff * q[i] - 2 * p.first * k[i] - 2 * p.second * k[half + i]);
    dk[i] -= ds * (p.qq * k[i] - 2 * p.first * q[i]);
    dk[half + i] -= ds * (p.qq * k[half + i] - 2 * p.second * q[i]);
  }
}

double square(const float* q, int half) {
  double sum = 0;
  for (int i = 0; i < half; ++i) sum += static_cast<double>(q[i]) * static_cast<double>(q[i]);
  return sum;
}

double prepare(const float* q, const float*, int d, float* vectors, int64_t stride) {
  const int half = d / 2;
  float *first = vectors, *second = vectors + stride;
  std::fill_n(first, d, 0.0f);
  std::fill_n(second, d, 0.0f);
  const double qq = square(q, half);
  if (!(qq > 0)) return 0;
  const double inverse = 1.0 / std::sqrt(qq);
  for (int i = 0; i < half; ++i) first[i] = second[half + i] = static_cast<float>(static_cast<double>(q[i]) * inverse);
  return -qq;
}

// Of e the part along q moves nothing.
void prepare_backward(const float* q, const float*, int d, const float* d_vectors, int64_t stride, double d_factor,
                      float* dq, float*) {
  const int half = d / 2;
  const double qq = square(q, half);
  if (dq == nullptr || !(qq > 0)) return;
  const auto de = [&](int i) {
    return static_cast<double>(d_vectors[i]) + static_cast<double>(d_vectors[stride + half + i]);
  };
  double along = 0;
  for (int i = 0; i < half; ++i) along += de(i) * static_cast<double>(q[i]);
  const double inverse = 1.0 / std::sqrt(qq), by_q = -along * inverse / qq - 2 * d_factor;
  for (int i = 0; i < half; ++i) dq[i] += static_cast<float>(de(i) * inverse + by_q * static_cast<double>(q[i]));
}

// Rounding must not make the squared distance negative.
void combine(const float* products, int64_t stride, const float* squares, int n, float* combined) {
  const float* second = products + stride;
#pragma GCC ivdep
  for (int j = 0; j < n; ++j) {
    const float rest = 0.5f * squares[j] - products[j] * products[j] - second[j] * second[j];
    combined[j] = rest > 0 ? rest : 0;
  }
}

void combine_backward(const float* products, int64_t stride, const float* squares, int n, float* d, float* d_squares) {
  const float* second = products + stride;
  float* d_second = d + stride;
#pragma GCC ivdep
  for (int j = 0; j < n; ++j) {
    const float rest = 0.5f * squares[j] - products[j] * products[j] - second[j] * second[j], g = rest > 0 ? d[j] : 0;
    d_squares[j] += 0.5f * g;
    d[j] = -2 * products[j] * g;
    d_second[j] = -2 * second[j] * g;
  }
}

}  // namespace

AttentionKind gram();

AttentionKind gram_key() {
  AttentionKind kind = gram();
  kind.name = "gram_key";
  kind.third_projection = false;
  kind.key_plane = true;
  kind.prepare = prepare;
  kind.combine = combine;
  kind.formula_f64 = formula<double>;
  kind.formula_f32 = formula<float>;
  kind.prepare_backward = prepare_backward;
  kind.combine_backward = combine_backward;
  kind.formula_backward = formula_backward;
  return kind;
}

}  // namespace fieldprint
