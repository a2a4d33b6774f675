// The products of attention and of matrices in float32, the softmax: 16 columns a register.
#include "kernels/lanes/attention.h"

#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"

namespace fieldprint::avx512 {
namespace {

// M rows by 16 * C columns of c stay in registers while the inner index runs. kLoad makes 16 numbers of b float32.
template <int M, int C, auto kLoad, class Number>
inline void block(const ProductOf<Number>& p, int row, int column, Prefetcher& prefetcher) {
  const float* a = p.a + row * p.a_stride;
  float* c = p.c + row * p.c_stride + column;
  const Number* b = p.b + column;
  const int64_t a_stride = p.a_stride, b_stride = p.b_stride, c_stride = p.c_stride;
  const int64_t a_step = sizeof(Number) == sizeof(uint16_t) ? 1 : p.a_step;
  __m512 acc[M][C];
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) acc[i][j] = p.fresh ? _mm512_setzero_ps() : _mm512_loadu_ps(c + i * c_stride + 16 * j);
  }
  Prefetcher prefetch = prefetcher;  // a copy: it stays in registers
  for (int k = 0; k < p.inner; ++k, a += a_step, b += b_stride) {
    prefetch();
    __m512 numbers[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) numbers[j] = kLoad(b + 16 * j);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const __m512 factor = _mm512_set1_ps(a[i * a_stride]);
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) acc[i][j] = _mm512_fmadd_ps(factor, numbers[j], acc[i][j]);
    }
  }
  prefetcher = prefetch;
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) _mm512_storeu_ps(c + i * c_stride + 16 * j, acc[i][j]);
  }
}

template <int C, auto kLoad, class Number>
inline void columns(const ProductOf<Number>& p, int column, Prefetcher& prefetcher) {
  for_row_blocks(p.m, [&]<int M>(int row) { block<M, C, kLoad>(p, row, column, prefetcher); });
}

template <auto kLoad, class Number>
inline void accumulate(const ProductOf<Number>& p, void (*rest)(const ProductOf<Number>&)) {
  const int64_t steps = int64_t{(p.n + 63) / 64} * row_blocks(p.m) * p.inner;
  Prefetcher prefetcher(p.prefetch, steps);
  int j = 0;
  for (; j + 64 <= p.n; j += 64) columns<4, kLoad>(p, j, prefetcher);
  for (; j + 16 <= p.n; j += 16) columns<1, kLoad>(p, j, prefetcher);
  if (j == p.n) return;
  ProductOf<Number> last = p;
  last.b += j;
  last.c += j;
  last.n -= j;
  last.prefetch = {};
  rest(last);
}

}  // namespace

void accumulate_f16(const HalfProduct& product) { accumulate<Floats::load_f16>(product, avx2::accumulate_f16); }
void accumulate_bf16(const HalfProduct& product) { accumulate<Floats::load_bf16>(product, avx2::accumulate_bf16); }
void accumulate_f32(const FloatProduct& product) { accumulate<Floats::load>(product, avx2::accumulate_f32); }

namespace {

// Four rows of 64 scores, and their first `count`s, all of them where kFull: then nothing is masked. The other places
// count as -inf: their exponentials are +0 and change no sum.
template <bool kFull>
struct FourRows {
  float* scores[4];
  __mmask64 seen[4];
  __m512 scale[4];

