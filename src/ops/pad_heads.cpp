// Zeros behind each head: queries and values beside keys that are twice as long (AttentionKind::key_plane).
#include <algorithm>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

template <class Executor>
Tensor compute(Executor& executor, const Tensor& x, int heads) {
  const int64_t d = x.cols() / heads;
  Tensor y = executor.make(x.rows(), 2 * x.cols());
  const auto* in = executor.data(x);
  auto* out = executor.data(y);
  for (int64_t i = 0; i < int64_t{x.rows()} * heads; ++i, in += d, out += 2 * d)
    std::fill_n(std::copy(in, in + d, out), d, 0);
  return y;
}

template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, int heads, const Tensor& y) {
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, x = tape.node(x), y = tape.node(y), heads] {
      const int64_t d = x.cols / heads;
      const auto* dy = tape.gradient(y);
      auto* dx = tape.gradient(x);
      executor.for_rows(x.rows, [&](int row) {
        for (int64_t h = int64_t{row} * heads; h < int64_t{row + 1} * heads; ++h)
          for (int64_t i = 0; i < d; ++i) dx[h * d + i] += dy[h * 2 * d + i];
      });
    });
  });
}

}  // namespace

Tensor Ops::pad_heads(const Tensor& x, int heads) {
  const OpScope scope(executor_, "pad_heads");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, x, heads);
    record(executor, x, heads, y);
    return y;
  });
}

}  // namespace fieldprint
