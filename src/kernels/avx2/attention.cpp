// What attention does with a tile: K and V as float32, the two products, the softmax.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx2 {
namespace {

inline __m256 load(const float* p) { return _mm256_loadu_ps(p); }
inline __m256 load_f16(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline __m256 load_bf16(const uint16_t* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline __m256 load_int8(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

// How eight columns of b become float32, and where the columns and rows of a block lie.
struct F16 {
  using Number = uint16_t;
  static __m256 load(const uint16_t* p) { return load_f16(p); }
  static int64_t row(const Product<Number>& p) { return p.b_stride; }
  static const Number* column(const Product<Number>& p, int j) { return p.b + j; }
  static constexpr bool kWide = true;  // columns lie side by side beyond 16
};
struct BF16 : F16 {
  static __m256 load(const uint16_t* p) { return load_bf16(p); }
};
struct Panels {
  using Number = float;
  static __m256 load(const float* p) { return _mm256_loadu_ps(p); }
  static int64_t row(const Product<Number>&) { return kPanel; }
  static const Number* column(const Product<Number>& p, int j) { return p.b + j / kPanel * p.b_stride; }
  static constexpr bool kWide = false;
};

// What is fetched during the steps of a block: `step` bytes in each.
struct Fetch {
  const char* next;
  int64_t step;
};

// M rows by 8 * C columns of c stay in registers while the inner index runs. Without the pragmas GCC keeps the sums in
// memory: a quarter of the speed.
template <int M, int C, bool kSquares, class B>
inline void block(const Product<typename B::Number>& p, int row, int column, Fetch& fetch) {
  const float* a = p.a + row * p.a_stride;
  float* c = p.c + row * p.c_stride + column;
  const typename B::Number* b = B::column(p, column);
  const int64_t a_stride = p.a_stride, b_stride = B::row(p), c_stride = p.c_stride;
  __m256 acc[M][C], squares[C];
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) acc[i][j] = load(c + i * c_stride + 8 * j);
    if (kSquares) squares[j] = load(p.squares + column + 8 * j);
  }
  const char* next = fetch.next;
  for (int k = 0; k < p.inner; ++k, ++a, b += b_stride, next += fetch.step) {
    _mm_prefetch(next, _MM_HINT_T0);
    __m256 numbers[C];
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) {
      numbers[j] = B::load(b + 8 * j);
      if (kSquares) squares[j] = _mm256_fmadd_ps(numbers[j], numbers[j], squares[j]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) {
      const __m256 factor = _mm256_broadcast_ss(a + i * a_stride);
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) acc[i][j] = _mm256_fmadd_ps(factor, numbers[j], acc[i][j]);
    }
  }
  fetch.next = next;
#pragma GCC unroll 8
  for (int j = 0; j < C; ++j) {
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i) _mm256_storeu_ps(c + i * c_stride + 8 * j, acc[i][j]);
    if (kSquares) _mm256_storeu_ps(p.squares + column + 8 * j, squares[j]);
  }
}

constexpr int kBlockRows = 6;  // by two registers: twelve sums hide the latency of the multipliers

inline int row_blocks(int rows) { return (rows + kBlockRows - 1) / kBlockRows; }

// Rows from `row` on, cut evenly.
template <int C, class B>
inline void columns(const Product<typename B::Number>& p, int row, int column, Fetch& fetch) {
  for (int blocks = row_blocks(p.m - row); blocks > 0; --blocks) {
    const int rows = (p.m - row + blocks - 1) / blocks;
    switch (rows) {
      case 6:
        block<6, C, false, B>(p, row, column, fetch);
        break;
      case 5:
        block<5, C, false, B>(p, row, column, fetch);
        break;
      case 4:
        block<4, C, false, B>(p, row, column, fetch);
        break;
      case 3:
        block<3, C, false, B>(p, row, column, fetch);
        break;
      case 2:
        block<2, C, false, B>(p, row, column, fetch);
        break;
      default:
        block<1, C, false, B>(p, row, column, fetch);
        break;
    }
    row += rows;
  }
}

// The squares take registers, so fewer rows go with them.
template <int C, class B>
inline void columns_squares(const Product<typename B::Number>& p, int column, Fetch& fetch) {
  if (p.m >= 4) {
    block<4, C, true, B>(p, 0, column, fetch);
    columns<C, B>(p, 4, column, fetch);
  } else if (p.m >= 2) {
    block<2, C, true, B>(p, 0, column, fetch);
    columns<C, B>(p, 2, column, fetch);
  } else {
    block<1, C, true, B>(p, 0, column, fetch);
  }
}

template <class B>
inline void accumulate(const Product<typename B::Number>& p) {
  const bool wide = B::kWide && p.m <= 3 && p.squares == nullptr;  // few rows: more columns keep the multipliers busy
  const int width = wide ? 32 : 16;
  const int64_t steps = int64_t{(p.n + width - 1) / width} * row_blocks(p.m) * p.inner;
  Fetch fetch{reinterpret_cast<const char*>(p.ahead.from != nullptr ? p.ahead.from : static_cast<const void*>(p.b)),
              steps > 0 ? p.ahead.bytes / steps : 0};
  int j = 0;
  if (wide) {
    for (; j + 32 <= p.n; j += 32) columns<4, B>(p, 0, j, fetch);
  }
  for (; j < p.n; j += 16) {
    if (p.squares == nullptr) {
      if (j + 16 <= p.n) columns<2, B>(p, 0, j, fetch);
      else columns<1, B>(p, 0, j, fetch);
    } else {
      if (j + 16 <= p.n) columns_squares<2, B>(p, j, fetch);
      else columns_squares<1, B>(p, j, fetch);
    }
  }
}

