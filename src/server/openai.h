// What the replies of the OpenAI API have in common.
#pragma once

#include <exception>
#include <span>

#include "fieldprint/generation.h"
#include "server/api_error.h"
#include "server/fields.h"
#include "server/service.h"

namespace fieldprint::server {

Json usage_json(int prompt_tokens, int cached_tokens, int completion_tokens);
Json timings_json(const RunStats& stats, size_t tokens);  // as llama.cpp has them
std::string_view openai_finish(FinishReason reason, bool calls);

// {"token", "bytes", "logprob"} of one token, without the others.
Json token_json(const Tokenizer& tokenizer, TokenId token, double logprob);
// The list `content` of a chat's log-probabilities.
Json logprobs_json(const Tokenizer& tokenizer, std::span<const TokenLogprobs> tokens);

// Whatever is being thrown, as the client is to see it in the middle of a stream. Passes Disconnected on.
ApiError current_error();

}  // namespace fieldprint::server
