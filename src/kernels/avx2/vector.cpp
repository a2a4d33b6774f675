// The row-wise slots: norms, activation functions, quantising.
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/lanes/gelu.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::avx2 {

namespace {

// The largest magnitude of a block; a NaN is passed over.
inline float largest_magnitude(const __m256* x) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  __m256 top = _mm256_setzero_ps();
  for (int i = 0; i < 4; ++i) top = _mm256_max_ps(_mm256_and_ps(x[i], magnitude), top);
  const float largest = largest8(top);
  return largest < kLeastActivation ? 0 : largest;
}

// x * inverse in bytes.
inline __m256i to_bytes(const __m256* x, float inverse) {
  const __m256 steps = _mm256_set1_ps(inverse), most = _mm256_set1_ps(127.0f), least = _mm256_set1_ps(-127.0f);
  __m256i q[4];
  for (int i = 0; i < 4; ++i)
    q[i] = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(_mm256_mul_ps(x[i], steps), least), most));
  const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// One block of numbers in steps of d.
inline void quantize_block(const __m256* x, float inverse, float d, const Quantized& to, int b) {
  const __m256i bytes = to_bytes(x, inverse);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.q + b * 32), bytes);
  // In each half of the register two words, the sums of pairs, and from them the sum of 16.
  const __m256i fours = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  const __m256i twos = _mm256_add_epi16(fours, _mm256_shuffle_epi32(fours, 0x4e));
  const __m256i pairs = _mm256_add_epi16(twos, _mm256_shuffle_epi32(twos, 0xb1));
  const __m256i sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  _mm_storeu_si32(to.pair_sums + 4 * b, _mm256_castsi256_si128(pairs));
  _mm_storeu_si32(to.pair_sums + 4 * b + 2, _mm256_extracti128_si256(pairs, 1));
  const int first = _mm_cvtsi128_si32(_mm256_castsi256_si128(sums)),
            second = _mm_cvtsi128_si32(_mm256_extracti128_si256(sums, 1));
  to.d[b] = d;
  to.half_sums[2 * b] = static_cast<int16_t>(first), to.half_sums[2 * b + 1] = static_cast<int16_t>(second);
  to.sum[b] = d * static_cast<float>(first + second);
}

}  // namespace

void quantize(const float* x, int n, const Activations& out) {
  const int blocks = n / 32;
  OutlierLimit limit;
  for (int b = 0; b < blocks; ++b) {
    __m256 v[4];
    for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + b * 32 + 8 * i);
    const float largest = largest_magnitude(v);
    const float d = largest / 127.0f;
    quantize_block(v, largest > 0 ? 127.0f / largest : 0.0f, d, out.high, b);
    limit.add(d);
  }
  const float coarse = limit.value();
  for (int w = 0; w < Activations::outlier_words(n); ++w) out.outliers[w] = 0;
  for (int b = 0; b < blocks; ++b) {
    const float d = out.high.d[b];
    if (!(d > coarse)) continue;
    out.outliers[b / kOutlierWord] |= 1u << (b % kOutlierWord);
    __m256 rest[4];
    for (int i = 0; i < 4; ++i) {
      const auto* q = reinterpret_cast<const __m128i*>(out.high.q + b * 32 + 8 * i);
      rest[i] = _mm256_fnmadd_ps(_mm256_set1_ps(d), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(q))),
                                 _mm256_loadu_ps(x + b * 32 + 8 * i));
    }
    quantize_block(rest, static_cast<float>(kResidualSteps) / d, d / static_cast<float>(kResidualSteps), out.residual,
                   b);
  }
}

void quantize_bytes(const float* x, int64_t n, int8_t* q, float* scales, int32_t* sums) {
  for (int64_t b = 0; b < n / 32; ++b) {
    __m256 v[4];
    for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + b * 32 + 8 * i);
    const float largest = largest_magnitude(v);
    const __m256i bytes = to_bytes(v, largest > 0 ? 127.0f / largest : 0.0f);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + b * 32), bytes);
    scales[b] = largest / 127.0f;
    const __m256i eights = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), _mm256_set1_epi16(1));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    sums[b] = _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
  }
}

void rms_norm(const float* x, const float* weight, int n, float eps, float* y) {
  if (n % 16 != 0) return scalar::rms_norm(x, weight, n, eps, y);
  __m256 low = _mm256_setzero_ps(), high = low;
  for (int i = 0; i < n; i += 16) {
    const __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + 8);
    low = _mm256_fmadd_ps(a, a, low);
    high = _mm256_fmadd_ps(b, b, high);
  }
  const float mean = tree16(low, high) / static_cast<float>(n);
  const __m256 scale = _mm256_set1_ps(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(mean + eps))));
  for (int i = 0; i < n; i += 8) {
    const __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(x + i), scale);
    _mm256_storeu_ps(y + i, _mm256_mul_ps(scaled, _mm256_loadu_ps(weight + i)));
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, int n, float eps, float* y) {
  if (n % 16 != 0) return scalar::layer_norm(x, weight, bias, n, eps, y);
  __m256 low = _mm256_setzero_ps(), high = low;
  for (int i = 0; i < n; i += 16) {
    low = _mm256_add_ps(low, _mm256_loadu_ps(x + i));
    high = _mm256_add_ps(high, _mm256_loadu_ps(x + i + 8));
  }
  const __m256 mean = _mm256_set1_ps(tree16(low, high) / static_cast<float>(n));
  low = high = _mm256_setzero_ps();
  for (int i = 0; i < n; i += 16) {
    const __m256 a = _mm256_sub_ps(_mm256_loadu_ps(x + i), mean), b = _mm256_sub_ps(_mm256_loadu_ps(x + i + 8), mean);
    low = _mm256_fmadd_ps(a, a, low);
    high = _mm256_fmadd_ps(b, b, high);
  }
  const float variance = tree16(low, high) / static_cast<float>(n);
  const __m256 scale = _mm256_set1_ps(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(variance + eps))));
  for (int i = 0; i < n; i += 8) {
    const __m256 scaled = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), mean), scale);
    _mm256_storeu_ps(y + i, _mm256_fmadd_ps(scaled, _mm256_loadu_ps(weight + i), _mm256_loadu_ps(bias + i)));
  }
}

void gelu_erf(const float* x, int n, float* y) {
  const int done = gelu_erf_vectors<Floats, 2>(x, n, y);
  scalar::gelu_erf(x + done, n - done, y + done);
}

void silu_mul(const float* gate, const float* up, int n, float* y) {
  const int done = gated_vectors<Floats, 2, Silu>(gate, up, n, y);
  scalar::silu_mul(gate + done, up + done, n - done, y + done);
}

void gelu_mul(const float* gate, const float* up, int n, float* y) {
  const int done = gated_vectors<Floats, 2, Gelu>(gate, up, n, y);
  scalar::gelu_mul(gate + done, up + done, n - done, y + done);
}

void swiglu_clamped(const float* gate, const float* up, int n, float* y) {
  const int done = gated_vectors<Floats, 2, ClampedSilu>(gate, up, n, y);
  scalar::swiglu_clamped(gate + done, up + done, n - done, y + done);
}

void softcap(float* x, int n, float scale, float cap) {
  const int done = softcap_vectors<Floats, 1>(x, n, scale, cap);
  scalar::softcap(x + done, n - done, scale, cap);
}

}  // namespace fieldprint::avx2
