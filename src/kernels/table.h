// The kernel table: the functions that an instruction set provides (docs/kernels.md says how to add one). One folder an
// ISA; each starts from the table of the ISA below it (avx512 <- avx2 <- scalar) and overrides slots. Every slot gives
// the same bits on every ISA; scalar/ is the oracle.
//
// The order of every sum, which all ISAs keep (ARCHITECTURE.md, the determinism contract):
//  - quantised dot: y = high + residual, the sums over the high bytes and over the residual bytes of outlier blocks.
//    Each: per block of 32 an exact integer sum, then acc = fma(d_w * d_x, isum, acc), and where the type has a minimum
//    acc = fma(m_w, d_x * sum_x, acc); blocks in order, for the residual the outlier blocks only. Integer scales of 16
//    values (Q6_K, Q3_K, Q2_K) are within isum; one of 32 is within d_w. Where 16 values have a minimum too (Q2_K), and
//    msum is the exact sum of these times the sums of x, acc = fma(d_x, fma(m_w, msum, d_w * isum), acc). Where they
//    have none (Q6_K, Q3_K, IQ2_XS, IQ2_S, IQ1_M), high takes d_w last: part = fma(d_x, isum, part) from 0 over the
//    eight blocks of 256, then acc = fma(d_w, part, acc).
//  - float dot and float reductions: element i goes to partial sum i mod 16 by fma; then the tree s[j] += s[j + 8, 4,
//    2, 1].
//  - accumulate(): one fma a step, in order of the inner index.
//  - attention in bytes: see ByteScores and ByteValues.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fieldprint {

inline constexpr int kActivationBlock = 32;        // activations share one scale per 32 values
inline constexpr int kResidualSteps = 254;         // steps of the residual byte in one step of the high byte
inline constexpr int kOutlierWord = 32;            // blocks whose outlier bits share a word
inline constexpr float kOutlierRatio = 1.95f;      // see OutlierLimit
inline constexpr float kLeastActivation = 1e-30f;  // a block with nothing above it is zero
inline constexpr int kMaxGgmlTypes = 48;
inline constexpr int kTokenGroup = 128;           // tokens that share one pass over a matrix: work is cut there
inline constexpr int kMaxRow = 1 << 16;           // numbers in a row of a matrix
inline constexpr size_t kScratchBytes = 4 << 20;  // of every thread, for a kernel's use, 64-byte aligned

// GELU (Hendrycks & Gimpel 2016) is x / (1 + e^-2u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
inline constexpr float kGeluLinear = -1.5957691216057308f, kGeluCubic = -0.0713548162726002f;
inline constexpr float kSwigluLimit = 7.0f, kSwigluSlope = 1.702f;  // gpt-oss

// Matmul slots: kSlotQ4_1 and so on, the GGML type numbers.
enum Slot : uint32_t {
#define QUANT_TYPE(name, ggml_id, stem, elements, bytes) kSlot##name = ggml_id,
#include "quant/types.def"
#undef QUANT_TYPE
};

// Numbers in 8 bits: x ~ d * q, with one step d for each block of 32.
struct Quantized {
  int8_t* q = nullptr;           // [tokens, k]  in [-127, 127]
  float* d = nullptr;            // [tokens, k / 32]
  int16_t* half_sums = nullptr;  // [tokens, k / 16]  sums of 16 q
  int16_t* pair_sums = nullptr;  // [tokens, k / 16, 2]  of 16 q: the sums of i % 4 < 2 and of i % 4 >= 2
  float* sum = nullptr;          // [tokens, k / 32]  d * sum of the block's q

  // Always inlined: the linker might keep the copy of one ISA for all of them.
  [[gnu::always_inline]] Quantized skip(int64_t blocks) const {
    return {q + blocks * 32, d + blocks, half_sums + blocks * 2, pair_sums + blocks * 4, sum + blocks};
  }
  [[gnu::always_inline]] Quantized from(int64_t token, int k) const { return skip(token * (k / 32)); }
};

