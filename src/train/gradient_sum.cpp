#include "train/gradient_sum.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace fieldprint {
namespace {

constexpr int64_t kPiece = 4096;  // stays in the first cache while all sums are added to it

template <class Task>
void for_pieces(int64_t count, ThreadPool& pool, Task&& task) {
  pool.run((count + kPiece - 1) / kPiece,
           [&](int64_t piece, int) { task(piece * kPiece, std::min(count, (piece + 1) * kPiece)); });
}

}  // namespace

void GradientSum::add(std::span<const float> gradient, ThreadPool& pool) {
  assert(static_cast<int64_t>(gradient.size()) == count_);
  const auto level = static_cast<size_t>(std::countr_one(added_));  // the sums below it are carried into it
  while (sums_.size() <= level) sums_.emplace_back(static_cast<size_t>(count_));
  float* to = sums_[level].data();
  for_pieces(count_, pool, [&](int64_t begin, int64_t end) {
    std::copy(gradient.data() + begin, gradient.data() + end, to + begin);
    for (size_t below = 0; below < level; ++below) {
      const float* earlier = sums_[below].data();
      for (int64_t i = begin; i < end; ++i) to[i] = earlier[i] + to[i];
    }
  });
  ++added_;
}

void GradientSum::finish(std::span<float> total, ThreadPool& pool) {
  assert(added_ > 0 && static_cast<int64_t>(total.size()) == count_);
  for_pieces(count_, pool, [&](int64_t begin, int64_t end) {
    bool first = true;
    for (size_t level = 0; level < sums_.size(); ++level) {
      if ((added_ >> level & 1) == 0) continue;
      const float* earlier = sums_[level].data();
      if (first) std::copy(earlier + begin, earlier + end, total.data() + begin);
      else
        for (int64_t i = begin; i < end; ++i)
          total[static_cast<size_t>(i)] = earlier[i] + total[static_cast<size_t>(i)];
      first = false;
    }
  });
  added_ = 0;
}

}  // namespace fieldprint
