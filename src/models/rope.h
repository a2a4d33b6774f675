// The rotary position embedding that a model's hyperparameters ask for.
#pragma once

#include "models/hparams.h"
#include "ops/ops.h"

namespace fieldprint {

// inverse_frequency[i] = base^(-2i / d), divided by the factor of linear scaling and by the pair's divisor.
Rope make_rope(const Hyperparameters& hp, RopePairs pairs);

}  // namespace fieldprint
