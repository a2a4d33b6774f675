#include "train/gradient_sum.h"

#include <gtest/gtest.h>

#include <bit>

#include "base/rng.h"

namespace fieldprint {
namespace {

using Gradient = std::vector<float>;

std::vector<Gradient> random_gradients(int count, size_t size) {
  Rng rng(static_cast<uint64_t>(count));
  std::vector<Gradient> gradients(static_cast<size_t>(count), Gradient(size));
  for (Gradient& gradient : gradients) {
    for (float& value : gradient) value = rng.normal();
  }
  return gradients;
}

// The definition.
Gradient tree(std::span<const Gradient> gradients) {
  if (gradients.size() == 1) return gradients[0];
  const size_t left = std::bit_floor(gradients.size() - 1);
  Gradient sum = tree(gradients.first(left));
  const Gradient right = tree(gradients.subspan(left));
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += right[i];
  return sum;
}

TEST(TrainGradientSum, IsTheTreeForAnyNumberOfThreads) {
  constexpr size_t kSize = 10'007;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    GradientSum sum(kSize);  // used again for each number of gradients
    for (const int count : {9, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17}) {
      const auto gradients = random_gradients(count, kSize);
      for (const Gradient& gradient : gradients) sum.add(gradient, pool);
      Gradient total(kSize);
      sum.finish(total, pool);
      EXPECT_EQ(total, tree(gradients)) << count;
    }
  }
}

TEST(TrainGradientSum, IsNotTheSumInOrder) {  // else the test above would say little
  const auto gradients = random_gradients(7, 1000);
  Gradient in_order = gradients[0];
  for (size_t m = 1; m < gradients.size(); ++m) {
    for (size_t i = 0; i < in_order.size(); ++i) in_order[i] += gradients[m][i];
  }
  EXPECT_NE(tree(gradients), in_order);
}

}  // namespace
}  // namespace fieldprint
