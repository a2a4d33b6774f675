// The op set that model files are written in. A model describes its forward pass once; an executor gives the ops their
// meaning: `run` (fast, quantised), `reference` (float64). Rows of a step are tokens, sequence after sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "attention/kind.h"
#include "fieldprint/tokenizer.h"
#include "kv/layout.h"
#include "kv/spans.h"
#include "ops/tensor.h"
#include "quant/type.h"

namespace fieldprint {

// A matrix of the file, viewed in place: `rows` outputs of `cols` inputs each. A norm's weight has one row.
struct Weight {
  std::string_view name;
  const QuantType* type = nullptr;
  const std::byte* data = nullptr;
  int64_t rows = 0, cols = 0;
  int part = 0;  // of equal slices, which one: the expert

  int64_t row_bytes() const { return static_cast<int64_t>(type->bytes(static_cast<uint64_t>(cols))); }
  int64_t bytes() const { return rows * row_bytes(); }
  Weight slice(int64_t first, int64_t count) const {
    return {name, type, data + first * row_bytes(), count, cols, static_cast<int>(first / count)};
  }
};

enum class RopePairs {
  kAdjacent,  // (x0, x1), (x2, x3) ...: llama
  kHalves,    // (x0, x[d/2]), ...: NEOX
};

// Rotary position embedding (Su et al. 2021): pair i turns by position * inverse_frequency[i].
struct Rope {
  RopePairs pairs = RopePairs::kAdjacent;
  std::vector<double> inverse_frequency;  // [rotated dimensions / 2]; the rest of a head stays
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
  AttentionSpec spec;
};

// Mixture of experts: s = sigmoid(router x); the `active` largest of s + bias are chosen; y = the sum of their SwiGLU
// outputs, each weighted by its s over the sum of the chosen s (at least kMinWeightSum), in the order of choice.
struct Moe {
  Weight router;          // [experts, width]
  Weight bias;            // [1, experts]
  Weight gate, up, down;  // experts stacked by rows: [experts * ffn, width], [experts * width, ffn] for down
  int experts = 0;
  int active = 0;
};
inline constexpr float kMinWeightSum = 6.103515625e-5f;  // 2^-14, the smallest normal half

class KvSequence;

// What an executor keeps of one sequence between steps.
class SequenceState {
 public:
  virtual ~SequenceState() = default;

  // Keeps the first `tokens` tokens. Returns how many of them must pass again (as a replay) before the next ones can: a
  // convolution's inputs are not kept for every position. The others are as if nothing had come after them.
  virtual int truncate(int tokens) = 0;
  virtual std::unique_ptr<SequenceState> fork() const = 0;  // as this one is now; the two then go their own ways
  virtual KvSequence* kv() { return nullptr; }              // its pages, where it has such: what a saved session holds
  virtual int64_t bytes() const = 0;

  // Labels of its tokens, positions that are still to come among them; truncate() cuts them too.
  Spans spans;
  // Of the last token of the last step, where wanted: the mean over layers and heads of the share of softmax mass of
  // each span, then of the anchor rows in the file.
  bool wants_influence = false;
  std::vector<float> influence;  // [spans + 1]
};

// Sees what the ops work on: for measurements and pictures.
class OpsObserver {
 public:
  virtual ~OpsObserver() = default;
  // `x` [rows, weight.cols], rows in the order of their tokens; of experts `weight` is the slice of one.
  virtual void inputs(const Weight& weight, std::span<const float> x) { (void)weight, (void)x; }
  // What a layer attends with, rotated: q [rows, heads, d], k [rows, kv_heads, d], r like q or nullptr.
  virtual void attention(const AttendShape& shape, const float* q, const float* k, const float* r, int rows) {
    (void)shape, (void)q, (void)k, (void)r, (void)rows;
  }
  // The experts of each row and their weights, in order of choice: [rows, active].
  virtual void experts(const Moe& moe, std::span<const int> chosen, std::span<const float> weights) {
    (void)moe, (void)chosen, (void)weights;
  }
};

enum class LogitRows { kNone, kLast, kAll };

// One sequence's part of a step.
struct StepSequence {
  SequenceState* state = nullptr;
  int first_position = 0;           // tokens already in the state
  std::span<const TokenId> tokens;  // appended by this step; at least one
  LogitRows logits = LogitRows::kLast;
  bool replay = false;  // the tokens' K/V are there and stay; only the convolutions' state is made again
};

class Ops {
 public:
  virtual ~Ops() = default;

