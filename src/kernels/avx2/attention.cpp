// The products of attention to a tile and of matrices in float32; the softmax.
#include "kernels/lanes/attention.h"

#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx2 {
namespace {

inline __m256 load(const float* p) { return _mm256_loadu_ps(p); }

// Eight columns. kLoad makes numbers of b float32.
template <auto kLoad>
struct Whole {
  template <class Number>
  __m256 b(const Number* at) const {
    return kLoad(at);
  }
  __m256 c(const float* at) const { return load(at); }
  void store(float* at, __m256 v) const { _mm256_storeu_ps(at, v); }
};

// The first few of eight.
struct Part {
  __m256i mask;
  __m256 b(const float* at) const { return _mm256_maskload_ps(at, mask); }
  __m256 c(const float* at) const { return _mm256_maskload_ps(at, mask); }
  void store(float* at, __m256 v) const { _mm256_maskstore_ps(at, mask, v); }
};

// M rows by 8 * C columns of c stay in registers while the inner index runs. Without the pragmas GCC keeps the sums in
// memory: a quarter of the speed.
template <int M, int C, class Number, class Eight>
inline void block(const ProductOf<Number>& p, int row, int column, Eight eight, Prefetcher& prefetcher) {
  const float* a = p.a + row * p.a_stride;
  float* c = p.c + row * p.c_stride + column;
  const Number* b = p.b + column;
  const int64_t a_stride = p.a_stride, b_stride = p.b_stride, c_stride = p.c_stride;
  const int64_t a_step = sizeof(Number) == sizeof(uint16_t) ? 1 : p.a_step;
  __m256 acc[M][C];
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) acc[i][j] = p.fresh ? _mm256_setzero_ps() : eight.c(c + i * c_stride + 8 * j);
  }
  Prefetcher prefetch = prefetcher;  // a copy: it stays in registers
  int at = 0;
  const auto step = [&](int k) __attribute__((always_inline)) {
    __m256 numbers[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) numbers[j] = eight.b(b + k * b_stride + 8 * j);
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      const __m256 factor = _mm256_broadcast_ss(a + i * a_stride + k * a_step);
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) acc[i][j] = _mm256_fmadd_ps(factor, numbers[j], acc[i][j]);
    }
  };
  for (; at + 2 <= p.inner; at += 2, a += 2 * a_step, b += 2 * b_stride) {
    prefetch();
    step(0);
    step(1);
  }
  if (at < p.inner) step(0);
  prefetcher = prefetch;
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) eight.store(c + i * c_stride + 8 * j, acc[i][j]);
  }
}

template <int C, class Number, class Eight>
inline void columns(const ProductOf<Number>& p, int column, Eight eight, Prefetcher& prefetcher) {
  for_row_blocks(p.m, [&]<int M>(int row) { block<M, C>(p, row, column, eight, prefetcher); });
}

template <class Number, class Eight>
inline void accumulate(const ProductOf<Number>& p, Eight eight) {
  const bool wide = p.m <= 3;  // few rows: more columns keep the multipliers busy
  const int width = wide ? 32 : 16;
  const int64_t steps = int64_t{(p.n + width - 1) / width} * row_blocks(p.m) * (p.inner / 2);
  Prefetcher prefetcher(p.prefetch, steps);
  int j = 0;
  if (wide) {
    for (; j + 32 <= p.n; j += 32) columns<4>(p, j, eight, prefetcher);
  }
  for (; j + 16 <= p.n; j += 16) columns<2>(p, j, eight, prefetcher);
  if (j + 8 <= p.n) columns<1>(p, j, eight, prefetcher), j += 8;
  if constexpr (sizeof(Number) == sizeof(float)) {
    if (j < p.n) columns<1>(p, j, Part{lane_mask(p.n - j)}, prefetcher);
  }
}

}  // namespace

void accumulate_f16(const HalfProduct& product) { accumulate(product, Whole<Floats::load_f16>()); }
void accumulate_bf16(const HalfProduct& product) { accumulate(product, Whole<Floats::load_bf16>()); }
void accumulate_f32(const FloatProduct& product) { accumulate(product, Whole<Floats::load>()); }

