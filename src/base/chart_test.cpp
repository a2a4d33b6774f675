#include "fieldprint/chart.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fieldprint {
namespace {

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(Chart, ALineABandAndALegendEach) {
  const Chart chart{"A & B",
                    {"step"},
                    {"loss"},
                    {{"one", {1, 2, 3}, {4, 5, 6}, {3, 4, 5}, {5, 6, 7}}, {"two", {1, 2, 3}, {1, 1, 1}, {}, {}}}};
  const std::string svg = line_chart(chart);
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
  EXPECT_EQ(count(svg, "A &amp; B"), 2u);
  EXPECT_EQ(count(svg, "fill-opacity"), 1u);
  EXPECT_EQ(count(svg, "stroke-width=\"1.8\""), 2u);
  EXPECT_EQ(count(svg, ">one</text>") + count(svg, ">two</text>"), 2u);
  EXPECT_EQ(line_chart(chart), svg);
}

TEST(Chart, WhatCannotBeShownIsAGap) {
  const double none = std::numeric_limits<double>::quiet_NaN(), never = std::numeric_limits<double>::infinity();
  for (const auto scale : {ChartScale::kLinear, ChartScale::kLogarithmic}) {
    const std::string svg =
        line_chart({"t", {"x", scale}, {"y", scale}, {{"a", {1, 10, 100, 1000}, {1, none, never, 3}, {}, {}}}});
    EXPECT_EQ(count(svg, "nan") + count(svg, "inf"), 0u);
  }
  for (const auto& values : {std::vector<double>{}, {0}, {none}, {5, 5}}) {
    const std::string svg =
        line_chart({"t", {"x"}, {"y"}, {{"a", std::vector<double>(values.size(), 1), values, {}, {}}}});
    EXPECT_EQ(count(svg, "nan") + count(svg, "inf"), 0u);
  }
}

TEST(Chart, AxesAreMarkedAtRoundNumbers) {
  const std::string svg =
      line_chart({"t", {"x"}, {.title = "y", .low = 0, .high = 1}, {{"a", {0, 500}, {0.2, 0.9}, {}, {}}}});
  for (const char* mark : {">0</text>", ">100</text>", ">500</text>", ">0.2</text>", ">1</text>"})
    EXPECT_GE(count(svg, mark), 1u) << mark;
  const std::string log =
      line_chart({"t", {"n", ChartScale::kLogarithmic}, {"y"}, {{"a", {64, 65536}, {0, 1}, {}, {}}}});
  for (const char* mark : {">100</text>", ">1000</text>", ">10000</text>"}) EXPECT_EQ(count(log, mark), 1u) << mark;
}

TEST(Chart, MapsJoinEqualCells) {
  const std::vector<float> weights = {1, 0, 0.5f, 0.5f};
  const WeightMap map{"head 0", 2, 2, weights};
  const std::string svg = weight_maps("m", {&map, 1}, 4);
  EXPECT_EQ(count(svg, "M0 0h1v1h-1z"), 1u);
  EXPECT_EQ(count(svg, "M0 1h2v1h-2z"), 1u);
}

}  // namespace
}  // namespace fieldprint
