// The report of a comparison: tables, sentences that its numbers make, curves. Equal runs give equal bytes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fieldprint/lab.h"
#include "lab/page.h"
#include "lab/spread.h"

namespace fieldprint {

// All seeds of one kind at one learning rate.
struct RunGroup {
  std::string kind;
  float learning_rate = 0;
  std::vector<const LabRun*> runs;

  int reached() const;   // runs that came above kLabThreshold
  Spread steps() const;  // to it; infinite where a run did not
  Spread seconds_to_threshold() const;
  Spread step_ms() const;
  Spread loss() const, accuracy() const, train_loss() const;
};

// In the order of the runs.
std::vector<RunGroup> groups_of(std::span<const LabRun> runs);
// Of each kind the learning rate at which most runs reached the threshold, then in the fewest steps (the median), then
// with the least loss.
std::vector<RunGroup> best_groups(std::span<const LabRun> runs);

// What `other` loses and wins against `base`, as sentences.
struct Verdict {
  std::vector<std::string> loses, wins, even;
};
Verdict verdict_of(const RunGroup& other, const RunGroup& base);

struct ReportPicture {
  std::string file, about, svg;
};
std::vector<ReportPicture> curves_of(std::span<const LabRun> runs);

// `maps`: of the trained heads.
Page comparison_page(const LabComparison& comparison, std::span<const LabRun> runs,
                     std::span<const ReportPicture> curves, std::span<const ReportPicture> maps);

}  // namespace fieldprint
