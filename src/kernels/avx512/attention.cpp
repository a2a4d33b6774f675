// The products of attention, 16 columns a register.
#include "kernels/lanes/attention.h"

#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"

namespace fieldprint::avx512 {
namespace {

// How 16 columns of b become float32, and where the columns and rows of a block lie.
struct F16 {
  using Number = uint16_t;
  static __m512 load(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static int64_t row(const Product<Number>& p) { return p.b_stride; }
  static const Number* column(const Product<Number>& p, int j) { return p.b + j; }
};
struct BF16 : F16 {
  static __m512 load(const uint16_t* p) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
};
struct Panels {
  using Number = float;
  static __m512 load(const float* p) { return _mm512_loadu_ps(p); }
  static int64_t row(const Product<Number>&) { return kPanel; }
  static const Number* column(const Product<Number>& p, int j) { return p.b + j / kPanel * p.b_stride; }
};

// M rows by 16 * C columns of c stay in registers while the inner index runs.
template <int M, int C, bool kSquares, class B>
inline void block(const Product<typename B::Number>& p, int row, int column, Fetch& fetch) {
  const float* a = p.a + row * p.a_stride;
  float* c = p.c + row * p.c_stride + column;
  const typename B::Number* b[C];
  __m512 acc[M][C], squares[C];
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
    b[j] = B::column(p, column + 16 * j);
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
      acc[i][j] = p.fresh ? _mm512_setzero_ps() : _mm512_loadu_ps(c + i * p.c_stride + 16 * j);
    if (kSquares) squares[j] = p.fresh ? _mm512_setzero_ps() : _mm512_loadu_ps(p.squares + column + 16 * j);
  }
  for (int k = 0; k < p.inner; ++k) {
    fetch();
    __m512 numbers[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) {
      numbers[j] = B::load(b[j] + k * B::row(p));
      if (kSquares) squares[j] = _mm512_fmadd_ps(numbers[j], numbers[j], squares[j]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const __m512 factor = _mm512_set1_ps(a[i * p.a_stride + k]);
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) acc[i][j] = _mm512_fmadd_ps(factor, numbers[j], acc[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) _mm512_storeu_ps(c + i * p.c_stride + 16 * j, acc[i][j]);
    if (kSquares) _mm512_storeu_ps(p.squares + column + 16 * j, squares[j]);
  }
}

// All rows, cut evenly; the squares go with the first block.
template <int C, bool kSquares, class B>
inline void columns(const Product<typename B::Number>& p, int column, Fetch& fetch) {
  int row = 0;
  for (int blocks = row_blocks(p.m); blocks > 0; --blocks) {
    const int rows = (p.m - row + blocks - 1) / blocks;
    with_rows(rows, [&]<int M>() {
      if (kSquares && row == 0) block<M, C, kSquares, B>(p, row, column, fetch);
      else block<M, C, false, B>(p, row, column, fetch);
    });
    row += rows;
  }
}

template <bool kSquares, class B>
inline int whole_columns(const Product<typename B::Number>& p, Fetch& fetch) {
  int j = 0;
  for (; j + 64 <= p.n; j += 64) columns<4, kSquares, B>(p, j, fetch);
  for (; j + 16 <= p.n; j += 16) columns<1, kSquares, B>(p, j, fetch);
  return j;
}

template <class B>
inline void accumulate(const Product<typename B::Number>& p, void (*rest)(const Product<typename B::Number>&)) {
  const int64_t steps = int64_t{(p.n + 63) / 64} * row_blocks(p.m) * p.inner;
  Fetch fetch(p.ahead, steps);
  const int j = p.squares != nullptr ? whole_columns<true, B>(p, fetch) : whole_columns<false, B>(p, fetch);
  if (j == p.n) return;
  Product<typename B::Number> last = p;
  last.b = B::column(p, j);
  last.c += j;
  if (p.squares != nullptr) last.squares += j;
  last.n -= j;
  last.ahead = {};
  rest(last);
}

}  // namespace

void accumulate_f16(const Product<uint16_t>& product) { accumulate<F16>(product, avx2::accumulate_f16); }
void accumulate_bf16(const Product<uint16_t>& product) { accumulate<BF16>(product, avx2::accumulate_bf16); }
void accumulate_panels(const Product<float>& product) { accumulate<Panels>(product, avx2::accumulate_panels); }

}  // namespace fieldprint::avx512