// The step above which a block of a row has outliers: kOutlierRatio times the row's typical step. Typical is the step
// with the mean of the steps' bit patterns. These are logarithms to within a tenth of an octave, so it is about the
// geometric mean, which a few large steps do not raise much. Blocks of zeros do not count.
struct OutlierLimit {
  int64_t sum = 0;
  int32_t count = 0;

  [[gnu::always_inline]] void add(float d) {
    int32_t bits;
    __builtin_memcpy(&bits, &d, sizeof bits);
    if (bits > 0) sum += bits, ++count;
  }
  [[gnu::always_inline]] float value() const {
    const auto bits = static_cast<int32_t>(count > 0 ? sum / count : 0);
    float typical;
    __builtin_memcpy(&typical, &bits, sizeof typical);
    return kOutlierRatio * typical;
  }
};

// Activation rows in the forms that kernels take. Rows are contiguous: row t of f32 begins at t * k. In blocks with
// outliers 8 bits are too coarse: their rounding error, the residual, is quantised too, in steps of d / kResidualSteps,
// and x ~ high + residual. Elsewhere x ~ high.
struct Activations {
  const float* f32 = nullptr;  // [tokens, k]
  Quantized high;
  Quantized residual;            // of blocks with outliers; undefined elsewhere
  uint32_t* outliers = nullptr;  // [tokens, outlier_words(k)]  bit b % 32 of word b / 32: block b has outliers

  [[gnu::always_inline]] static constexpr int outlier_words(int k) {
    return (k / kActivationBlock + kOutlierWord - 1) / kOutlierWord;
  }
  [[gnu::always_inline]] Activations from(int64_t token, int k) const {
    return {f32 + token * k, high.from(token, k), residual.from(token, k), outliers + token * outlier_words(k)};
  }
};

// y[t, r] = dot(weights row r, x row t) for r in [row_begin, row_end), t in [0, tokens).
struct Matmul {
  const std::byte* weights = nullptr;  // row 0, native GGUF blocks
  int64_t row_bytes = 0;
  int k = 0;  // a row's length, at most kMaxRow
  int row_begin = 0, row_end = 0;
  Activations x;
  int tokens = 0;
  float* y = nullptr;  // y[t * y_stride + r]
  int64_t y_stride = 0;
  std::byte* scratch = nullptr;     // kScratchBytes
  const std::byte* next = nullptr;  // the rows that the thread multiplies next, to prefetch; nullptr: not known
};

// Memory that a kernel prefetches evenly while it computes: more requests at once than the CPU has buffers for would
// stall it.
struct Prefetch {
  const std::byte* l1 = nullptr;  // into the first-level cache
  int64_t bytes = 0;              // of each of the two
  const std::byte* l2 = nullptr;  // into the second; nullptr: nothing
};

// c[i, n] = fma(a(i, j), b[j, n], c[i, n]) for j = 0..inner-1 in order, a(i, j) = a[i * a_stride + j * a_step]: a_step
// is 1, or large where a matrix is taken the other way round. b in F16 or BF16, with n a multiple of 8, or in float32.
template <class Number>
struct ProductOf {
  const float* a = nullptr;
  int64_t a_stride = 0, a_step = 1;
  const Number* b = nullptr;
  int64_t b_stride = 0;
  float* c = nullptr;
  int64_t c_stride = 0;
  int m = 0, inner = 0, n = 0;
  bool fresh = false;  // c is taken for 0
  Prefetch prefetch = {};
};
using HalfProduct = ProductOf<uint16_t>;
using FloatProduct = ProductOf<float>;

// Products of rows in 8 bits with the keys of a tile in Q8_0: c[i][j] = sum over blocks b of 32 dimensions, in order
// and from 0, by c = fma(isum, q_scales[i][b] * key_scales[b][j], c), isum the block's exact integer sum.
inline constexpr int kTileKeys = 64;
struct ByteScores {
  const int8_t* q = nullptr;             // [m, d]  as quantize_bytes makes them
  const float* q_scales = nullptr;       // [m, d / 32]
  const int32_t* q_sums = nullptr;       // [m, d / 32]
  const int8_t* keys = nullptr;          // [d / 4, stride, 4]  four dimensions of a key side by side
  const uint16_t* key_scales = nullptr;  // [d / 32, stride]  F16
  int64_t stride = 0;                    // at least kTileKeys
  float* c = nullptr;                    // [m, kTileKeys]
  int m = 0, d = 0;                      // d a multiple of 32
  Prefetch prefetch = {};
};

