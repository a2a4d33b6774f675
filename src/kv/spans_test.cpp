#include "kv/spans.h"

#include <gtest/gtest.h>

namespace fieldprint {
namespace {

TEST(Spans, NeighboursOfEqualLabelsAreOne) {
  const SpanLabel user{SpanKind::kUser, "", 0}, tool{SpanKind::kTool, "clock", 0};
  Spans spans;
  EXPECT_EQ(spans.all().size(), 1u);
  EXPECT_EQ(spans.at(100).label, SpanLabel());
  spans.set(0, user);
  spans.set(5, user);
  EXPECT_EQ(spans.all().size(), 1u);
  spans.set(7, tool);
  spans.set(9, user);
  ASSERT_EQ(spans.all().size(), 3u);
  EXPECT_EQ(spans.index(6), 0);
  EXPECT_EQ(spans.index(7), 1);
  EXPECT_EQ(spans.index(8), 1);
  EXPECT_EQ(spans.index(1000), 2);
  EXPECT_EQ(spans.at(7).end, 9);
  spans.truncate(8);
  EXPECT_EQ(spans.all().size(), 2u);
  EXPECT_EQ(spans.at(50).label, tool) << "what follows belongs to the last one";
  spans.set(7, user);
  EXPECT_EQ(spans.all().size(), 1u);
  spans.truncate(0);
  spans.set(0, tool);
  EXPECT_EQ(spans.all().size(), 1u);
  EXPECT_EQ(spans.at(0).label, tool);
}

}  // namespace
}  // namespace fieldprint
