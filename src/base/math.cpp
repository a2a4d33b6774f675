#include "base/math.h"

namespace fieldprint {
namespace {

constexpr double kLn2High = 6.93147180369123816490e-01;  // the upper 33 bits of ln 2: n * kLn2High is exact
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kPio2High = 1.57079632679489655800e+00;
constexpr double kPio2Low = 6.12323399573676603587e-17;

}  // namespace

double exp_f64(double x) {
  if (x < -745.0) return 0.0;
  if (x > 709.0) x = 709.0;
  const double n = std::nearbyint(x * 1.44269504088896340736);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double sum = 1.0;
  for (int k = 14; k >= 1; --k) sum = 1.0 + sum * r / k;  // Taylor by Horner: |r| <= 0.35, the rest is below 1e-18
  return std::ldexp(sum, static_cast<int>(n));
}

double log_f64(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // [0.5, 1)
  if (m < 0.70710678118654752440) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1.0) / (m + 1.0), s2 = s * s;  // log m = 2 artanh s, |s| < 0.172
  double sum = 0.0;
  for (int k = 25; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
  return exponent * kLn2High + (exponent * kLn2Low + 2.0 * s * sum);
}

void sincos_f64(double x, double* sine, double* cosine) {
  const double k = std::nearbyint(x * 0.63661977236758134308);
  double r = std::fma(-k, kPio2High, x);
  r = std::fma(-k, kPio2Low, r);
  const double r2 = r * r;
  double s = 1.0, c = 1.0;
  for (int i = 20; i >= 2; i -= 2) {
    s = 1.0 - s * r2 / (i * (i + 1));
    c = 1.0 - c * r2 / (i * (i - 1));
  }
  s *= r;
  switch (static_cast<int64_t>(k) & 3) {
    case 0:
      *sine = s, *cosine = c;
      break;
    case 1:
      *sine = c, *cosine = -s;
      break;
    case 2:
      *sine = -s, *cosine = -c;
      break;
    default:
      *sine = -c, *cosine = s;
      break;
  }
}

}  // namespace fieldprint
