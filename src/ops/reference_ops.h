// The reference executor: every op straight from its formula in float64. Slow, obvious, the oracle of `run`.
#pragma once

#include <memory>
#include <vector>

#include "kv/layout.h"
#include "ops/ops.h"

namespace fieldprint {

std::unique_ptr<Ops> make_reference_ops(std::vector<KvLayerShape> layers);

}  // namespace fieldprint
