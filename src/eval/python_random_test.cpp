#include "eval/python_random.h"

#include <gtest/gtest.h>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using Places = std::vector<size_t>;

// What CPython 3.11.7 draws: r = random.Random(1234); r.sample(range(1119), 5) and so on.
TEST(PythonRandom, DrawsWhatPythonDraws) {
  PythonRandom random(1234);
  EXPECT_EQ(random.sample(1119, 5), (Places{902, 239, 15, 185, 71}));
  EXPECT_EQ(random.sample(1119, 6), (Places{171, 201, 726, 484, 35, 63}));
  EXPECT_EQ(random.sample(20, 3), (Places{0, 11, 15}));
  EXPECT_EQ(random.sample(30, 10), (Places{19, 14, 4, 2, 5, 22, 3, 0, 16, 15}));
  EXPECT_EQ(random.sample(size_t{1} << 33, 2), (Places{1073003404, 8213330997}));
  EXPECT_EQ(PythonRandom(0).sample(100000, 4), (Places{50494, 99346, 55125, 5306}));
  EXPECT_EQ(PythonRandom(uint64_t{1} << 40).sample(100000, 4), (Places{13584, 46297, 87891, 8606}));
  EXPECT_THROW(random.sample(3, 4), Error);
}

}  // namespace
}  // namespace fieldprint
