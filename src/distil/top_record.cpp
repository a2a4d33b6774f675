#include "distil/top_record.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/float16.h"

namespace fieldprint {
namespace {

float as_half(double value) { return half_to_float(float_to_half(static_cast<float>(value))); }

}  // namespace

void add_top(TopRecord& to, std::span<const std::pair<TokenId, double>> top) {
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  double sum = 0;
  for (int i = 0; i < to.k; ++i) {
    const bool there = static_cast<size_t>(i) < top.size();
    // A server may round above 0; a probability is at most 1.
    const double logp = there ? std::min(0.0, top[static_cast<size_t>(i)].second) : 0;
    to.ids.push_back(there ? top[static_cast<size_t>(i)].first : kNoToken);
    to.logp.push_back(there ? as_half(logp) : kNothing);
    if (there) sum += std::exp(logp);
  }
  to.tail.push_back(sum < 1 ? as_half(std::log1p(-sum)) : kNothing);
}

}  // namespace fieldprint
