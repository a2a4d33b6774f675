// What there is to ask: the rows of a shard, each with its key, and what is on disk of them.
#pragma once

#include <string>
#include <vector>

#include "distil/prompts.h"
#include "distil/rows_file.h"
#include "distil/teacher.h"

namespace fieldprint {

struct Work {
  struct Job {
    size_t prompt;  // its place
    int sample;
    std::string key;
  };
  std::vector<Prompt> prompts;
  std::string sampling;    // of rows
  std::vector<Job> jobs;   // of this shard, without those that ask what another asks; in the order of the prompts
  int64_t duplicates = 0;  // prompts that ask what another asks

  TeacherRow row(const Job& job, const TeacherRow::Teacher& teacher) const;  // without an answer
  TeacherRequest request(const Job& job) const;
  int top_k = 0;
};

// Throws Error as read_prompts() and row_sampling(), kUsage for options out of range.
Work make_work(const DistilOptions& options, const TeacherRow::Teacher& teacher);

}  // namespace fieldprint
