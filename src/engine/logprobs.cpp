#include "engine/logprobs.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <new>

#include "base/math.h"

namespace fieldprint {
namespace {

// e^x for x <= 0, relative error < 1e-15; below -700 it is 0. As exp_f64, but without a branch or a division, so that
// compilers make vectors of it: a vocabulary has 50,000 logits.
inline double exp_negative(double x) {
  constexpr double kRound = 0x1.8p52;  // adding it rounds to a whole number, which then stands in the lowest bits
  constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  const double bounded = x < -700.0 ? -700.0 : x;
  const double shifted = bounded * 1.44269504088896340736 + kRound, n = shifted - kRound;
  const double r = (bounded - n * kLn2High) - n * kLn2Low;
  double p = 1.0 / 479001600;  // 1/12!, then Horner: |r| <= 0.35, the rest is below 2e-16
  p = p * r + 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const auto scale = std::bit_cast<double>((std::bit_cast<uint64_t>(shifted) << 52) + 0x3ff0000000000000u);
  return x < -700.0 ? 0.0 : p * scale;
}

}  // namespace

double log_sum_exp_f64(std::span<const float> logits, double temperature) {
  constexpr size_t kSums = 8;
  const double inverse = 1 / temperature;
  const auto top = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  std::array<double, kSums> sums{};
  size_t i = 0;
  for (; i + kSums <= logits.size(); i += kSums) {
    for (size_t s = 0; s < kSums; ++s) sums[s] += exp_negative((static_cast<double>(logits[i + s]) - top) * inverse);
  }
  for (size_t s = 0; i < logits.size(); ++i, ++s)
    sums[s] += exp_negative((static_cast<double>(logits[i]) - top) * inverse);
  const double sum = ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
  return log_f64(sum) + top * inverse;
}

TokenLogprobs token_logprobs(std::span<const float> logits, TokenId token, int top, double temperature) {
  const double sum = log_sum_exp_f64(logits, temperature), inverse = 1 / temperature;
  const auto logprob = [&](TokenId t) { return static_cast<double>(logits[static_cast<size_t>(t)]) * inverse - sum; };
  TokenLogprobs result{token, logprob(token)};
  const float own = logits[static_cast<size_t>(token)];
  const auto before = logits.begin() + token;
  result.rank = 1 + static_cast<int>(std::count_if(logits.begin(), logits.end(), [&](float l) { return l > own; }) +
                                     std::count(logits.begin(), before, own));
  const auto better = [&](TokenId a, TokenId b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const auto count = std::min(static_cast<size_t>(std::max(top, 0)), logits.size());
  std::vector<TokenId> best;  // a heap whose front is the worst of them
  for (size_t i = 0; i < logits.size() && count > 0; ++i) {
    const auto t = static_cast<TokenId>(i);
    if (best.size() == count && !better(t, best.front())) continue;
    if (best.size() == count) {
      std::pop_heap(best.begin(), best.end(), better);
      best.pop_back();
    }
    best.push_back(t);
    std::push_heap(best.begin(), best.end(), better);
  }
  std::sort(best.begin(), best.end(), better);
  for (const TokenId t : best) result.top.emplace_back(t, logprob(t));
  return result;
}

void append_logprobs(ThreadPool& pool, std::span<const float> rows, size_t vocabulary, std::span<const TokenId> targets,
                     int top, double temperature, std::vector<TokenLogprobs>& to) {
  const size_t first = to.size();
  to.resize(first + targets.size());
  std::atomic<bool> failed = false;
  pool.run(static_cast<int64_t>(targets.size()), [&](int64_t i, int) {
    const auto row = static_cast<size_t>(i);
    try {
      to[first + row] = token_logprobs(rows.subspan(row * vocabulary, vocabulary), targets[row], top, temperature);
    } catch (...) {  // no memory
      failed = true;
    }
  });
  if (failed) throw std::bad_alloc();
}

}  // namespace fieldprint
