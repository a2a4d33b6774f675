#include "ops/run_executor.h"

namespace fieldprint {

RunExecutor::RunExecutor(const KernelTable& kernels, ThreadPool& pool, const KvLayout& layout)
    : Executor(this, RunSequence::kExecutor),
      kernels_(kernels),
      pool_(pool),
      layout_(layout.of_window(0)),
      pages_(layout_.page_bytes()),
      scratch_(pool.threads()) {
  for (const int window : layout.windows()) windows_.emplace_back(layout, window);
}

void RunExecutor::begin(std::span<const StepSequence> sequences) {
  step_.begin(sequences);
  result_ = Tensor();
  hidden_ = Tensor();
  for (const StepSequence& s : sequences) sequence(s).begin(s.first_position, s.end(), s.replay);
}

std::span<const float> RunExecutor::finish(Tensor x) {
  for (const StepSequence& s : step().sequences()) sequence(s).finish(s.first_position, s.end());
  result_ = std::move(x);
  return {data(result_), static_cast<size_t>(result_.rows() * result_.cols())};
}

}  // namespace fieldprint
