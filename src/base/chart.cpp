#include "fieldprint/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace fieldprint {
namespace {

constexpr double kWidth = 760, kHeight = 420, kLeft = 70, kRight = 18, kTop = 42, kBottom = 54;
constexpr double kLegendLine = 18;
constexpr const char* kDashes = " stroke-dasharray=\"6 4\"";

// Where a value lies on an axis, 0 to 1, and which values are marked.
class Ruler {
 public:
  Ruler(const ChartAxis& axis, double least, double most) : logarithmic_(axis.scale == ChartScale::kLogarithmic) {
    low_ = axis.low < axis.high ? place(axis.low) : place(least);
    high_ = axis.low < axis.high ? place(axis.high) : place(most);
    if (!(low_ < high_)) low_ -= 0.5, high_ = low_ + 1;
    if (logarithmic_ && high_ - low_ < 1) high_ = low_ + 1;
    mark();
    if (axis.low < axis.high || logarithmic_) return;
    low_ = std::min(low_, std::floor(low_ / step_) * step_);  // the range ends at marks
    high_ = std::ceil(high_ / step_) * step_;
    mark();
  }

  bool shows(double value) const { return std::isfinite(value) && (!logarithmic_ || value > 0); }
  double at(double value) const { return std::clamp((place(value) - low_) / (high_ - low_), 0.0, 1.0); }
  const std::vector<double>& marks() const { return marks_; }

 private:
  double place(double value) const { return logarithmic_ ? std::log10(value) : value; }

  // Steps of 1, 2 or 5 times a power of ten.
  void mark() {
    const double rough = (high_ - low_) / 6, power = std::pow(10, std::floor(std::log10(rough)));
    step_ = power * (rough <= power ? 1 : rough <= 2 * power ? 2 : rough <= 5 * power ? 5 : 10);
    if (logarithmic_) step_ = std::max(1.0, std::round(step_));
    marks_.clear();
    for (double i = std::ceil(low_ / step_ - 1e-9); i * step_ <= high_ + 1e-9 * step_; ++i)
      marks_.push_back(logarithmic_ ? std::pow(10, i * step_) : i * step_);
  }

  bool logarithmic_;
  double low_ = 0, high_ = 1, step_ = 1;
  std::vector<double> marks_;
};

std::string mark_text(double value) {
  if (value != 0 && (std::fabs(value) < 1e-3 || std::fabs(value) >= 1e6)) return fmt::format("{:.0e}", value);
  return fmt::format("{:g}", std::fabs(value) < 1e-12 ? 0.0 : value);
}

std::string svg_start(double width, double height, std::string_view title) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"system-ui,'Helvetica Neue',Arial,sans-serif\" role=\"img\">\n"
      "<title>{2}</title>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
      "<text x=\"16\" y=\"25\" font-size=\"15\" fill=\"#222222\">{2}</text>\n",
      width, height, xml_escaped(title));
}

// The values of all lines that can be shown, so that axes fit them.
struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;

  void add(std::span<const double> values, ChartScale scale) {
    for (const double value : values) {
      if (!std::isfinite(value) || (scale == ChartScale::kLogarithmic && value <= 0)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  Ruler ruler(const ChartAxis& axis) const {
    const bool some = low <= high;
    return {axis, some ? low : 1, some ? high : 2};
  }
};

class ChartWriter {
 public:
  explicit ChartWriter(const Chart& chart) : chart_(chart), x_(range_x()), y_(range_y()) {
    names_ = 0;
    for (const ChartLine& line : chart.lines) names_ = std::max(names_, 7.2 * static_cast<double>(line.name.size()));
    right_ = kWidth - kRight - names_ - 40;
  }

  std::string write() {
    std::string out = svg_start(kWidth, kHeight, chart_.title) + grid();
    for (size_t i = 0; i < chart_.lines.size(); ++i) out += band(chart_.lines[i], chart_colour(i));
    for (size_t i = 0; i < chart_.lines.size(); ++i) out += line(chart_.lines[i], chart_colour(i)) + legend(i);
    return out + "</svg>\n";
  }

 private:
  Ruler range_x() const {
    Range range;
    for (const ChartLine& line : chart_.lines) range.add(line.x, chart_.x.scale);
    return range.ruler(chart_.x);
  }
  Ruler range_y() const {
    Range range;
    for (const ChartLine& line : chart_.lines) {
      for (const auto* values : {&line.middle, &line.low, &line.high}) range.add(*values, chart_.y.scale);
    }
    return range.ruler(chart_.y);
  }

  double at_x(double value) const { return kLeft + x_.at(value) * (right_ - kLeft); }
  double at_y(double value) const { return kHeight - kBottom - y_.at(value) * (kHeight - kBottom - kTop); }

  std::string grid() const {
    std::string out = "<g font-size=\"11\" fill=\"#444444\" stroke-width=\"1\">\n";
    const double bottom = kHeight - kBottom;
    for (const double mark : x_.marks()) {
      out += fmt::format(
          "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"#e6e6e6\"/><text x=\"{0:.1f}\" y=\"{3:.1f}\" "
          "text-anchor=\"middle\">{4}</text>\n",
          at_x(mark), kTop, bottom, bottom + 16, mark_text(mark));
    }
    for (const double mark : y_.marks()) {
      out += fmt::format(
          "<path d=\"M{0:.1f} {1:.1f}H{2:.1f}\" stroke=\"#e6e6e6\"/><text x=\"{3:.1f}\" y=\"{4:.1f}\" "
          "text-anchor=\"end\">{5}</text>\n",
          kLeft, at_y(mark), right_, kLeft - 7, at_y(mark) + 4, mark_text(mark));
    }
    out += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}\" fill=\"none\" stroke=\"#888888\"/>\n"
        "<text x=\"{4:.1f}\" y=\"{5:.1f}\" font-size=\"12\" text-anchor=\"middle\">{6}</text>\n"
        "<text transform=\"translate(18,{7:.1f}) rotate(-90)\" font-size=\"12\" text-anchor=\"middle\">{8}</text>\n",
        kLeft, kTop, bottom, right_, (kLeft + right_) / 2, kHeight - 14, xml_escaped(chart_.x.title),
        (kTop + bottom) / 2, xml_escaped(chart_.y.title));
    return out + "</g>\n";
  }

  bool shows(const ChartLine& line, const std::vector<double>& y, size_t i) const {
    return i < y.size() && x_.shows(line.x[i]) && y_.shows(y[i]);
  }

  std::string band(const ChartLine& line, const std::string& colour) const {
    std::string there, back;
    for (size_t i = 0; i < line.x.size(); ++i) {
      if (!shows(line, line.low, i) || !shows(line, line.high, i)) continue;
      there += fmt::format("{}{:.1f} {:.1f}", there.empty() ? "M" : "L", at_x(line.x[i]), at_y(line.high[i]));
      back = fmt::format("L{:.1f} {:.1f}", at_x(line.x[i]), at_y(line.low[i])) + back;
    }
    if (there.empty()) return {};
    return fmt::format("<path d=\"{}{}Z\" fill=\"{}\" fill-opacity=\"0.16\"/>\n", there, back, colour);
  }

  std::string line(const ChartLine& line, const std::string& colour) const {
    std::string path;
    bool pen = false;
    for (size_t i = 0; i < line.x.size(); ++i) {
      const bool shown = shows(line, line.middle, i);
      if (shown) path += fmt::format("{}{:.1f} {:.1f}", pen ? "L" : "M", at_x(line.x[i]), at_y(line.middle[i]));
      pen = shown;
    }
    return fmt::format(
        "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{}/>\n", path, colour,
        line.dashed ? kDashes : "");
  }

  std::string legend(size_t i) const {
    const double y = kTop + 8 + kLegendLine * static_cast<double>(i), x = right_ + 14;
    return fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}h18\" stroke=\"{2}\" stroke-width=\"3\"{6}/><text x=\"{3:.1f}\" y=\"{4:.1f}\" "
        "font-size=\"12\" fill=\"#222222\">{5}</text>\n",
        x, y, chart_colour(i), x + 24, y + 4, xml_escaped(chart_.lines[i].name), chart_.lines[i].dashed ? kDashes : "");
  }

  const Chart& chart_;
  Ruler x_, y_;
  double names_, right_;
};

