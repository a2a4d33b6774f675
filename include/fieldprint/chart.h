// Charts and maps as SVG text: for reports that have to be read without anything else.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

// One line, in the order of x; `low` and `high` are the edges of a band around it, or empty. Where `middle` is NaN the
// line has a gap.
struct ChartLine {
  std::string name;
  std::vector<double> x, middle, low, high;
  bool dashed = false;  // so that one below is seen too
};

enum class ChartScale { kLinear, kLogarithmic };  // logarithmic: of base 10, values above 0 alone

struct ChartAxis {
  std::string title;
  ChartScale scale = ChartScale::kLinear;
  // The range shown; where low = high that of the lines.
  double low = 0, high = 0;
};

struct Chart {
  std::string title;
  ChartAxis x, y;
  std::vector<ChartLine> lines;
};

// With axes, grid and legend, 760 x 420 pixels. Equal charts give equal bytes.
std::string line_chart(const Chart& chart);

// weights [rows, columns], each 0 to 1: a cell a weight, white to dark blue. The square root opens up small shares.
struct WeightMap {
  std::string title;
  int rows = 0, columns = 0;
  std::span<const float> weights;
};

// The maps side by side, at most `columns` in a row.
std::string weight_maps(std::string_view title, std::span<const WeightMap> maps, int columns);

std::string chart_colour(size_t index);          // "#rrggbb", told apart by most; repeats after ten
std::string xml_escaped(std::string_view text);  // for text and attributes

}  // namespace fieldprint
