// The ops that model files are written in. A model describes its forward pass once, against these; an executor gives
// them their meaning (executor.h). Each op is one file, NAME.cpp, which holds what every executor makes of it side by
// side; ops_test.cpp has a row of cases for each.
//
// Tensors are [rows, cols]. T is the number of rows of the step: tokens, sequence after sequence.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "attention/kind.h"
#include "fieldprint/tokenizer.h"
#include "ops/glu.h"
#include "ops/moe.h"
#include "ops/tensor.h"
#include "ops/weight.h"

namespace fieldprint {

class Executor;

enum class RopePairs {
  kAdjacent,  // (x0, x1), (x2, x3) ...: llama
  kHalves,    // (x0, x[d/2]), ...: NEOX
};

// Rotary position embedding (Su et al. 2021): pair i is rotated by position * inverse_frequency[i], and multiplied by
// `magnitude`.
struct Rope {
  RopePairs pairs = RopePairs::kAdjacent;
  std::vector<double> inverse_frequency;  // [rotated dimensions / 2]; the rest of a head stays
  double magnitude = 1;
};

// What every executor can attend with.
inline constexpr int kMaxHeadGroup = 48;  // query heads that share one K/V head
inline constexpr int kMaxHeadDim = 256;   // and a multiple of 8

struct AttendShape {
  int layer = 0;
  int window = 0;  // a query sees the last `window` keys, its own among them; 0 = all
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  bool causal = true;  // else a query sees all keys of its sequence, which are all in one step
  AttentionSpec spec;
};

// What a teacher said of the rows of a step.
struct TopTokens {
  int k = 0;                     // of each row
  std::span<const TokenId> ids;  // [rows, k], no two of a row the same; kNoToken where there are fewer
  std::span<const float> logp;   // [rows, k]
  std::span<const float> tail;   // [rows], of all others together; with those of the k: 1. -inf: nothing is left
};

// What every executor can keep of a layer's past.
inline constexpr int kMaxTaps = 64;  // of a convolution

// Linear attention (the ops delta_net and mamba2): every head keeps a matrix M [keys, columns] that depends on all
// tokens so far. It is the layer's recurrent state, head after head, behind the first `state_begin` floats, which are
// the convolution's.
struct LinearAttention {
  int layer = 0;
  int groups = 0;   // of queries and keys
  int heads = 0;    // of values; a multiple of the groups
  int keys = 0;     // length of a query and a key, a multiple of 4
  int columns = 0;  // length of a head's value
  int64_t state_begin = 0;
  Weight decay;  // [1, heads]  below 0
  Weight bias;   // [1, heads]  of the step

  int64_t state_floats() const { return int64_t{heads} * keys * columns; }
};

class Ops {
 public:
  explicit Ops(Executor& executor) : executor_(executor) {}

  // The table's rows of the step's token ids. [T, table.cols]
  Tensor embed(const Weight& table);

  // x / sqrt(mean(x^2) + eps) * weight, over groups of weight.cols. Where the weight has several rows, a group's is
  // that of its number, modulo the rows.
  Tensor rms_norm(const Tensor& x, const Weight& weight, float eps);

  // (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, both [1, x.cols].
  Tensor layer_norm(const Tensor& x, const Weight& weight, const Weight& bias, float eps);

  // y_i = x w_i^T for several matrices on the same x. [T, w_i.rows] each.
  void linear(const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y);
  Tensor linear(const Tensor& x, const Weight& weight);

  void add(Tensor& x, const Tensor& y, float scale = 1);  // x += scale * y
  void add_bias(Tensor& x, const Weight& bias);           // x[t] += bias [1, x.cols]
  void scale(Tensor& x, float factor);                    // x *= factor

  void add_positions(Tensor& x, const Weight& table);  // x[t] += row `position of t` of table [positions, x.cols]
  // x[t, 2i] += sin(p f_i), x[t, 2i + 1] += cos(p f_i), p the position of t, f_i = 10000^(-2i / x.cols).
  void add_sinusoids(Tensor& x);

  // Rotates each of `heads` heads by its row's position, in place.
  void rope(Tensor& x, const Rope& rope, int heads);