// Adds the weighted values of a tile in Q8_0. For each row i and block b of 32 dimensions the weights times the values'
// scales, w = max(weights[i][j] * scales[b][j], 0) for j < seen[i], become 8 bits: u = round to even(w * (255 / top)),
// top their largest; where it is below kLeastActivation, all are 0. Then c = fma(isum, top / 255, c), isum the exact
// integer sum over the keys.
struct ByteValues {
  const float* weights = nullptr;    // [m, kTileKeys]
  const int* seen = nullptr;         // [m]  at most kTileKeys
  const int8_t* values = nullptr;    // [kTileKeys / 4, d, 4]  four keys' numbers of a dimension side by side
  const uint16_t* scales = nullptr;  // [d / 32, stride]  F16
  int64_t stride = 0;                // of the scales
  float* c = nullptr;                // [m, d]
  int m = 0, d = 0;                  // d a multiple of 32
  Prefetch prefetch = {};
};

// The online softmax of one query: maximum and denominator of the scores so far.
struct SoftmaxState {
  float m = -__builtin_inff();
  float l = 0;

  [[gnu::always_inline]] bool empty() const { return l == 0; }
};

// One tile of scores for each of some rows. s [seen], seen <= kTileKeys, of a row becomes its weights: s *= scale;
// m' = max(m, max s); s = e^(s - m'); l' = fma(l, e^(m - m'), sum s); o *= e^(m - m') for the sums so far.
// A score of -inf counts as masked: where m' is -inf too, all s and l' are 0.
struct SoftmaxRows {
  float* scores = nullptr;        // [rows, kTileKeys]
  const int* seen = nullptr;      // [rows]  of the kTileKeys scores of a row
  const float* scale = nullptr;   // [rows]
  SoftmaxState* state = nullptr;  // [rows]
  float* o = nullptr;             // [rows, d], d a multiple of 8
  int rows = 0, d = 0;
};

// States over disjoint keys become the state over all of them (FlashAttention; FlashInfer's state algebra), row by row:
// m' = max(m, m2); l' = l * e^(m - m') + l2 * e^(m2 - m'); o likewise. Where the other one is empty, nothing happens.
struct MergeRows {
  SoftmaxState* state = nullptr;  // [rows]
  float* o = nullptr;             // [rows, d], d a multiple of 8
  const SoftmaxState* other = nullptr;
  const float* other_o = nullptr;
  int rows = 0, d = 0;
};

// One row of a causal depthwise convolution, and silu: y[i] = silu(sum), silu(z) = z / (1 + e^-z), where sum = bias[i]
// (0 without one), then for each tap j in order sum = fma(kernel[j * n + i], rows[j][i], sum).
struct ConvolveRow {
  const float* const* rows = nullptr;  // [taps], the oldest first, each [n]
  const float* kernel = nullptr;       // [taps, n]
  const float* bias = nullptr;         // [n]; nullptr: none
  float* y = nullptr;                  // [n]
  int taps = 0, n = 0;
  int begin = 0, end = 0;  // what of [0, n) is done
};

// Linear attention by one head's state M [keys, columns], or some columns of it, token after token:
//   with beta (gated delta rule, Yang et al. 2024)  d = beta * (v - decay * (M^T k)); without (Mamba2)  d = v
//   M[i] = fma(k[i], d, decay * M[i]);  o = M^T q
// Each sum over i is four, of i mod 4, each by fma from 0 in order; then (s0 + s1) + (s2 + s3). A column's numbers
// depend on no other column's.
struct StateScan {
  float* state = nullptr;  // [keys, state_stride]
  int64_t state_stride = 0;
  const float *q = nullptr, *k = nullptr;  // of token t at t * key_stride: [keys]
  int64_t key_stride = 0;
  const float* v = nullptr;  // [columns]
  int64_t value_stride = 0;
  const float *decay = nullptr, *beta = nullptr;  // one number a token; beta nullptr: no correction
  int64_t gate_stride = 0;
  float* o = nullptr;  // [columns]
  int64_t output_stride = 0;
  int tokens = 0, keys = 0, columns = 0;  // keys a multiple of 4
};

