// What attention does with a tile: K and V as float32, the two products, the softmax.
#include <algorithm>
#include <cmath>

#include "base/float16.h"
#include "base/math.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {

namespace {

constexpr float kLargest = 3.40282347e38f;

// number(i, j) is b's.
template <class Number, class Get>
void accumulate(const Product<Number>& p, Get&& number) {
  if (p.fresh) {
    for (int row = 0; row < p.m; ++row) std::fill_n(p.c + row * p.c_stride, p.n, 0.0f);
  }
  for (int i = 0; i < p.inner; ++i) {
    for (int j = 0; j < p.n; ++j) {
      const float x = number(i, j);
      for (int row = 0; row < p.m; ++row) {
        float& sum = p.c[row * p.c_stride + j];
        sum = std::fma(p.a[row * p.a_stride + i], x, sum);
      }
    }
  }
}

// number(i, j) to its place in a panel.
template <class Get>
void widen(float* panels, int rows, int columns, Get&& number) {
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) panels[(int64_t{j / kPanel} * rows + i) * kPanel + j % kPanel] = number(i, j);
  }
}

}  // namespace

void widen_q8_keys(const int8_t* in, const uint16_t* scales, int64_t in_stride, float* panels, int rows, int columns) {
  widen(panels, rows, columns, [&](int i, int j) {
    return half_to_float(scales[i / 32 * in_stride + j]) * static_cast<float>(in[i * in_stride + j]);
  });
}

void widen_q8_values(const int8_t* in, const uint16_t* scales, float* panels, int rows, int columns) {
  widen(panels, rows, columns, [&](int i, int j) {
    return half_to_float(scales[(i * columns + j) / 32]) * static_cast<float>(in[i * columns + j]);
  });
}

void accumulate_f16(const Product<uint16_t>& p) {
  accumulate(p, [&](int i, int j) { return half_to_float(p.b[i * p.b_stride + j]); });
}

void accumulate_bf16(const Product<uint16_t>& p) {
  accumulate(p, [&](int i, int j) { return bfloat16_to_float(p.b[i * p.b_stride + j]); });
}

void accumulate_panels(const Product<float>& p) {
  accumulate(p, [&](int i, int j) { return p.b[j / kPanel * p.b_stride + i * kPanel + j % kPanel]; });
}

void accumulate_q8_keys(const Product<int8_t>& p) {
  accumulate(p, [&](int i, int j) {
    return half_to_float(p.scales[i / 32 * p.b_stride + j]) * static_cast<float>(p.b[i * p.b_stride + j]);
  });
}

void accumulate_q8_values(const Product<int8_t>& p) {
  accumulate(p, [&](int i, int j) {
    return half_to_float(p.scales[i * (p.b_stride / 32) + j / 32]) * static_cast<float>(p.b[i * p.b_stride + j]);
  });
}

void softmax_rows(const SoftmaxRows& args) {
  for (int row = 0; row < args.rows; ++row) {
    float* s = args.scores + row * kSoftmaxKeys;
    SoftmaxState& state = args.state[row];
    float largest = state.m;
    for (int i = 0; i < args.seen[row]; ++i) {
      s[i] *= args.scale[row];
      largest = s[i] > largest ? s[i] : largest;
    }
    const float top = largest > -kLargest ? largest : -kLargest;  // -inf less -inf would be a NaN
    const float rescale = exp_f32(state.m - top);
    float partial[16] = {};
    for (int i = 0; i < args.seen[row]; ++i) {
      s[i] = exp_f32(s[i] - top);
      partial[i % 16] += s[i];
    }
    for (int step = 8; step >= 1; step /= 2) {
      for (int j = 0; j < step; ++j) partial[j] += partial[j + step];
    }
    state.m = largest;
    state.l = std::fma(state.l, rescale, partial[0]);
    for (int i = 0; i < args.d; ++i) args.o[int64_t{row} * args.d + i] *= rescale;
  }
}

void merge_rows(const MergeRows& args) {
  for (int row = 0; row < args.rows; ++row) {
    SoftmaxState& state = args.state[row];
    const SoftmaxState& other = args.other[row];
    if (other.empty()) continue;
    const float m = std::max(state.m, other.m);
    const float keep = exp_f32(state.m - m), take = exp_f32(other.m - m);
    state = {m, state.l * keep + other.l * take};
    for (int64_t i = int64_t{row} * args.d, end = i + args.d; i < end; ++i)
      args.o[i] = args.o[i] * keep + args.other_o[i] * take;
  }
}

}  // namespace fieldprint::scalar