constexpr int kShades = 16;  // a path each, so that a map is small

std::string shade(int level) {
  const double x = static_cast<double>(level) / (kShades - 1);
  const auto mix = [x](double from, double to) { return static_cast<int>(std::lround(from + (to - from) * x)); };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(255, 8), mix(255, 48), mix(255, 107));
}

std::string cells(const WeightMap& map) {
  std::string paths[kShades];
  for (int r = 0; r < map.rows; ++r) {
    const auto level = [&](int c) {
      const auto weight = static_cast<double>(map.weights[static_cast<size_t>(r * map.columns + c)]);
      return static_cast<int>(std::lround(std::sqrt(std::clamp(weight, 0.0, 1.0)) * (kShades - 1)));
    };
    for (int c = 0; c < map.columns;) {
      int end = c + 1;
      while (end < map.columns && level(end) == level(c)) ++end;
      paths[level(c)] += fmt::format("M{} {}h{}v1h-{}z", c, r, end - c, end - c);
      c = end;
    }
  }
  std::string out;
  for (int level = 1; level < kShades; ++level)
    if (!paths[level].empty()) out += fmt::format("<path d=\"{}\" fill=\"{}\"/>\n", paths[level], shade(level));
  return out;
}

}  // namespace

std::string line_chart(const Chart& chart) { return ChartWriter(chart).write(); }

std::string weight_maps(std::string_view title, std::span<const WeightMap> maps, int columns) {
  constexpr double kMap = 190, kGap = 18, kName = 22, kFirst = 44;
  const auto count = static_cast<int>(maps.size());
  const int across = std::max(1, std::min(columns, count)), down = (count + across - 1) / across;
  const double width = std::max(16 + across * (kMap + kGap), 32 + 8.4 * static_cast<double>(title.size()));
  std::string out = svg_start(width, kFirst + down * (kMap + kName + kGap), title);
  for (int i = 0; i < count; ++i) {
    const WeightMap& map = maps[static_cast<size_t>(i)];
    const double scale = kMap / std::max({map.rows, map.columns, 1});
    out += fmt::format(
        "<g transform=\"translate({0:.1f},{1:.1f})\"><text y=\"-6\" font-size=\"12\" fill=\"#444444\">{2}</text>"
        "<g transform=\"scale({3:.5f})\" shape-rendering=\"crispEdges\">\n{4}</g>"
        "<rect width=\"{5:.1f}\" height=\"{6:.1f}\" fill=\"none\" stroke=\"#999999\"/></g>\n",
        16 + (i % across) * (kMap + kGap), kFirst + kName - 4 + (i / across) * (kMap + kName + kGap),
        xml_escaped(map.title), scale, cells(map), map.columns * scale, map.rows * scale);
  }
  return out + "</svg>\n";
}

std::string chart_colour(size_t index) {  // Tableau 10
  constexpr const char* kColours[] = {"#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2",
                                      "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#bab0ac"};
  return kColours[index % std::size(kColours)];
}

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

}  // namespace fieldprint
