// Probabilities out of logits, in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

// log of the sum of e^v
inline double log_sum_exp(std::span<const float> logits) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float v : logits) sum += static_cast<double>(std::exp(v - top));
  return std::log(sum) + static_cast<double>(top);
}

// -log softmax(logits)[target]
inline double negative_log_likelihood(std::span<const float> logits, TokenId target) {
  return log_sum_exp(logits) - static_cast<double>(logits[static_cast<size_t>(target)]);
}

}  // namespace fieldprint
