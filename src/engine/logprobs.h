// Log-probabilities out of logits, in double: the same bits on every machine.
#pragma once

#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "fieldprint/generation.h"

namespace fieldprint {

// ln of the sum of e^(logit / temperature). At least one logit is finite.
double log_sum_exp_f64(std::span<const float> logits, double temperature = 1);

// Of `token` and of the `top` likeliest; ties go to the lower token.
TokenLogprobs token_logprobs(std::span<const float> logits, TokenId token, int top, double temperature = 1);

// Of targets[i] by row i of `rows` [targets or more, vocabulary], appended to `to`.
void append_logprobs(ThreadPool& pool, std::span<const float> rows, size_t vocabulary, std::span<const TokenId> targets,
                     int top, double temperature, std::vector<TokenLogprobs>& to);

}  // namespace fieldprint
