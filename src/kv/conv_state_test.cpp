#include "kv/conv_state.h"

#include <gtest/gtest.h>

namespace fieldprint {
namespace {

const KvLayout kLayers({{.conv_width = 4, .conv_taps = 3}, {2, 8}, {.conv_width = 4, .conv_taps = 3}}, 16);
constexpr int64_t kStateBytes = 2 * 2 * 4 * sizeof(float);

TEST(ConvState, ReplaysItsReachFromZero) {
  ConvState state(kLayers, 0);
  EXPECT_EQ(state.reach(), 4);
  state.layer(2)[0] = 5;
  EXPECT_EQ(state.rewind(100), 4);
  EXPECT_EQ(state.layer(2)[0], 0);
  EXPECT_EQ(state.rewind(3), 3) << "there are no more";
  EXPECT_EQ(state.rewind(0), 0);
}

TEST(ConvState, ASnapshotShortensTheReplay) {
  ConvState state(kLayers, 2 * kStateBytes);
  for (const int position : {64, 128, 192}) {
    state.layer(0)[3] = static_cast<float>(position);
    state.snapshot(position);
  }
  EXPECT_EQ(state.bytes(), 3 * kStateBytes) << "the oldest went";
  EXPECT_EQ(state.rewind(193), 1);
  EXPECT_EQ(state.layer(0)[3], 192);
  EXPECT_EQ(state.rewind(140), 4) << "farther than the reach";
  EXPECT_EQ(state.layer(0)[3], 0);
  EXPECT_EQ(state.rewind(128), 0);
  EXPECT_EQ(state.layer(0)[3], 128);
  EXPECT_EQ(state.rewind(65), 4) << "that snapshot was dropped";
}

TEST(ConvState, WithoutConvolutionsThereIsNothingToDo) {
  ConvState state(KvLayout({{2, 8, 0, 0}}, 16), 1 << 20);
  EXPECT_EQ(state.reach(), 0);
  EXPECT_EQ(state.rewind(50), 0);
  EXPECT_EQ(state.bytes(), 0);
}

}  // namespace
}  // namespace fieldprint