  virtual std::unique_ptr<SequenceState> new_sequence() = 0;

  // Starts a step; the ops below then work on all its rows. Ids are inside the vocabulary, positions inside the
  // context.
  virtual void begin(std::span<const StepSequence> sequences) = 0;

  virtual Tensor embed(const Weight& table) = 0;                                  // [T, table.cols]
  virtual Tensor rms_norm(const Tensor& x, const Weight& weight, float eps) = 0;  // over groups of weight.cols
  // y_i = x w_i^T for several matrices on the same x. [T, w_i.rows] each.
  virtual void linear(const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y) = 0;
  virtual void add(Tensor& x, const Tensor& y) = 0;                   // x += y
  virtual void rope(Tensor& x, const Rope& rope, int heads) = 0;      // in place
  virtual Tensor silu_mul(const Tensor& gate, const Tensor& up) = 0;  // silu(gate) * up
  // Stores k and v [T, kv_heads * head_dim] at their positions, then causal attention of q [T, heads * head_dim]. r is
  // the third projection, like q, of kinds that want one; nullptr for the others.
  virtual Tensor attend(const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
                        const Tensor* r) = 0;
  // Gated short convolution (LFM2): bcz [T, 3 * width] holds B, C, z; u = B * z; causal depthwise convolution of u with
  // `kernel` [width, taps], oldest tap first; y = C * conv(u). Keeps the last taps - 1 rows of u.
  virtual Tensor shortconv(int layer, const Tensor& bcz, const Weight& kernel) = 0;
  virtual Tensor moe(const Tensor& x, const Moe& moe) = 0;
  virtual Tensor output_rows(Tensor x) = 0;  // the rows that want logits

  // Ends a step: its result as float32, [rows, x.cols], valid until the next begin().
  virtual std::span<const float> finish(Tensor x) = 0;

  // Calls `observer` before every product, on the thread that runs the step; nullptr: nobody.
  void observe(OpsObserver* observer) { observer_ = observer; }

  Tensor linear(const Tensor& x, const Weight& weight) {
    const Weight* weights[] = {&weight};
    Tensor y[1];
    linear(x, weights, y);
    return std::move(y[0]);
  }

 protected:
  OpsObserver* observer_ = nullptr;
};

// The experts of one token and their weights, in order of choice. `scores` [experts] are sigmoid(router x).
template <class Number, class Bias>
void choose_experts(const Number* scores, const Bias* bias, int experts, int active, int* chosen, Number* weights) {
  Number sum = 0;
  for (int rank = 0; rank < active; ++rank) {
    int best = -1;
    for (int e = 0; e < experts; ++e) {
      bool taken = false;
      for (int r = 0; r < rank; ++r) taken = taken || chosen[r] == e;
      if (!taken &&
          (best < 0 || scores[e] + static_cast<Number>(bias[e]) > scores[best] + static_cast<Number>(bias[best])))
        best = e;
    }
    chosen[rank] = best;
    weights[rank] = scores[best];
    sum += scores[best];
  }
  if (sum < static_cast<Number>(kMinWeightSum)) sum = static_cast<Number>(kMinWeightSum);
  for (int rank = 0; rank < active; ++rank) weights[rank] /= sum;
}

// The rows that output_rows() keeps: all of a sequence's, or its last.
inline int output_row_count(std::span<const StepSequence> sequences) {
  int count = 0;
  for (const StepSequence& s : sequences) {
    count += s.logits == LogitRows::kAll ? static_cast<int>(s.tokens.size()) : s.logits == LogitRows::kLast ? 1 : 0;
  }
  return count;
}

template <class Element>
void copy_output_rows(std::span<const StepSequence> sequences, const Element* x, int64_t cols, Element* y) {
  for (const StepSequence& s : sequences) {
    const auto count = static_cast<int64_t>(s.tokens.size());
    const int64_t first = s.logits == LogitRows::kAll ? 0 : s.logits == LogitRows::kLast ? count - 1 : count;
    for (int64_t i = first * cols; i < count * cols; ++i) *y++ = x[i];
    x += count * cols;
  }
}

}  // namespace fieldprint
