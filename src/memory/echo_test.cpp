#include "memory/echo.h"

#include <gtest/gtest.h>

namespace fieldprint::memory {
namespace {

TEST(Echo, KnowsWhatWasShownInWhateverItIsWrapped) {
  EchoFilter filter;
  const std::string text = "The staging cluster is called \"heron\"; it is rebuilt every Tuesday at 06:00.";
  filter.shown(text);
  EXPECT_TRUE(filter.echoes(text));
  EXPECT_TRUE(filter.echoes("I recall: " + text + "\n"));
  EXPECT_TRUE(
      filter.echoes(R"({"text":"The staging cluster is called \"heron\"; it is rebuilt every Tuesday at 06:00."})"));
  EXPECT_TRUE(filter.echoes("THE STAGING CLUSTER IS CALLED HERON"));
  EXPECT_FALSE(filter.echoes("The production cluster is called osprey and nobody rebuilds it on Tuesdays."));
  EXPECT_FALSE(filter.echoes(""));
  EXPECT_FALSE(filter.echoes("..."));
}

TEST(Echo, AShortTextEchoesOnlyItself) {
  EchoFilter filter;
  filter.shown("blue");
  EXPECT_TRUE(filter.echoes("Blue!"));
  EXPECT_FALSE(filter.echoes("yes"));
  filter.shown("yes, the answer to all of these questions is what was said before");
  EXPECT_FALSE(filter.echoes("yes"));
}

}  // namespace
}  // namespace fieldprint::memory
