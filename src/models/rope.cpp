#include "models/rope.h"

#include "base/math.h"

namespace fieldprint {

Rope make_rope(const Hyperparameters& hp, RopePairs pairs) {
  Rope rope;
  rope.pairs = pairs;
  for (int i = 0; i < hp.rope_dims / 2; ++i) {
    const double frequency = exp_f64(-2.0 * i / hp.rope_dims * log_f64(hp.rope_base));
    const double divisor =
        hp.rope_divisors.empty() ? 1.0 : static_cast<double>(hp.rope_divisors[static_cast<size_t>(i)]);
    rope.inverse_frequency.push_back(frequency / hp.rope_factor / divisor);
  }
  return rope;
}

}  // namespace fieldprint
