// What several runs have in common: the middle of their figures and how far they are apart.
#pragma once

#include <vector>

namespace fieldprint {

// Quantiles, between two values on a straight line (type 7 of Hyndman and Fan 1996). All NaN for no value.
struct Spread {
  double least, q1, median, q3, most;
  int count;
};
Spread spread_of(std::vector<double> values);

// Whether every value of one is beyond every value of the other.
bool apart(const Spread& a, const Spread& b);

// How likely two draws of so many values from one distribution are apart: 2 / (m + n over n).
double chance_apart(int m, int n);

}  // namespace fieldprint
