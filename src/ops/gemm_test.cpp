// Products of gradients: each number is one chain of fma, in order, however the work is cut.
#include "ops/gemm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/kernels.h"

namespace fieldprint {
namespace {

TEST(Gemm, IsOneSumInOrderForAnyThreadsAndIsa) {
  struct Shape {
    int m, inner, n;
  };
  // One row; more rows than a piece has; more columns; an inner index of several blocks; rows of b that are far apart.
  for (const Shape& s :
       {Shape{1, 3, 5}, Shape{200, 17, 33}, Shape{20, 9, 300}, Shape{30, 600, 64}, Shape{40, 300, 600}}) {
    Rng rng(static_cast<uint64_t>(s.m));
    const auto a = random_floats(rng, static_cast<size_t>(s.m * s.inner));
    const auto b = random_floats(rng, static_cast<size_t>(s.inner * s.n));
    const auto start = random_floats(rng, static_cast<size_t>(s.m * s.n));
    for (const bool transposed : {false, true}) {
      Gemm<float> gemm{.a = a.data(),
                       .a_row = transposed ? 1 : s.inner,
                       .a_step = transposed ? s.m : 1,
                       .b = b.data(),
                       .b_row = s.n,
                       .c_row = s.n,
                       .m = s.m,
                       .inner = s.inner,
                       .n = s.n};
      auto expected = start;
      for (int i = 0; i < s.m; ++i) {
        for (int j = 0; j < s.inner; ++j) {
          for (int k = 0; k < s.n; ++k) {
            float& sum = expected[static_cast<size_t>(i * s.n + k)];
            sum = std::fma(a[static_cast<size_t>(i * gemm.a_row + j * gemm.a_step)],
                           b[static_cast<size_t>(j * s.n + k)], sum);
          }
        }
      }
      for_each_isa([&](const KernelTable& kernels) {
        for (const int threads : {1, 2, 3}) {
          ThreadPool pool(threads);
          RunExecutor run(kernels, pool, KvLayout({{1, 16}}, 16));
          auto got = start;
          gemm.c = got.data();
          accumulate(run, gemm);
          EXPECT_TRUE(same_bits(got, expected))
              << s.m << " x " << s.inner << " x " << s.n << ", " << threads << " threads";
        }
      });
    }
  }
}

}  // namespace
}  // namespace fieldprint