using MatmulKernel = void (*)(const Matmul&);

struct KernelTable {
  const char* name = nullptr;

  // By Slot; nullptr: the type runs by decoding rows to f32 (see matmul_decoded). f32 activations for
  // F32, F16 and BF16, quantised ones for the others.
  MatmulKernel matmul[kMaxGgmlTypes] = {};

  // x [n] -> `out`, n a multiple of 32: all blocks in 8 bits, d = max|x| / 127, q = round to even(x * 127 / max|x|);
  // those with outliers (OutlierLimit; in SmolLM2 about one in eight) in 16, with a residual byte
  // (docs/decisions/0004-outlier-blocks.md).
  void (*quantize)(const float* x, int n, const Activations& out) = nullptr;

  // y = x / sqrt(mean(x^2) + eps) * weight, all [n].
  void (*rms_norm)(const float* x, const float* weight, int n, float eps, float* y) = nullptr;

  // y = gate / (1 + e^-gate) * up, all [n].
  void (*silu_mul)(const float* gate, const float* up, int n, float* y) = nullptr;

  // y = gate / (1 + e^(gate * fma(gate * gate, kGeluCubic, kGeluLinear))) * up, all [n]: GELU in its tanh form.
  void (*gelu_mul)(const float* gate, const float* up, int n, float* y) = nullptr;

  // With g = min(gate, kSwigluLimit) and u = up within -kSwigluLimit .. kSwigluLimit:
  // y = g / (1 + e^(-kSwigluSlope * g)) * (u + 1), all [n].
  void (*swiglu_clamped)(const float* gate, const float* up, int n, float* y) = nullptr;

  // x = 2 cap / (1 + e^(x * (-2 scale / cap))) - cap in place, [n]: cap * tanh(scale * x / cap).
  void (*softcap)(float* x, int n, float scale, float cap) = nullptr;

  void (*convolve_silu)(const ConvolveRow&) = nullptr;

  void (*scan_state)(const StateScan&) = nullptr;

  // y = 1 / (1 + e^-gate) * x, all [n].
  void (*sigmoid_mul)(const float* gate, const float* x, int n, float* y) = nullptr;

  // x [n] -> q [n], scales and sums [n / 32], the blocks in 8 bits as quantize() makes them; sums are of a block's q.
  void (*quantize_bytes)(const float* x, int64_t n, int8_t* q, float* scales, int32_t* sums) = nullptr;

  // Attention (src/attention/tile.h): q.K^T (keys in columns) and p.V (value dimensions in columns). In float32 also
  // products of matrices (ops/gemm.h).
  void (*accumulate_f16)(const HalfProduct&) = nullptr;
  void (*accumulate_bf16)(const HalfProduct&) = nullptr;
  void (*accumulate_f32)(const FloatProduct&) = nullptr;
  // The same in integers, of K and V in Q8_0.
  void (*score_bytes)(const ByteScores&) = nullptr;
  void (*add_byte_values)(const ByteValues&) = nullptr;

  // Absorbs a tile of scores into the online softmax of each row; see SoftmaxRows.
  void (*softmax_rows)(const SoftmaxRows&) = nullptr;

  void (*merge_rows)(const MergeRows&) = nullptr;

  // Peak probes: multiply and add without touching memory, for the ceiling in a benchmark. They return the number of
  // operations (a product and a sum are two). `sink` takes a result, so that the compiler keeps the work.
  int64_t (*peak_int8)(int64_t rounds, int64_t* sink) = nullptr;
  int64_t (*peak_f32)(int64_t rounds, int64_t* sink) = nullptr;

  // y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, all [n]; the last two steps one fma.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int n, float eps, float* y) = nullptr;

  // y = x Phi(x), both [n]: max(x, 0) - |x| Phi(-|x|), see base/gelu_constants.h.
  void (*gelu_erf)(const float* x, int n, float* y) = nullptr;
};

}  // namespace fieldprint
