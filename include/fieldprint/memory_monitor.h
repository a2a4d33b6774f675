// Whether a run drifts away from what it was told at the start: computed beside it, from an export of its commits. It
// only advises (src/memory/monitor.h has the formulas).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/progress.h"

namespace fieldprint {

struct MonitorPoint {
  int64_t index = 0;  // of the COMMIT event
  std::string session;
  int tokens = 0;                          // that the answer had read and said
  double distance = 0;                     // of its state from that behind the anchors, on the sphere [radians]
  double score = 0, average = 0, sum = 0;  // normal score, its weighted average, CUSUM; 0 without a calibration
  bool alarm = false;
  std::optional<double> divergence = {};  // of its next token with and without the anchors [bits]; on a sample
};

struct MonitorReport {
  std::vector<MonitorPoint> points;
  double quantiles[5] = {};  // of the distances: 0.05, 0.25, 0.5, 0.75, 0.95
  double bound = 0;          // of the CUSUM; 0 without a calibration
  double false_alarms = 0;   // boundaries between two false alarms, on average, as the bound is set
  // The mean-reverting process fitted to the distances, where they revert: kappa, sigma, mean, and whether
  // 2 kappa > sigma^2.
  std::optional<double> kappa = {}, sigma = {}, mean = {};
  bool reverts = false;
};

struct MonitorOptions {
  std::vector<double> calibration = {};  // distances of runs that are known to be good, at least 20; none: no alarms
  double false_alarms = 1e5;
  double sample = 0.01;  // the share of boundaries whose divergence is measured
};

// Boundaries of answers that begin with anchors. Throws Error kNotFound, kBadFile, kUsage; kBadInput where the model is
// another than the one that ran.
MonitorReport monitor_memory(const std::string& directory, std::shared_ptr<const Model> model,
                             const MonitorOptions& options = {}, const Progress& progress = {});

}  // namespace fieldprint
