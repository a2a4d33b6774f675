#include "engine/prompt_share.h"

#include <gtest/gtest.h>

namespace fieldprint {
namespace {

// A step takes 1 ms, and as much for each of `rows` tokens.
double step(int rows, double each) { return 0.001 + each * rows; }

TEST(PromptShare, MakesAStepLessThanTwiceAsLong) {
  for (const double each : {0.00002, 0.0002, 0.001}) {
    PromptShare share(0);
    for (int i = 0; i < 50; ++i) share.measured(15, 0, step(15, each));
    for (int i = 0; i < 60; ++i) share.measured(15, share.tokens(), step(15 + share.tokens(), each));
    const double times = step(15 + share.tokens(), each) / step(15, each);
    if (share.tokens() > PromptShare::kLeast) {
      EXPECT_LT(times, 1.9) << each;
    }
    if (share.tokens() < PromptShare::kMost) {
      EXPECT_GT(times, 1.5) << each;
    }
  }
}

TEST(PromptShare, HoldsStillWhereNothingIsKnown) {
  PromptShare share(0);
  EXPECT_EQ(share.tokens(), PromptShare::kFirst);
  share.measured(3, 32, 1);  // no step without prompts to compare it with
  share.measured(0, 32, 1);
  EXPECT_EQ(share.tokens(), PromptShare::kFirst);
  share.measured(8, 0, 0.1);
  share.measured(3, 2, 9);  // the end of a prompt says little
  EXPECT_EQ(share.tokens(), PromptShare::kFirst);
  share.measured(3, 32, 9);
  EXPECT_EQ(share.tokens(), PromptShare::kLeast);
  EXPECT_EQ(PromptShare(7).tokens(), 7);
}

}  // namespace
}  // namespace fieldprint
