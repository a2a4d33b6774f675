#include "ops/tape.h"

#include <gtest/gtest.h>

#include <vector>

namespace fieldprint {
namespace {

// A step of a few values, some of which a backward wants: they are kept, the memory of the others goes round.
int slots_after_step(TensorArena& arena, Tape<float>& tape) {
  tape.begin();
  for (int layer = 0; layer < 8; ++layer) {
    Tensor kept = arena.make(16, 32, sizeof(float)), passing = arena.make(16, 64, sizeof(float));
    arena.slot(kept).quantized.require(1000);
    arena.slot(passing).quantized.require(1000);
    tape.keep(kept);
  }
  tape.discard();
  return arena.slots();
}

TEST(Tape, StepsTakeNoMoreMemoryThanTheFirst) {
  TensorArena arena;
  Tape<float> tape(arena);
  slots_after_step(arena, tape);
  const int slots = slots_after_step(arena, tape);
  for (int step = 0; step < 20; ++step) EXPECT_EQ(slots_after_step(arena, tape), slots);
}

TEST(Tape, AValueThatIsKeptStaysWhenItsHandleIsGone) {
  TensorArena arena;
  Tape<float> tape(arena);
  tape.begin();
  Node node;
  {
    Tensor x = arena.make(1, 4, sizeof(float));
    std::fill_n(arena.data<float>(x), 4, 7.0f);
    node = tape.keep(x);
  }
  for (int i = 0; i < 4; ++i) {
    Tensor other = arena.make(1, 4, sizeof(float));
    std::fill_n(arena.data<float>(other), 4, 1.0f);
  }
  EXPECT_EQ(std::vector<float>(tape.values(node), tape.values(node) + 4), std::vector<float>(4, 7.0f));
  tape.discard();
}

// Gradients by hand, of y = w, y *= 3.
TEST(Tape, PlaysFromTheLastToTheFirstAndOnlyWhatIsReached) {
  TensorArena arena;
  Tape<double> tape(arena);
  double by_weight = 0;
  const float weight = 2;
  tape.train(&weight, 1, &by_weight);
  const Weight w{"w", find_quant_type("F32"), reinterpret_cast<const std::byte*>(&weight), 1, 1};
  EXPECT_TRUE(tape.trains(w));
  tape.begin();
  Tensor frozen = arena.make(1, 1, sizeof(double)), y = arena.make(1, 1, sizeof(double));
  EXPECT_FALSE(tape.reaches({&frozen}));
  EXPECT_TRUE(tape.reaches({&frozen}, {&w}));
  std::vector<int> played;
  tape.record(y, [&, node = tape.node(y)] {  // y = w
    played.push_back(1);
    *tape.gradient(w) += *tape.gradient(node);
  });
  tape.record(y, [&, node = tape.node(y)] {  // y *= 3, in place
    played.push_back(2);
    *tape.gradient(node) *= 3;
  });
  EXPECT_TRUE(tape.reaches({&y}));
  tape.backward(y);
  EXPECT_EQ(played, (std::vector<int>{2, 1}));
  EXPECT_EQ(by_weight, 3);
  tape.begin();
  EXPECT_FALSE(tape.reaches({&y})) << "all is forgotten";
  tape.discard();
}

}  // namespace
}  // namespace fieldprint
