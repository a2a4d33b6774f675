#include "lab/spread.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fieldprint {

Spread spread_of(std::vector<double> values) {
  if (values.empty()) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {kNone, kNone, kNone, kNone, kNone, 0};
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(place);
    const double low = values[below], high = values[std::min(below + 1, values.size() - 1)];
    // Infinite values stand for "never": nothing lies between one and a number.
    if (low == high || place == std::floor(place)) return low;
    return low + (high - low) * (place - static_cast<double>(below));
  };
  return {values.front(), at(0.25), at(0.5), at(0.75), values.back(), static_cast<int>(values.size())};
}

bool apart(const Spread& a, const Spread& b) { return a.most < b.least || b.most < a.least; }

double chance_apart(int m, int n) {
  double ways = 1;
  for (int i = 1; i <= n; ++i) ways = ways * (m + i) / i;
  return 2 / ways;
}

}  // namespace fieldprint
