// What a training leaves to be looked at: FOLDER/log.csv and log.jsonl, a line a step, loss.svg, and of mixtures
// of experts experts.svg and balance.svg.
#pragma once

#include <string>
#include <vector>

#include "fieldprint/train.h"

namespace fieldprint {

class TrainLog {
 public:
  // Goes on behind the lines of steps up to `step` of what is there; 0: begins anew. Throws Error kIo.
  TrainLog(std::string folder, int64_t step);

  void add(const TrainPoint& point);  // Throws Error kIo
  void draw() const;                  // Throws Error kIo

 private:
  void draw_experts() const;  // balance.svg and experts.svg, of a mixture of experts
  void append(const std::string& file, const std::string& line) const;

  std::string folder_;
  std::vector<TrainPoint> points_;
};

}  // namespace fieldprint
