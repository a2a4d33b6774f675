#include "engine/stop_strings.h"

#include <gtest/gtest.h>

namespace fieldprint {
namespace {

// Everything that comes out when `text` is pushed in pieces of `size`.
std::string through(const std::vector<std::string>& stops, std::string_view text, size_t size, bool* met = nullptr) {
  StopStrings s(stops);
  std::string out;
  for (size_t i = 0; i < text.size() && !s.met(); i += size) out += s.push(text.substr(i, size));
  if (met != nullptr) *met = s.met();
  if (!s.met()) out += s.rest();
  return out;
}

TEST(StopStrings, CutBeforeTheFirstForAnyPieces) {
  for (size_t size = 1; size < 12; ++size) {
    bool met = false;
    EXPECT_EQ(through({"END", "\n\n"}, "abc ENN EN\nEND more", size, &met), "abc ENN EN\n");
    EXPECT_TRUE(met);
    EXPECT_EQ(through({"aab"}, "aaaaab", size), "aaa") << "a prefix inside a prefix";
    EXPECT_EQ(through({"xyz"}, "xyxyx", size, &met), "xyxyx") << "what was held back comes at the end";
    EXPECT_FALSE(met);
    EXPECT_EQ(through({""}, "text", size), "text");
    EXPECT_EQ(through({}, "text", size), "text");
  }
}

TEST(StopStrings, SaysWhichOneWasMet) {
  StopStrings s({"yz", "END", "xyz"});
  s.push("abc E");
  EXPECT_EQ(s.which(), "");
  s.push("xxyz END");
  EXPECT_EQ(s.which(), "xyz") << "the one that begins first";
}

TEST(StopStrings, NothingThatMayBecomeAStopGetsOut) {
  StopStrings s({"STOP"});
  EXPECT_EQ(s.push("one ST"), "one ");
  EXPECT_EQ(s.push("O"), "");
  EXPECT_EQ(s.push("x"), "STOx");
}

TEST(StopStrings, NamesOfControlTokensStopWithoutBeingShown) {
  StopStrings stops({"<|sep|>", "a<|x|>b"});
  EXPECT_EQ(stops.push("Hello a"), "Hello ");
  EXPECT_EQ(stops.push("<|x|>", false), "");
  EXPECT_EQ(stops.push("c"), "ac") << "the name in between is not text";
  EXPECT_EQ(stops.push("<|other|>", false), "");
  EXPECT_EQ(stops.push("d"), "d");
  EXPECT_FALSE(stops.met());
  EXPECT_EQ(stops.push("e<|s"), "e");
  EXPECT_EQ(stops.push("ep|>", false), "") << "written by letters in part";
  EXPECT_TRUE(stops.met());
  EXPECT_EQ(StopStrings({}).push("<|sep|>", false), "");
}

}  // namespace
}  // namespace fieldprint
