// The product that makes the logits. Whoever asks for it after the step gets what they were made from: it is held, not
// copied.
#include <utility>

#include "ops/executor.h"
#include "ops/ops.h"

namespace fieldprint {

Tensor Ops::output_head(Tensor x, const Weight& weight) {
  Tensor y = linear(x, weight);
  executor_.keep_hidden(std::move(x));
  return y;
}

}  // namespace fieldprint
