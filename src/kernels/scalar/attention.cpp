// The two products of attention and its softmax.
#include <cmath>

#include "base/float16.h"
#include "base/math.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {

namespace {

float number(float x) { return x; }
float number(uint16_t half) { return half_to_float(half); }

template <class B>
void accumulate_any(const float* a, int64_t a_stride, const B* b, int64_t b_stride, float* c, int64_t c_stride, int m,
                    int inner, int n) {
  for (int j = 0; j < inner; ++j) {
    for (int row = 0; row < m; ++row) {
      const float factor = a[row * a_stride + j];
      for (int i = 0; i < n; ++i)
        c[row * c_stride + i] = std::fma(factor, number(b[j * b_stride + i]), c[row * c_stride + i]);
    }
  }
}

}  // namespace

void accumulate(const float* a, int64_t a_stride, const uint16_t* b, int64_t b_stride, float* c, int64_t c_stride,
                int m, int inner, int n) {
  accumulate_any(a, a_stride, b, b_stride, c, c_stride, m, inner, n);
}

void accumulate_f32(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c, int64_t c_stride,
                    int m, int inner, int n) {
  accumulate_any(a, a_stride, b, b_stride, c, c_stride, m, inner, n);
}

float softmax_tile(float* s, int n, float scale, float* m, float* l) {
  float largest = *m;
  for (int i = 0; i < n; ++i) {
    s[i] *= scale;
    largest = s[i] > largest ? s[i] : largest;
  }
  const float rescale = exp_f32(*m - largest);
  float partial[16] = {};
  for (int i = 0; i < n; ++i) {
    s[i] = exp_f32(s[i] - largest);
    partial[i % 16] += s[i];
  }
  for (int step = 8; step >= 1; step /= 2) {
    for (int j = 0; j < step; ++j) partial[j] += partial[j + step];
  }
  *m = largest;
  *l = std::fma(*l, rescale, partial[0]);
  return rescale;
}

}  // namespace fieldprint::scalar
