// The log that an evaluation resumes from: FOLDER/items.jsonl, one line a document, appended as soon as it is scored. A
// kill at any moment loses at most the line that was being written. Any number of models, tasks and runs share it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "eval/item.h"

namespace fieldprint {

class ItemLog {
 public:
  // Reads what is there; what a kill left half written, or is no line of ours, is passed over. Whether an outcome fits
  // what is asked is for the caller to see. An empty folder's name: nothing is kept. Throws Error kIo, naming the file.
  explicit ItemLog(const std::string& folder);

  const EvalOutcome* find(const std::string& key) const;  // nullptr where it is not known; valid until add()
  void add(const EvalTask& task, const EvalWork& work);   // Throws Error kIo: disk full ...
  int passed_over() const { return passed_over_; }        // lines that are none of ours

 private:
  std::string path_;
  Descriptor file_;
  std::map<std::string, EvalOutcome> known_;
  int passed_over_ = 0;
};

// What outcomes depend on, as 64 hex digits: two works of one key have one outcome. `setting`: of the model and the
// run.
std::string item_key(std::string_view setting, const EvalTask& task, const EvalWork& work);

}  // namespace fieldprint