namespace {

// The first `count` of 64 scores, all of them where kFull: then nothing is masked, which costs more than the arithmetic
// (stores under a mask are microcode on some CPUs). The other places count as -inf: their exponentials are +0 and
// change no sum.
template <bool kFull>
inline __m256 scaled(const float* s, int i, int count, __m256 scale) {
  if (kFull) return _mm256_mul_ps(load(s + 8 * i), scale);
  const __m256i mask = lane_mask(count - 8 * i);
  return _mm256_blendv_ps(_mm256_set1_ps(-__builtin_inff()), _mm256_mul_ps(_mm256_maskload_ps(s + 8 * i, mask), scale),
                          _mm256_castsi256_ps(mask));
}

template <bool kFull>
inline float largest(const float* s, int count, __m256 scale) {
  __m256 v[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) v[i] = scaled<kFull>(s, i, count, scale);
  const __m256 top = _mm256_max_ps(_mm256_max_ps(_mm256_max_ps(v[0], v[1]), _mm256_max_ps(v[2], v[3])),
                                   _mm256_max_ps(_mm256_max_ps(v[4], v[5]), _mm256_max_ps(v[6], v[7])));
  return largest8(top);
}

// The scores become weights; returns their sum.
template <bool kFull>
inline float weights(float* s, int count, __m256 scale, __m256 top) {
  constexpr int kStep = 4;
  __m256 low = _mm256_setzero_ps(), high = low;
#pragma GCC unroll 2
  for (int first = 0; first < 8; first += kStep) {
    __m256 e[kStep];
#pragma GCC unroll 8
    for (int i = 0; i < kStep; ++i) e[i] = _mm256_sub_ps(scaled<kFull>(s, first + i, count, scale), top);
    exp_vectors<Floats>(e);
#pragma GCC unroll 8
    for (int i = 0; i < kStep; ++i) {
      if (kFull) _mm256_storeu_ps(s + 8 * (first + i), e[i]);
      else _mm256_maskstore_ps(s + 8 * (first + i), lane_mask(count - 8 * (first + i)), e[i]);
      if (i % 2 == 0) low = _mm256_add_ps(low, e[i]);
      else high = _mm256_add_ps(high, e[i]);
    }
  }
  return tree16(low, high);
}

// Up to eight rows, step by step for all of them: one alone would wait for its own results most of the time.
inline void softmax_eight(const SoftmaxRows& args, int row, int rows) {
  constexpr float kLargest = 3.40282347e38f;
  alignas(32) float before[8] = {}, top[8] = {}, sum[8] = {}, rescale[8];
  for (int r = 0; r < rows; ++r) {
    const float* s = args.scores + (row + r) * kTileKeys;
    const int count = args.seen[row + r];
    const __m256 scale = _mm256_broadcast_ss(args.scale + row + r);
    const float here = count == kTileKeys ? largest<true>(s, count, scale) : largest<false>(s, count, scale);
    SoftmaxState& state = args.state[row + r];
    before[r] = state.m;
    state.m = here > state.m ? here : state.m;
    top[r] = state.m > -kLargest ? state.m : -kLargest;  // -inf less -inf would be a NaN
  }
  _mm256_store_ps(rescale, exp(_mm256_sub_ps(_mm256_load_ps(before), _mm256_load_ps(top))));
  for (int r = 0; r < rows; ++r) {
    float* s = args.scores + (row + r) * kTileKeys;
    const int count = args.seen[row + r];
    const __m256 scale = _mm256_broadcast_ss(args.scale + row + r), shift = _mm256_broadcast_ss(top + r);
    sum[r] = count == kTileKeys ? weights<true>(s, count, scale, shift) : weights<false>(s, count, scale, shift);
  }
  for (int r = 0; r < rows; ++r) {
    float& l = args.state[row + r].l;
    l = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(l), _mm_set_ss(rescale[r]), _mm_set_ss(sum[r])));
    if (rescale[r] == 1) continue;  // the maximum stayed, which is the rule
    float* o = args.o + int64_t{row + r} * args.d;
    const __m256 factor = _mm256_broadcast_ss(rescale + r);
    for (int i = 0; i < args.d; i += 8) _mm256_storeu_ps(o + i, _mm256_mul_ps(load(o + i), factor));
  }
}

}  // namespace

void softmax_rows(const SoftmaxRows& args) {
  for (int row = 0; row < args.rows; row += 8) softmax_eight(args, row, args.rows - row < 8 ? args.rows - row : 8);
}

void merge_rows(const MergeRows& args) {
  for (int row = 0; row < args.rows; ++row) {
    SoftmaxState& state = args.state[row];
    const SoftmaxState& other = args.other[row];
    if (other.empty()) continue;
    const float m = state.m > other.m ? state.m : other.m;
    alignas(32) float factors[8];
    _mm256_store_ps(factors, exp(_mm256_setr_ps(state.m - m, other.m - m, 0, 0, 0, 0, 0, 0)));
    state = {m, state.l * factors[0] + other.l * factors[1]};
    const __m256 keep = _mm256_set1_ps(factors[0]), take = _mm256_set1_ps(factors[1]);
    for (int64_t i = int64_t{row} * args.d, end = i + args.d; i < end; i += 8) {
      const __m256 kept = _mm256_mul_ps(load(args.o + i), keep), taken = _mm256_mul_ps(load(args.other_o + i), take);
      _mm256_storeu_ps(args.o + i, _mm256_add_ps(kept, taken));
    }
  }
}

}  // namespace fieldprint::avx2
