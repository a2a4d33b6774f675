// run_distil() and plan_distil(): what there is to ask, less what is on disk.
#include "fieldprint/distil.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "distil/key.h"
#include "distil/runner.h"

namespace fieldprint {
namespace {

constexpr size_t kShown = 3;

// Of the shard's rows, where they are on disk.
struct Standing {
  int64_t answered = 0, failed = 0;
  std::vector<size_t> left;  // places in Work::jobs
};

Standing standing_of(const Work& work, const KnownRows& known, bool keep_failures) {
  Standing standing;
  for (size_t i = 0; i < work.jobs.size(); ++i) {
    const auto found = known.find(work.jobs[i].key);
    const bool failed = found != known.end() && !found->second.failure.empty();
    if (failed) ++standing.failed;
    else if (found != known.end()) ++standing.answered;
    if (found == known.end() || (failed && !keep_failures)) standing.left.push_back(i);
  }
  return standing;
}

// What answers of this run came without.
struct Lacking {
  int64_t ids = 0, probabilities = 0, counts = 0;

  void count(const TeacherRow& row, int top_k) {
    if (row.failed()) return;
    if (row.token_ids.empty()) ++ids;
    if (top_k > 0 && row.top_k == 0) ++probabilities;
    if (spent_tokens(row).estimated) ++counts;
  }

  std::vector<std::string> notes() const {
    std::vector<std::string> all;
    if (ids > 0)
      all.push_back(
          fmt::format("{} came without the teacher's token ids: a student learns from their text", answers(ids)));
    if (counts > 0)
      all.push_back(
          fmt::format("{} came without a count of tokens: {} bytes are taken for one, in the figures and the budgets",
                      answers(counts), kBytesOfToken));
    if (probabilities > 0) all.push_back(fmt::format("{} came without probabilities", answers(probabilities)));
    return all;
  }

  static std::string answers(int64_t count) { return count == 1 ? "1 answer" : fmt::format("{} answers", count); }
};

int64_t most_tokens_of(const std::string& sampling) {
  const nlohmann::json json = parse_json(sampling, "the sampling options");
  for (const char* name : {"max_completion_tokens", "max_tokens"}) {
    if (const auto found = json.find(name); found != json.end() && found->is_number_integer())
      return std::clamp<int64_t>(found->get<int64_t>(), 0, kMostTokens);
  }
  return 0;
}

}  // namespace

DistilPlan plan_distil(const DistilOptions& options, double tokens_per_second) {
  const std::unique_ptr<Teacher> teacher = make_teacher(options.teacher, 1);
  const Work work = make_work(options, teacher->identity());
  const KnownRows known = options.out.empty() ? KnownRows() : known_rows(options.out);
  const Standing standing = standing_of(work, known, options.keep_failures);

  DistilPlan plan;
  plan.prompts = static_cast<int64_t>(work.prompts.size());
  plan.duplicates = work.duplicates;
  plan.rows = static_cast<int64_t>(work.jobs.size());
  plan.done = standing.answered;
  plan.failed = standing.failed;
  size_t last = work.prompts.size();  // whose tokens are known; samples of a prompt follow each other
  int64_t tokens = 0;
  plan.counted = true;
  for (const size_t i : standing.left) {
    const Work::Job& job = work.jobs[i];
    if (job.prompt != last) {
      const TeacherRequest request = work.request(job);
      last = job.prompt;
      tokens = teacher->count_tokens(request);
      plan.counted = plan.counted && tokens > 0;
      if (tokens == 0) tokens = static_cast<int64_t>(request.messages.size() + request.tools.size()) / kBytesOfToken;
      if (plan.shown.size() < kShown) plan.shown.push_back({teacher->rendered(request), tokens});
    }
    plan.prompt_tokens += tokens;
  }

  const auto left = static_cast<int64_t>(standing.left.size());
  int64_t answers = 0, answered_tokens = 0;
  for (const auto& [key, row] : known) {
    if (!row.failure.empty() || row.completion_tokens == 0) continue;
    ++answers;
    answered_tokens += row.completion_tokens;
  }
  plan.most_tokens = left * most_tokens_of(work.sampling);
  if (answers > 0)
    plan.likely_tokens = static_cast<int64_t>(static_cast<double>(left) * static_cast<double>(answered_tokens) /
                                              static_cast<double>(answers));
  const auto out = static_cast<double>(answers > 0 ? plan.likely_tokens : plan.most_tokens);
  plan.money = (static_cast<double>(plan.prompt_tokens) * options.price_in + out * options.price_out) / 1e6;
  if (tokens_per_second > 0) plan.seconds = out / tokens_per_second;
  return plan;
}

DistilReport run_distil(const DistilOptions& options, const std::function<void(const DistilState&)>& watch,
                        const std::atomic<bool>* stop) {
  if (options.out.empty()) throw Error(ErrorKind::kUsage, "a run needs a folder for its rows", {}, "--out rows");
  // Before anything is asked: whether this shard is free, and what a kill left is mended.
  RowsFile file(options.out, options.shard);
  const std::unique_ptr<Teacher> teacher = make_teacher(options.teacher);
  const Work work = make_work(options, teacher->identity());
  KnownRows known = known_rows(options.out);
  Standing standing = standing_of(work, known, options.keep_failures);

  DistilReport report;
  report.path = file.path();
  report.state.rows = static_cast<int64_t>(work.jobs.size());
  report.state.found = report.state.rows - static_cast<int64_t>(standing.left.size());
  if (!standing.left.empty()) {
    Runner runner(options, work, std::move(standing.left), *teacher, file);
    for (const auto& [key, row] : known)
      if (row.failure.empty()) runner.budget().add(row.prompt_tokens, row.completion_tokens);
    Lacking lacking;
    const auto each = [&](const TeacherRow& row) {
      add_known(known, row);
      lacking.count(row, options.top_k);
    };
    report.end = runner.run(report.state, watch, each, stop);
    report.notes = lacking.notes();
  }
  for (const Work::Job& job : work.jobs) {
    const auto found = known.find(job.key);
    if (found == known.end()) continue;
    const KnownRow& row = found->second;
    if (!row.failure.empty()) {
      ++report.failures[row.failure];
      report.examples.try_emplace(row.failure, row.detail);
    } else {
      ++report.finishes[row.finish_reason.empty() ? "unknown" : row.finish_reason];
    }
  }
  return report;
}

}  // namespace fieldprint
