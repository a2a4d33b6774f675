// The sum of gradients over the micro-batches of a step, by one binary tree over their numbers: n of them are the sum
// of the first p and that of the rest, where p is the largest power of two below n (the tree of RFC 6962). So the bits
// depend on the order of the micro-batches alone, whoever computes which of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"

namespace fieldprint {

// Like a binary counter: after n gradients there is a sum of 2^i of them for each bit i of n. Memory for the sum of M:
// at most log2 M + 1 gradients.
class GradientSum {
 public:
  explicit GradientSum(int64_t count) : count_(count) {}

  // The next micro-batch's gradient: [count].
  void add(std::span<const float> gradient, ThreadPool& pool);
  // total [count] = the sum of what was added; then it begins anew. It was called once at least.
  void finish(std::span<float> total, ThreadPool& pool);

 private:
  int64_t count_;
  uint64_t added_ = 0;
  std::vector<std::vector<float>> sums_;  // [i]: of 2^i, where bit i of added_ is set
};

}  // namespace fieldprint
