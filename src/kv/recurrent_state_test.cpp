#include "kv/recurrent_state.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace fieldprint {
namespace {

const KvLayerShape kConvolution{.state_floats = 2 * 4, .state_replay = 2};
const KvLayerShape kDeltaNet{.state_floats = 6, .state_replay = kNoReplay};
const KvLayout kConvolutions({kConvolution, {2, 8}, kConvolution}, 16);
constexpr int64_t kStateBytes = 2 * 2 * 4 * sizeof(float);

TEST(RecurrentState, OfConvolutionsReplaysItsReachFromZero) {
  RecurrentState state(kConvolutions, 0);
  EXPECT_EQ(state.reach(), 4);
  state.layer(2)[0] = 5;
  EXPECT_EQ(state.rewind(100), 4);
  EXPECT_EQ(state.layer(2)[0], 0);
  EXPECT_EQ(state.rewind(3), 3) << "there are no more";
  EXPECT_EQ(state.rewind(0), 0);
}

TEST(RecurrentState, ASnapshotShortensTheReplay) {
  RecurrentState state(kConvolutions, 2 * kStateBytes);
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

// A replay in chunks passes positions at which the state of zero has not been replaced yet.
TEST(RecurrentState, WithinAReplayFromZeroNothingIsKept) {
  RecurrentState state(kConvolutions, 8 * kStateBytes);
  EXPECT_EQ(state.rewind(100), 4);
  state.snapshot(98);
  EXPECT_EQ(state.rewind(99), 4) << "not 1";
  state.snapshot(99);
  EXPECT_EQ(state.rewind(99), 0) << "it is right there";
  EXPECT_EQ(state.rewind(3), 3);
  state.snapshot(2);
  EXPECT_EQ(state.rewind(3), 1) << "from the first token on it is right everywhere";
}

TEST(RecurrentState, WithoutAnyThereIsNothingToDo) {
  RecurrentState state(KvLayout({{2, 8}}, 16), 1 << 20);
  EXPECT_EQ(state.rewind(50), 0);
  EXPECT_EQ(state.bytes(), 0);
}

// A layer whose state depends on every token, beside one that a replay would rebuild: the sums of an invented net.
class DeltaNet {
 public:
  explicit DeltaNet(int64_t max_snapshot_bytes)
      : state_(KvLayout({kConvolution, {2, 8}, kDeltaNet}, 16), max_snapshot_bytes) {}

  // Tokens from `begin` on, in chunks, with a snapshot at the end of each.
  void feed(int begin, int end, int chunk) {
    for (int p = begin; p < end; ++p) {
      float* s = state_.layer(2);
      for (int i = 0; i < 6; ++i) s[i] = 0.75f * s[i] + static_cast<float>((p * 37 + i * 11) % 101);
      float* u = state_.layer(0);
      for (int i = 0; i < 4; ++i) u[i] = u[4 + i], u[4 + i] = s[i];
      if ((p + 1 - begin) % chunk == 0 || p + 1 == end) state_.snapshot(p + 1);
    }
  }
  std::vector<float> values() const { return {state_.values().begin(), state_.values().end()}; }
  RecurrentState& state() { return state_; }

 private:
  RecurrentState state_;
};

constexpr int64_t kNetBytes = (8 + 6) * sizeof(float);

TEST(RecurrentState, ThatNoReplayRebuildsGoesBackToASnapshotExactly) {
  Rng random(5);
  for (const int64_t room : {int64_t{0}, kNetBytes, 5 * kNetBytes, 100 * kNetBytes}) {
    DeltaNet net(room);
    EXPECT_EQ(net.state().reach(), kNoReplay);
    int at = 0;
    for (int i = 0; i < 60; ++i) {
      const int end = at + 1 + static_cast<int>(random.below(200));
      net.feed(at, end, 32);
      DeltaNet straight(0);
      straight.feed(0, end, end);
      EXPECT_EQ(net.values(), straight.values()) << end;
      at = static_cast<int>(random.below(end + 1));
      const int replay = net.state().rewind(at);
      EXPECT_TRUE(room > 0 || replay == at);
      EXPECT_LE(net.state().bytes(), room + kNetBytes);
      net.feed(at - replay, at, 7);
    }
  }
}

TEST(RecurrentState, AStepBackReplaysAboutAsMuchAsItIsFar) {
  constexpr int kEnd = 20000, kSnapshots = 16;
  for (const int back : {1, 10, 100, 1000, 5000, 10000}) {
    DeltaNet net(kSnapshots * kNetBytes);
    net.feed(0, kEnd, 32);
    EXPECT_LE(net.state().rewind(kEnd - back), back + 64) << back;
  }
}

TEST(RecurrentState, ForksShareSnapshotsAndGoTheirOwnWays) {
  DeltaNet net(4 * kNetBytes);
  net.feed(0, 100, 10);
  DeltaNet fork = net;
  net.feed(100, 200, 10);
  EXPECT_EQ(fork.state().rewind(95), 5) << "its snapshot at 90 is still that of 90";
  fork.feed(90, 95, 5);
  DeltaNet straight(0);
  straight.feed(0, 95, 95);
  EXPECT_EQ(fork.values(), straight.values());
}

TEST(RecurrentState, RestoredIsAsIfItHadBeenComputed) {
  DeltaNet net(0), other(4 * kNetBytes);
  net.feed(0, 77, 77);
  other.feed(0, 30, 10);
  other.state().restore(77, net.state().values());
  EXPECT_EQ(other.state().rewind(77), 0);
  EXPECT_EQ(other.values(), net.values());
  EXPECT_EQ(other.state().rewind(50), 50) << "what it had before is gone";
}

}  // namespace
}  // namespace fieldprint