  Tensor gelu_erf(const Tensor& x);  // x Phi(x), Phi the normal distribution: GELU as it is defined, without tanh
  Tensor gelu(const Tensor& x);      // the tanh form, as in gelu_mul()
  Tensor silu_mul(const Tensor& gate, const Tensor& up);  // silu(gate) * up, silu(z) = z / (1 + e^-z)
  // gelu(gate) * up, gelu(z) = z / 2 * (1 + tanh(sqrt(2 / pi) * (z + 0.044715 z^3)))
  Tensor gelu_mul(const Tensor& gate, const Tensor& up);
  // g / (1 + e^(-1.702 g)) * (u + 1), g = min(gate, 7), u = up within -7 .. 7
  Tensor swiglu_clamped(const Tensor& gate, const Tensor& up);

  void softcap(Tensor& x, float cap);  // x = cap * tanh(x / cap)

  // Stores k and v [T, kv_heads * head_dim] at their positions, then attention of q [T, heads * head_dim]. r is
  // the third projection, like q, of kinds that want one; nullptr for the others.
  Tensor attend(const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor* r);

  // Gated short convolution (LFM2): bcz [T, 3 * width] holds B, C, z; u = B * z; causal depthwise convolution of u with
  // `kernel` [taps, width], oldest tap first; y = C * conv(u). The layer's state is the last taps - 1 rows of u.
  Tensor shortconv(int layer, const Tensor& bcz, const Weight& kernel);

  // Causal depthwise convolution, then silu: y = silu(bias + conv(x)), with `kernel` [taps, x.cols], oldest tap first,
  // and `bias` [1, x.cols], where given. The first (taps - 1) * x.cols floats of the layer's state are the last rows of
  // x.
  Tensor conv_silu(int layer, const Tensor& x, const Weight& kernel, const Weight& bias);

  // Gated delta net (Yang et al. 2024). qkv [T, 2 * groups * keys + heads * columns] holds queries, keys, values. Head
  // n reads group n mod groups; its query and key are divided by sqrt(sum of squares + eps), the query by sqrt(keys)
  // too.
  //   M *= exp(decay_n * softplus(alpha_n + bias_n));  d = sigmoid(beta_n) * (v - M^T k);  M += k d^T;  y = M^T q
  // beta and alpha are [T, heads], y [T, heads * columns].
  Tensor delta_net(const LinearAttention& net, float eps, const Tensor& qkv, const Tensor& beta, const Tensor& alpha);

  // Mamba2 (Dao & Gu 2024). xbc [T, heads * columns + 2 * groups * keys] holds inputs, keys (B), queries (C). Heads
  // share groups side by side: head n reads group n / (heads / groups). With s = softplus(dt_n + bias_n):
  //   M = exp(decay_n * s) * M + B (s x)^T;  y = M^T C + skip_n * x
  // dt is [T, heads], skip [1, heads].
  Tensor mamba2(const LinearAttention& net, const Tensor& xbc, const Tensor& dt, const Weight& skip);

  // Of each of `heads` heads of x the part `part` of `parts` equal ones. [T, x.cols / parts]
  Tensor head_part(const Tensor& x, int heads, int part, int parts);

  Tensor pad_heads(const Tensor& x, int heads);  // each of `heads` heads of x with as many zeros behind it

  // Keys of AttentionKind::key_plane, of k and r [T, kv_heads * d]: for each head f1 = sqrt(A) e1, f2 = sqrt(A) e2
  // [2 * d], with e1, e2 orthonormal in the plane of k and r, and A the squared area of the two: |f1|^2 = |f2|^2 = A.
  // Zeros where k and r are parallel.
  Tensor key_plane(const Tensor& k, const Tensor& r, int kv_heads);

  Tensor sigmoid_mul(const Tensor& gate, const Tensor& x);  // 1 / (1 + e^-gate) * x

  Tensor moe(const Tensor& x, const Moe& moe);

  Tensor output_rows(Tensor x);  // the rows that want logits
  // linear(), for the logits: x, which is behind the last norm, is what Executor::hidden() gives after the step.
  Tensor output_head(Tensor x, const Weight& weight);

  // What the logits [rows, vocabulary] lose by the tokens that came: weight_t * -log softmax(logits_t)[target_t].
  // [rows, 1]
  Tensor cross_entropy(const Tensor& logits, std::span<const TokenId> targets, std::span<const float> weights);

  // The same against the k likeliest tokens of a teacher and their log probabilities, with what is left of each
  // distribution as one more outcome (Kullback & Leibler 1951): weight_t * (sum over k of p (log p - log q), and of the
  // rest), p the teacher's and q = softmax(logits_t / temperature). [rows, 1]
  Tensor distillation(const Tensor& logits, const TopTokens& teacher, std::span<const float> weights,
                      float temperature);

 private:
  Executor& executor_;
};

}  // namespace fieldprint
