#include "distil/work.h"

#include <fmt/format.h>

#include <unordered_set>

#include "distil/key.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

void check(const DistilOptions& options) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorKind::kUsage, what); };
  if (options.prompts.samples < 1) refuse("each prompt is asked once at least");
  if (options.shards < 1 || options.shard < 1 || options.shard > options.shards)
    refuse(fmt::format("there is no shard {} of {}: they are counted from 1", options.shard, options.shards));
  if (options.attempts < 1) refuse("each row is tried once at least");
  if (options.top_k < 0) refuse("a number of log-probabilities is not negative");
  if (options.breaker_failures < 1) refuse("the breaker opens after one failure at least");
  if (options.budget_money > 0 && options.price_in <= 0 && options.price_out <= 0)
    refuse("a budget of money needs prices: --price-in and --price-out, a million tokens");
}

}  // namespace

TeacherRow Work::row(const Job& job, const TeacherRow::Teacher& teacher) const {
  const Prompt& prompt = prompts[job.prompt];
  TeacherRow row;
  row.key = job.key;
  row.id = prompt.id;
  row.messages = prompt.messages;
  row.tools = prompt.tools;
  row.answer = prompt.answer;
  row.task = prompt.task;
  row.sample = job.sample;
  row.seed = row_seed(job.key);
  row.sampling = sampling;
  row.teacher = teacher;
  return row;
}

TeacherRequest Work::request(const Job& job) const {
  const Prompt& prompt = prompts[job.prompt];
  return {.messages = prompt.messages,
          .tools = prompt.tools,
          .sampling = sent_sampling(sampling),
          .seed = row_seed(job.key),
          .top_k = top_k};
}

Work make_work(const DistilOptions& options, const TeacherRow::Teacher& teacher) {
  check(options);
  Work work;
  work.sampling = row_sampling(options.sampling, options.seed, options.top_k);
  work.top_k = options.top_k;
  work.prompts = read_prompts(options.prompts);
  std::unordered_set<std::string> seen;
  for (size_t i = 0; i < work.prompts.size(); ++i) {
    for (int sample = 0; sample < options.prompts.samples; ++sample) {
      Work::Job job{i, sample, std::string(64, '0')};
      job.key = row_key(work.row(job, teacher));
      if (!seen.insert(job.key).second) {
        ++work.duplicates;
        break;
      }
      if (row_shard(job.key, options.shards) == options.shard) work.jobs.push_back(std::move(job));
    }
  }
  return work;
}

}  // namespace fieldprint
