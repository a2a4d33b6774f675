// Parts of a card, each Markdown of its own that ends with a line break. Throws of all: Error kNotFound, kIo; kBadInput
// with the file that is not what it should be.
#pragma once

#include <string>

#include "fieldprint/distil_card.h"

namespace fieldprint::distil {

std::string read_whole(const std::string& path);
std::string file_sha256(const std::string& path);

// What a filter kept, from its report.json: files, teachers, filters with their counts.
struct FilterPart {
  std::string markdown;
  std::string kept_sha256;
  std::string teacher;  // name and model's hash of the first
};
FilterPart filter_part(const std::string& report);

// A training's folder: figures of log.csv, hashes of what it wrote, and the loss curve.
struct TrainingPart {
  std::string markdown;  // without the picture
  std::string svg;
};
TrainingPart training_part(const std::string& folder);

// Scores of two evaluations side by side, or of one where the other is "". Where both have samples of a task, documents
// are paired: how many only one of them got right, and the exact McNemar test's p.
std::string results_part(const std::string& before, const std::string& after);

}  // namespace fieldprint::distil
