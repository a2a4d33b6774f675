#include "memory/monitor.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {

double length(std::span<const float> x) {
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

// The inverse of the normal distribution function, by bisection: it is asked for once a boundary.
double normal_score(double share) {
  double low = -9, high = 9;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < share ? low : high) = middle;
  }
  return (low + high) / 2;
}

std::vector<double> probabilities(std::span<const float> logits) {
  const double most = *std::ranges::max_element(logits);
  std::vector<double> p(logits.size());
  for (size_t i = 0; i < p.size(); ++i) p[i] = std::exp(logits[i] - most);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

}  // namespace

double sphere_distance(std::span<const float> x, std::span<const float> p) {
  assert(x.size() == p.size());
  const double lengths = length(x) * length(p);
  if (lengths == 0) return 0;
  double inner = 0;
  for (size_t i = 0; i < x.size(); ++i) inner += static_cast<double>(x[i]) * p[i];
  return std::acos(std::clamp(inner / lengths, -1.0, 1.0));
}

std::vector<double> log_map(std::span<const float> x, std::span<const float> p) {
  const double e = sphere_distance(x, p), lx = length(x), lp = length(p);
  std::vector<double> v(x.size());
  if (lx == 0 || lp == 0 || std::sin(e) == 0) return v;  // there already, or no one way back
  for (size_t i = 0; i < v.size(); ++i) v[i] = e / std::sin(e) * (p[i] / lp - std::cos(e) * x[i] / lx);
  return v;
}

double js_divergence(std::span<const float> logits_a, std::span<const float> logits_b) {
  assert(logits_a.size() == logits_b.size() && !logits_a.empty());
  const auto a = probabilities(logits_a), b = probabilities(logits_b);
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double middle = (a[i] + b[i]) / 2;
    if (a[i] > 0) sum += a[i] * std::log2(a[i] / middle) / 2;
    if (b[i] > 0) sum += b[i] * std::log2(b[i] / middle) / 2;
  }
  return std::max(0.0, sum);
}

std::optional<Reversion> fit_reversion(std::span<const double> series) {
  if (series.size() < 10) return std::nullopt;
  const auto n = static_cast<double>(series.size() - 1);
  double sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (size_t i = 0; i + 1 < series.size(); ++i) {
    sx += series[i];
    sy += series[i + 1];
    sxx += series[i] * series[i];
    sxy += series[i] * series[i + 1];
  }
  const double spread = sxx - sx * sx / n;
  if (spread <= 0) return std::nullopt;
  const double slope = (sxy - sx * sy / n) / spread;
  if (slope <= 0 || slope >= 1) return std::nullopt;
  const double start = (sy - slope * sx) / n;
  double rest = 0;
  for (size_t i = 0; i + 1 < series.size(); ++i) {
    const double error = series[i + 1] - start - slope * series[i];
    rest += error * error;
  }
  Reversion fit;
  fit.kappa = -std::log(slope);
  fit.mean = start / (1 - slope);
  fit.sigma = std::sqrt(rest / n * 2 * fit.kappa / (1 - slope * slope));
  return fit;
}

Calibration::Calibration(std::vector<double> distances) : sorted_(std::move(distances)) {
  if (sorted_.size() < 20) throw Error(ErrorKind::kUsage, "a calibration needs at least 20 boundaries of good runs");
  std::ranges::sort(sorted_);
}

double Calibration::quantile(double share) const {
  const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(sorted_.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted_.size() - 1);
  return sorted_[below] + (place - static_cast<double>(below)) * (sorted_[above] - sorted_[below]);
}

double Calibration::score(double distance) const {
  // Ranks from 1/(n+1) to n/(n+1): one beyond all that was seen counts as the last, and no farther.
  const auto below = std::ranges::lower_bound(sorted_, distance) - sorted_.begin();
  const auto upto = std::ranges::upper_bound(sorted_, distance) - sorted_.begin();
  const double rank = std::clamp((static_cast<double>(below + upto) + 1) / 2, 1.0, static_cast<double>(sorted_.size()));
  return normal_score(rank / (static_cast<double>(sorted_.size()) + 1));
}

double cusum_bound(double allowance, double boundaries) {
  double low = 0, high = 100;
  for (int i = 0; i < 100; ++i) {
    const double h = (low + high) / 2, kb = 2 * allowance * (h + 1.166);
    ((std::exp(kb) - kb - 1) / (2 * allowance * allowance) < boundaries ? low : high) = h;
  }
  return high;
}

DriftMonitor::DriftMonitor(Calibration calibration, double false_alarm)
    : calibration_(std::move(calibration)), bound_(cusum_bound(kAllowance, false_alarm)) {}

DriftMonitor::Reading DriftMonitor::observe(double distance) {
  Reading reading;
  reading.distance = distance;
  reading.score = calibration_.score(distance);
  average_ += kSmoothing * (reading.score - average_);
  sum_ = std::max(0.0, sum_ + reading.score - kAllowance);
  reading.average = average_;
  reading.sum = sum_;
  reading.alarm = sum_ > bound_;
  return reading;
}

}  // namespace fieldprint::memory