// load(i, j): eight numbers of row i, from column j on.
template <class Load>
inline void widen(float* panels, int rows, int columns, Load&& load) {
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; j += 8)
      _mm256_storeu_ps(panels + (int64_t{j / kPanel} * rows + i) * kPanel + j % kPanel, load(i, j));
  }
}

}  // namespace

void widen_f16(const uint16_t* in, int64_t in_stride, float* panels, int rows, int columns) {
  widen(panels, rows, columns, [&](int i, int j) { return load_f16(in + i * in_stride + j); });
}

void widen_bf16(const uint16_t* in, int64_t in_stride, float* panels, int rows, int columns) {
  widen(panels, rows, columns, [&](int i, int j) { return load_bf16(in + i * in_stride + j); });
}

void widen_q8_keys(const int8_t* in, const uint16_t* scales, int64_t in_stride, float* panels, int rows, int columns) {
  for (int j = 0; j < columns; j += 8) {
    float* to = panels + int64_t{j / kPanel} * rows * kPanel + j % kPanel;
    for (int first = 0; first < rows; first += 32) {
      const __m256 scale = load_f16(scales + first / 32 * in_stride + j);
      for (int i = first; i < first + 32; ++i)
        _mm256_storeu_ps(to + i * kPanel, _mm256_mul_ps(scale, load_int8(in + i * in_stride + j)));
    }
  }
}

void widen_q8_values(const int8_t* in, const uint16_t* scales, float* panels, int rows, int columns) {
  widen(panels, rows, columns, [&](int i, int j) {
    const int64_t at = int64_t{i} * columns + j;
    return _mm256_mul_ps(_mm256_broadcastss_ps(_mm_cvtph_ps(_mm_cvtsi32_si128(scales[at / 32]))), load_int8(in + at));
  });
}

void accumulate_f16(const Product<uint16_t>& product) { accumulate<F16>(product); }
void accumulate_bf16(const Product<uint16_t>& product) { accumulate<BF16>(product); }
void accumulate_panels(const Product<float>& product) { accumulate<Panels>(product); }

namespace {

// softmax_tile of a tile's first `count` places, all 64 of them where kFull: then nothing is masked, which costs more
// than the arithmetic (stores under a mask are microcode on some CPUs).
template <bool kFull>
inline float softmax(float* s, int count, float scale, float* m, float* l) {
  const int n = kFull ? 64 : count;
  __m256 v[8];
  const __m256 nothing = _mm256_set1_ps(-__builtin_inff()), factor = _mm256_set1_ps(scale);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    if (kFull) {
      v[i] = _mm256_mul_ps(load(s + 8 * i), factor);
    } else {  // the unused places at -inf: their exponentials are +0 and change no sum
      const __m256i mask = lane_mask(n - 8 * i);
      v[i] = _mm256_blendv_ps(nothing, _mm256_mul_ps(_mm256_maskload_ps(s + 8 * i, mask), factor),
                              _mm256_castsi256_ps(mask));
    }
  }
  const __m256 top = _mm256_max_ps(_mm256_max_ps(_mm256_max_ps(v[0], v[1]), _mm256_max_ps(v[2], v[3])),
                                   _mm256_max_ps(_mm256_max_ps(v[4], v[5]), _mm256_max_ps(v[6], v[7])));
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(top), _mm256_extractf128_ps(top, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  const float here = _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four))), before = *m;
  const float largest = here > before ? here : before;
  constexpr float kLargest = 3.40282347e38f;
  const float safe = largest > -kLargest ? largest : -kLargest;  // -inf less -inf would be a NaN
  // e^0 is 1 to the bit: the rule, once the maximum has been seen.
  const float rescale = before == safe ? 1.0f : _mm256_cvtss_f32(exp(_mm256_set1_ps(before - safe)));
  const __m256 shift = _mm256_set1_ps(safe);
  __m256 low = _mm256_setzero_ps(), high = low;
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    if (!kFull && n <= 8 * i) break;
    const __m256 e = exp(_mm256_sub_ps(v[i], shift));
    if (kFull) _mm256_storeu_ps(s + 8 * i, e);
    else _mm256_maskstore_ps(s + 8 * i, lane_mask(n - 8 * i), e);
    if (i % 2 == 0) low = _mm256_add_ps(low, e);
    else high = _mm256_add_ps(high, e);
  }
  const float total = tree16(low, high);
  *m = largest;
  *l = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(*l), _mm_set_ss(rescale), _mm_set_ss(total)));
  return rescale;
}

}  // namespace

float softmax_tile(float* s, int n, float scale, float* m, float* l) {
  return n == 64 ? softmax<true>(s, 64, scale, m, l) : softmax<false>(s, n, scale, m, l);
}

}  // namespace fieldprint::avx2
