// Runs as text: JSON to be read again, CSV and JSON lines for other programs.
#pragma once

#include <span>
#include <string>

#include "fieldprint/lab.h"

namespace fieldprint {

// "gram-lr0.003-seed1-1f09a2c4": the last part is of all settings, so that no two runs share a name.
std::string run_name(const LabSettings& settings);

std::string run_json(const LabRun& run);
LabRun parse_run(const std::string& text, const std::string& where);  // throws Error kBadFile
double short_number(float value);  // the one with the fewest digits that is this float: 0.003, not 0.00300000003

bool same_settings(const LabSettings& a, const LabSettings& b);

// One row a step and run.
std::string steps_csv(std::span<const LabRun> runs);
std::string steps_jsonl(std::span<const LabRun> runs);
// One row a run.
std::string runs_csv(std::span<const LabRun> runs);
std::string runs_jsonl(std::span<const LabRun> runs);

}  // namespace fieldprint
