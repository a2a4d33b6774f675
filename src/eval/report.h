// What an evaluation leaves to be read: the table and the files of lm-evaluation-harness 0.4.13, with its names.
#pragma once

#include <string>
#include <vector>

#include "eval/item.h"
#include "fieldprint/eval.h"

namespace fieldprint {

// The lines of samples_TASK.jsonl: one a document and filter.
struct EvalSamples {
  std::string task;
  std::string lines;
  std::string hash;  // SHA-256 over all documents' hashes of document, prompt and target
};
EvalSamples make_samples(const EvalTask& task, const std::vector<EvalWork>& works);

// FOLDER/MODEL/results_TIME.json and samples_TASK_TIME.jsonl; returns their paths. Throws Error kIo.
std::vector<std::string> write_report(const EvalResult& result, const EvalOptions& options,
                                      const std::vector<EvalSamples>& samples);

}  // namespace fieldprint
