// Whether an agent's state drifts away from what it was told at the start. It only advises: an alarm may suspend, it
// never raises anything, and nothing of it gets into the memory but the alarm itself.
//
// At each commit boundary x is the model's hidden state, p the state at the last token of the first anchors, both
// scaled to length 1. On the sphere, e = arccos<x, p> is how far they are apart, and v = (e / sin e)(p - cos e x)
// points the way back (the log map). In many dimensions e lies close to pi/2 whatever happens, so no threshold is known
// beforehand: it is calibrated on runs that are known to be good.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace fieldprint::memory {

// arccos of the inner product of the two, each scaled to length 1; 0 where one is zero. [radians]
double sphere_distance(std::span<const float> x, std::span<const float> p);
// The log map of p at x, for vectors of any length (they are scaled first). Its length is sphere_distance(x, p).
std::vector<double> log_map(std::span<const float> x, std::span<const float> p);

// Jensen-Shannon divergence of two distributions given by their logits, in bits: 0 where they are equal, at most 1.
double js_divergence(std::span<const float> logits_a, std::span<const float> logits_b);

// The mean-reverting process de = kappa (mean - e) dt + sigma dW, fitted to a series one boundary apart by regression
// of each value on the one before (the exact discretisation of Ornstein-Uhlenbeck). None where the series does not
// revert.
struct Reversion {
  double kappa = 0, sigma = 0, mean = 0;
  bool holds() const { return 2 * kappa > sigma * sigma; }  // the test of the design, reported and no more
};
std::optional<Reversion> fit_reversion(std::span<const double> series);

// What good runs look like.
class Calibration {
 public:
  explicit Calibration(std::vector<double> distances);  // at least 20; Error kUsage
  size_t size() const { return sorted_.size(); }
  double quantile(double share) const;  // share in [0, 1]
  // The normal score of a distance: how far out it is among the good ones, whatever their distribution.
  double score(double distance) const;

 private:
  std::vector<double> sorted_;
};

// The bound of a one-sided CUSUM with this allowance, on standard normal scores, whose mean time between false alarms
// is `boundaries` (Siegmund 1985: (exp(2 k b) - 2 k b - 1) / (2 k^2) with b = h + 1.166).
double cusum_bound(double allowance, double boundaries);

class DriftMonitor {
 public:
  static constexpr double kAllowance = 0.5, kSmoothing = 0.05;

  // `false_alarm`: boundaries between two false alarms, on average.
  explicit DriftMonitor(Calibration calibration, double false_alarm = 1e5);

  struct Reading {
    double distance = 0, score = 0;
    double average = 0;  // exponentially weighted, of scores
    double sum = 0;      // CUSUM
    bool alarm = false;
  };
  Reading observe(double distance);
  double bound() const { return bound_; }

 private:
  Calibration calibration_;
  double bound_, average_ = 0, sum_ = 0;
};

}  // namespace fieldprint::memory
