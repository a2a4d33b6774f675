// Attention to a tile: the two products, the softmax.
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
void accumulate(const ProductOf<Number>& p, Get&& number) {
  if (p.fresh) {
    for (int row = 0; row < p.m; ++row) std::fill_n(p.c + row * p.c_stride, p.n, 0.0f);
  }
  for (int i = 0; i < p.inner; ++i) {
    for (int j = 0; j < p.n; ++j) {
      const float x = number(i, j);
      for (int row = 0; row < p.m; ++row) {
        float& sum = p.c[row * p.c_stride + j];
        sum = std::fma(p.a[row * p.a_stride + i * p.a_step], x, sum);
      }
    }
  }
}

}  // namespace

void accumulate_f16(const HalfProduct& p) {
  accumulate(p, [&](int i, int j) { return half_to_float(p.b[i * p.b_stride + j]); });
}

void accumulate_bf16(const HalfProduct& p) {
  accumulate(p, [&](int i, int j) { return bfloat16_to_float(p.b[i * p.b_stride + j]); });
}

void accumulate_f32(const FloatProduct& p) {
  accumulate(p, [&](int i, int j) { return p.b[i * p.b_stride + j]; });
}

void score_bytes(const ByteScores& p) {
  const int blocks = p.d / 32;
  for (int row = 0; row < p.m; ++row) {
    const int8_t* q = p.q + int64_t{row} * p.d;
    for (int j = 0; j < kTileKeys; ++j) {
      float sum = 0;
      for (int b = 0; b < blocks; ++b) {
        int32_t isum = 0;
        for (int i = b * 32; i < b * 32 + 32; ++i) isum += q[i] * p.keys[(i / 4 * p.stride + j) * 4 + i % 4];
        const float scale = p.q_scales[row * blocks + b] * half_to_float(p.key_scales[b * p.stride + j]);
        sum = std::fma(static_cast<float>(isum), scale, sum);
      }
      p.c[row * kTileKeys + j] = sum;
    }
  }
}

void add_byte_values(const ByteValues& p) {
  for (int row = 0; row < p.m; ++row) {
    const float* weights = p.weights + row * kTileKeys;
    for (int b = 0; b < p.d / 32; ++b) {
      float scaled[kTileKeys] = {}, top = 0;
      for (int j = 0; j < p.seen[row]; ++j) {
        scaled[j] = std::fmax(weights[j] * half_to_float(p.scales[b * p.stride + j]), 0.0f);
        top = std::fmax(scaled[j], top);
      }
      if (top < kLeastActivation) top = 0;
      const float inverse = top > 0 ? 255.0f / top : 0.0f;
      int bytes[kTileKeys];
      for (int j = 0; j < kTileKeys; ++j)
        bytes[j] = static_cast<int>((scaled[j] * inverse + ExpConstants::kRound) - ExpConstants::kRound);
      for (int i = b * 32; i < b * 32 + 32; ++i) {
        int32_t isum = 0;
        for (int j = 0; j < kTileKeys; ++j) isum += bytes[j] * p.values[(int64_t{j / 4} * p.d + i) * 4 + j % 4];
        float& sum = p.c[int64_t{row} * p.d + i];
        sum = std::fma(static_cast<float>(isum), top / 255.0f, sum);
      }
    }
  }
}

void softmax_rows(const SoftmaxRows& args) {
  for (int row = 0; row < args.rows; ++row) {
    float* s = args.scores + row * kTileKeys;
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
