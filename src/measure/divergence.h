// Statistics of a model beside a base, gathered position by position.
#pragma once

#include <span>
#include <vector>

#include "fieldprint/perplexity.h"
#include "measure/kl_base.h"

namespace fieldprint {

class DivergenceSum {
 public:
  // `logits` [vocabulary] of the model at the base's position; `nll` of the token that follows.
  void add(const KlPosition& base, std::span<const float> logits, double nll);
  Divergence means() const;   // without the percentiles, which take a sort
  Divergence result() const;  // after at least one position

 private:
  struct Moments {
    double sum = 0, squares = 0;
    void add(double value) { sum += value, squares += value * value; }
  };
  double mean(const Moments& moments) const;
  double error(const Moments& moments) const;  // of the mean

  std::vector<double> divergences_;
  Moments divergence_, delta_p_, delta_p_squared_, log_ratio_;
  double base_nll_ = 0;
  int64_t same_top_ = 0;
};

}  // namespace fieldprint
