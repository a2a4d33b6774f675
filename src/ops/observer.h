// Sees what the ops work on: for measurements and pictures. Called on the thread that runs the step.
#pragma once

#include <span>

#include "ops/ops.h"

namespace fieldprint {

class OpsObserver {
 public:
  virtual ~OpsObserver() = default;

  // Before every product: `x` [rows, weight.cols], rows in the order of their tokens; of experts `weight` is the slice
  // of one.
  virtual void inputs(const Weight& weight, std::span<const float> x) { (void)weight, (void)x; }

  // What a layer attends with, rotated: q [rows, heads, d], k [rows, kv_heads, d], r like q or nullptr. By the run
  // executor only.
  virtual void attention(const AttendShape& shape, const float* q, const float* k, const float* r, int rows) {
    (void)shape, (void)q, (void)k, (void)r, (void)rows;
  }

  // The experts of each row and their weights, in order of choice: [rows, active].
  virtual void experts(const Moe& moe, std::span<const int> chosen, std::span<const float> weights) {
    (void)moe, (void)chosen, (void)weights;
  }
};

}  // namespace fieldprint