  __mmask16 mask(int r, int i) const { return static_cast<__mmask16>(seen[r] >> (16 * i)); }
  __m512 scaled(int r, int i) const {
    if (kFull) return _mm512_mul_ps(_mm512_loadu_ps(scores[r] + 16 * i), scale[r]);
    const __m512 s = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask(r, i), scores[r] + 16 * i), scale[r]);
    return _mm512_mask_mov_ps(_mm512_set1_ps(-__builtin_inff()), mask(r, i), s);
  }
  void store(int r, int i, __m512 e) const {
    if (kFull) _mm512_storeu_ps(scores[r] + 16 * i, e);
    else _mm512_mask_storeu_ps(scores[r] + 16 * i, mask(r, i), e);
  }

  // The largest of each, in its quarter.
  __m512 largest() const {
    __m512 top[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      const __m512 a = _mm512_max_ps(scaled(r, 0), scaled(r, 1)), b = _mm512_max_ps(scaled(r, 2), scaled(r, 3));
      top[r] = _mm512_max_ps(a, b);
    }
    return across(top, [](__m512 a, __m512 b) { return _mm512_max_ps(a, b); });
  }

  // The scores become weights, row r's from top[r] down; returns their sums, each in its quarter.
  __m512 weights(const float* top) const {
    __m512 sum[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      __m512 e[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) e[i] = _mm512_sub_ps(scaled(r, i), _mm512_set1_ps(top[r]));
      exp_vectors<Floats>(e);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) store(r, i, e[i]);
      sum[r] = _mm512_add_ps(_mm512_add_ps(_mm512_add_ps(e[0], e[1]), e[2]), e[3]);
    }
    return across(sum, [](__m512 a, __m512 b) { return _mm512_add_ps(a, b); });
  }
};

// Rows [row, row + 4).
template <bool kFull>
inline void softmax_four(const SoftmaxRows& args, int row) {
  constexpr float kLargest = 3.40282347e38f;
  FourRows<kFull> rows;
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    rows.scores[r] = args.scores + (row + r) * kTileKeys;
    rows.seen[r] = args.seen[row + r] == 0 ? 0 : ~__mmask64{0} >> (kTileKeys - args.seen[row + r]);
    rows.scale[r] = _mm512_set1_ps(args.scale[row + r]);
  }
  float* state = &args.state[row].m;  // m and l of each row in turn
  const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
  const __m256 both = _mm256_permutevar8x32_ps(_mm256_loadu_ps(state), order);
  const __m128 before = _mm256_castps256_ps128(both), m = _mm_max_ps(quarters(rows.largest()), before);
  alignas(16) float top[4], rescale[4];
  const __m128 tops = _mm_max_ps(m, _mm_set1_ps(-kLargest));  // -inf less -inf would be a NaN
  _mm_store_ps(top, tops);
  __m512 factor[1] = {_mm512_castps128_ps512(_mm_sub_ps(before, tops))};
  exp_vectors<Floats>(factor);
  const __m128 factors = _mm512_castps512_ps128(factor[0]);
  _mm_store_ps(rescale, factors);
  const __m128 l = _mm_fmadd_ps(_mm256_extractf128_ps(both, 1), factors, quarters(rows.weights(top)));
  _mm_storeu_ps(state, _mm_unpacklo_ps(m, l));
  _mm_storeu_ps(state + 4, _mm_unpackhi_ps(m, l));
#pragma GCC unroll 1
  for (int r = 0; r < 4; ++r) {
    if (rescale[r] == 1) continue;  // the maximum stayed, which is the rule
    float* o = args.o + int64_t{row + r} * args.d;
    const __m256 by = _mm256_set1_ps(rescale[r]);
    for (int i = 0; i < args.d; i += 8) _mm256_storeu_ps(o + i, _mm256_mul_ps(_mm256_loadu_ps(o + i), by));
  }
}

}  // namespace

void softmax_rows(const SoftmaxRows& args) {
  int row = 0;
  for (; row + 4 <= args.rows; row += 4) {
    bool full = true;
    for (int r = 0; r < 4; ++r) full = full && args.seen[row + r] == kTileKeys;
    if (full) softmax_four<true>(args, row);
    else softmax_four<false>(args, row);
  }
  if (row == args.rows) return;
  SoftmaxRows last = args;
  last.scores += row * kTileKeys, last.seen += row, last.scale += row, last.state += row;
  last.o += int64_t{row} * args.d;
  last.rows -= row;
  avx2::softmax_rows(last);
}

}  // namespace fieldprint::avx512
