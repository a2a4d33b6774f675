// The op set that model files are written in. A model describes its forward pass once; an executor gives the ops their
// meaning: `run` (fast, quantised), `reference` (float64). Rows of a step are tokens, sequence after sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"
#include "kv/layout.h"
#include "ops/tensor.h"
#include "quant/type.h"

namespace fieldprint {

// A matrix of the file, viewed in place: `rows` outputs of `cols` inputs each. A norm's weight has one row.
struct Weight {
  std::string_view name;
  const QuantType* type = nullptr;
  const std::byte* data = nullptr;
  int64_t rows = 0, cols = 0;

  int64_t row_bytes() const { return static_cast<int64_t>(type->bytes(static_cast<uint64_t>(cols))); }
  int64_t bytes() const { return rows * row_bytes(); }
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
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float scale = 1;
};

// What an executor keeps of one sequence between steps (K/V).
class SequenceState {
 public:
  virtual ~SequenceState() = default;
  virtual void truncate(int tokens) = 0;
  virtual int64_t bytes() const = 0;
};

// One sequence's part of a step.
struct StepSequence {
  SequenceState* state = nullptr;
  int first_position = 0;            // tokens already in the state
  std::span<const TokenId> tokens;   // appended by this step; at least one
  bool all_logits = false;           // logits of every token, or of the last alone
};

class Ops {
 public:
  virtual ~Ops() = default;

  virtual std::unique_ptr<SequenceState> new_sequence() = 0;

  // Starts a step; the ops below then work on all its rows. Ids are inside the vocabulary, positions inside the context.
  virtual void begin(std::span<const StepSequence> sequences) = 0;

  virtual Tensor embed(const Weight& table) = 0;                                 // [T, table.cols]
  virtual Tensor rms_norm(const Tensor& x, const Weight& weight, float eps) = 0; // over groups of weight.cols
  // y_i = x w_i^T for several matrices on the same x. [T, w_i.rows] each.
  virtual void linear(const Tensor& x, std::span<const Weight* const> weights, std::span<Tensor> y) = 0;
  virtual void add(Tensor& x, const Tensor& y) = 0;                              // x += y
  virtual void rope(Tensor& x, const Rope& rope, int heads) = 0;                 // in place
  virtual Tensor silu_mul(const Tensor& gate, const Tensor& up) = 0;             // silu(gate) * up
  // Stores k and v [T, kv_heads * head_dim] at their positions, then causal attention of q [T, heads * head_dim].
  virtual Tensor attend(const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v) = 0;
  virtual Tensor output_rows(Tensor x) = 0;                                      // the rows that want logits

  // Ends a step: its result as float32, [rows, x.cols], valid until the next begin().
  virtual std::span<const float> finish(Tensor x) = 0;

  Tensor linear(const Tensor& x, const Weight& weight) {
    const Weight* weights[] = {&weight};
    Tensor y[1];
    linear(x, weights, y);
    return std::move(y[0]);
  }
};

// The rows that output_rows() keeps: all of a sequence's, or its last.
inline int output_row_count(std::span<const StepSequence> sequences) {
  int count = 0;
  for (const StepSequence& s : sequences) count += s.all_logits ? static_cast<int>(s.tokens.size()) : 1;
  return count;
}

template <class Element>
void copy_output_rows(std::span<const StepSequence> sequences, const Element* x, int64_t cols, Element* y) {
  for (const StepSequence& s : sequences) {
    const auto count = static_cast<int64_t>(s.tokens.size());
    for (int64_t i = (s.all_logits ? 0 : count - 1) * cols; i < count * cols; ++i) *y++ = x[i];
    x += count * cols;
  }
}

}  // namespace fieldprint
