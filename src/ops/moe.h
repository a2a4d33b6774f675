// What the op moe works on: the router, the experts' matrices and how an expert is chosen.
#pragma once

#include <cstdint>

#include "ops/glu.h"
#include "ops/weight.h"

namespace fieldprint {

inline constexpr float kMinWeightSum = 6.103515625e-5f;  // 2^-14, the smallest normal half

// Mixture of experts. The `active` experts of largest s + bias are chosen, in kSoftmaxChosen those of largest r + bias;
// their weights are s, renormalised to a sum of 1 where `renormalise` says so (s / max(sum of s, kMinWeightSum)), times
// `scale`. y = the weighted sum of the experts' SwiGLU outputs, in the order of choice; then, where there is a shared
// expert, its output times sigmoid(shared_router x).
struct Moe {
  // From the router's scores r [experts] to the experts' s.
  enum class Gating {
    kSigmoid,        // s = sigmoid(r)
    kSoftmax,        // s = softmax(r) over all experts
    kSoftmaxChosen,  // s = softmax(r) over the chosen ones alone
  };
  Weight router;          // [experts, width]
  Weight router_bias;     // [1, experts], where given: added to r
  Weight bias;            // [1, experts], where given: for the choice alone
  Weight gate, up, down;  // experts stacked by rows: [experts * ffn, width], [experts * width, ffn] for down;
                          // without `up`, `gate` has both: of each expert ffn rows of gate, then ffn of up
  Weight gate_bias, up_bias, down_bias;  // F32, where given: [experts, ffn], [experts, width] for down
  Glu glu = Glu::kSilu;                  // of every expert
  int experts = 0;
  int active = 0;
  Gating gating = Gating::kSigmoid;
  bool renormalise = true;
  float scale = 1;
  Weight shared_gate, shared_up, shared_down;  // of an expert that sees every token, where given
  Weight shared_router;                        // [1, width], where given; without it the shared expert's weight is 1

  int64_t ffn() const { return down.cols; }
  const Weight& up_stack() const { return up.given() ? up : gate; }
  Weight gate_of(int64_t expert) const { return of(gate, expert, up.given() ? ffn() : 2 * ffn(), 0, ffn()); }
  Weight up_of(int64_t expert) const {
    return up.given() ? of(up, expert, ffn(), 0, ffn()) : of(gate, expert, 2 * ffn(), ffn(), ffn());
  }
  Weight down_of(int64_t expert) const {
    const int64_t width = down.rows / experts;
    return of(down, expert, width, 0, width);
  }

 private:
  static Weight of(const Weight& stack, int64_t expert, int64_t distance, int64_t first, int64_t count) {
    Weight rows = stack.slice(expert * distance + first, count);
    rows.part = static_cast<int>(expert);
    return rows;
  }
};

}  // namespace fieldprint
