// What a run may cost: tokens, money and time.
#pragma once

#include <cstdint>
#include <optional>

#include "fieldprint/distil.h"

namespace fieldprint {

// Not thread-safe.
class Budget {
 public:
  explicit Budget(const DistilOptions& options) : options_(options) {}

  void add(int64_t prompt_tokens, int64_t completion_tokens) {
    ++answers_;
    in_ += prompt_tokens;
    out_ += completion_tokens;
  }

  // What forbids one more request, with so many under way that will cost as much as the mean answer; nullopt: nothing.
  std::optional<DistilEnd> spent(double seconds, int64_t in_flight) const {
    const double share = answers_ > 0 ? 1 + static_cast<double>(in_flight) / static_cast<double>(answers_) : 1;
    if (options_.budget_tokens > 0 &&
        static_cast<double>(in_ + out_) * share >= static_cast<double>(options_.budget_tokens))
      return DistilEnd::kTokens;
    if (options_.budget_money > 0 && money() * share >= options_.budget_money) return DistilEnd::kMoney;
    if (options_.budget_seconds > 0 && seconds >= options_.budget_seconds) return DistilEnd::kTime;
    return std::nullopt;
  }

  double money() const {
    return (static_cast<double>(in_) * options_.price_in + static_cast<double>(out_) * options_.price_out) / 1e6;
  }

 private:
  const DistilOptions& options_;
  int64_t answers_ = 0, in_ = 0, out_ = 0;
};

}  // namespace fieldprint
