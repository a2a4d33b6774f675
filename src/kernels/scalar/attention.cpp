// What attention does with a tile: K and V as float32, the two products, the softmax.
#include <cmath>

#include "base/float16.h"
#include "base/math.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {

namespace {

constexpr float kLargest = 3.40282347e38f;

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

template <class Number>
void widen_any(const uint16_t* in, int64_t in_stride, float* out, int64_t out_stride, int rows, int columns,
               Number&& as_float) {
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) out[i * out_stride + j] = as_float(in[i * in_stride + j]);
  }
}

}  // namespace

void widen_f16(const uint16_t* in, int64_t in_stride, float* out, int64_t out_stride, int rows, int columns) {
  widen_any(in, in_stride, out, out_stride, rows, columns, half_to_float);
}

void widen_bf16(const uint16_t* in, int64_t in_stride, float* out, int64_t out_stride, int rows, int columns) {
  widen_any(in, in_stride, out, out_stride, rows, columns, bfloat16_to_float);
}

void widen_q8_keys(const int8_t* in, const uint16_t* scales, int64_t in_stride, float* out, int64_t out_stride,
                   int rows, int columns) {
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      out[i * out_stride + j] =
          half_to_float(scales[i / 32 * in_stride + j]) * static_cast<float>(in[i * in_stride + j]);
    }
  }
}

void widen_q8_values(const int8_t* in, const uint16_t* scales, float* out, int rows, int columns) {
  for (int i = 0; i < rows * columns; ++i) out[i] = half_to_float(scales[i / 32]) * static_cast<float>(in[i]);
}

void column_squares(const float* b, int64_t b_stride, float* c, int inner, int n) {
  for (int i = 0; i < inner; ++i) {
    for (int j = 0; j < n; ++j) c[j] = std::fma(b[i * b_stride + j], b[i * b_stride + j], c[j]);
  }
}

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
  const float top = largest > -kLargest ? largest : -kLargest;  // -inf less -inf would be a NaN
  const float rescale = exp_f32(*m - top);
  float partial[16] = {};
  for (int i = 0; i < n; ++i) {
    s[i] = exp_f32(s[i] - top);
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
