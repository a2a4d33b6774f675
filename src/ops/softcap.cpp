// x = cap * tanh(x / cap): logits stay within -cap .. cap (Gemma 2, 2024).
#include <algorithm>
#include <cmath>

#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

void compute(RunExecutor& run, Tensor& x, float cap) {
  constexpr int64_t kPiece = 4096;  // a row may be as long as a vocabulary
  const int64_t count = x.rows() * x.cols();
  float* values = run.data(x);
  run.arena().changed(x);
  run.pool().run((count + kPiece - 1) / kPiece, [&](int64_t piece, int) {
    const int64_t begin = piece * kPiece;
    run.kernels().softcap(values + begin, static_cast<int>(std::min(kPiece, count - begin)), 1, cap);
  });
}

void compute(ReferenceExecutor& reference, Tensor& x, float cap) {
  const auto c = static_cast<double>(cap);
  for (int64_t i = 0; i < x.rows() * x.cols(); ++i) reference.data(x)[i] = c * std::tanh(reference.data(x)[i] / c);
}

}  // namespace

void Ops::softcap(Tensor& x, float cap) {
  const OpScope scope(executor_, "softcap");
  executor_.visit([&](auto& executor) { compute(executor, x, cap); });
}

}  // namespace fieldprint
