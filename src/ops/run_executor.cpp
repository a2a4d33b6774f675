#include "ops/run_executor.h"

#include <algorithm>

namespace fieldprint {
namespace {

// Conv states are kept at the ends of prompts and every kSnapshotTokens tokens: going back there replays nothing.
constexpr int kSnapshotTokens = 64;
constexpr int64_t kMaxSnapshotBytes = 16 << 20;

}  // namespace

RunSequence::RunSequence(const KvLayout& layout, PagePool& pool)
    : pages(layout, pool), conv(layout, kMaxSnapshotBytes) {}

int RunSequence::truncate(int tokens) {
  spans.truncate(tokens);
  pages.truncate(tokens);
  return conv.rewind(tokens);
}

void RunSequence::reserve(int begin, int end) {
  for (int p = begin; p < end;) {
    const Spans::Span& span = spans.at(p);
    const int stop = std::min(end, span.end);
    pages.reserve(p, stop, span.begin);
    p = stop;
  }
}

RunExecutor::RunExecutor(const KernelTable& kernels, ThreadPool& pool, KvLayout layout)
    : Executor(this),
      kernels_(kernels),
      pool_(pool),
      layout_(std::move(layout)),
      pages_(layout_.page_bytes()),
      scratch_(pool.threads()) {}

void RunExecutor::begin(std::span<const StepSequence> sequences) {
  step_.begin(sequences);
  result_ = Tensor();
  for (const StepSequence& s : sequences) {
    if (!s.replay) sequence(s).reserve(s.first_position, s.end());  // a replay writes no K/V
    if (s.state->wants_influence) sequence(s).meter.begin(s.end(), s.state->spans);
  }
}

std::span<const float> RunExecutor::finish(Tensor x) {
  for (const StepSequence& s : step().sequences()) {
    if (s.state->wants_influence) sequence(s).meter.finish(&s.state->influence);
    if (s.count() > 1 || s.end() % kSnapshotTokens == 0) sequence(s).conv.snapshot(s.end());
  }
  result_ = std::move(x);
  return {data(result_), static_cast<size_t>(result_.rows() * result_.cols())};
}

}  // namespace fieldprint
