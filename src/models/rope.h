// The rotary position embedding that a model's hyperparameters ask for.
//   f_i = base^(-2i / d) for pair i of d / 2; the pair turns by position * f_i
//   linear:   f_i / factor
//   divisors: f_i / divisor_i (Llama 3.1's scaling, written out; LongRoPE, Ding et al. 2024)
//   YaRN (Peng et al. 2023): f_i for pairs that turn more than beta_fast times in the original context, f_i / factor
//   for
//     those that turn less than beta_slow times, a blend in between; cos and sin are multiplied by 1 + ln(factor) / 10
#pragma once

#include "models/hparams.h"
#include "ops/ops.h"

namespace fieldprint {

// `context`: what the model was trained for. LongRoPE has divisors for contexts up to the original one and others for
// longer ones; a model takes the same ones for every prompt, so that keys and values can be kept.
Rope make_rope(const RopeSettings& settings, int context, RopePairs pairs);

// What cos and sin are multiplied by where nothing else is said, for a context that is `factor` times as long as the
// original one. YaRN's is not part of RopeSettings::magnitude, LongRoPE's is.
double yarn_magnitude(double factor);
double long_rope_magnitude(double factor, int original_context);

}  // namespace fieldprint
