// What the replies of the OpenAI API have in common.
#pragma once

#include <exception>
#include <span>
#include <string>
#include <string_view>

#include "fieldprint/generation.h"
#include "server/api_error.h"
#include "server/fields.h"
#include "server/service.h"

namespace fieldprint::server {

Json usage_json(int prompt_tokens, int cached_tokens, int completion_tokens);
Json timings_json(const RunStats& stats, size_t tokens);  // as llama.cpp has them
std::string_view openai_finish(FinishReason reason, bool calls);

// Alternatives to a token that a request may ask for: whoever distils wants more of them than OpenAI's 20.
inline constexpr int kMostTopTokens = 128;

// What a request wants to know of tokens beside their texts, by vLLM's names.
struct TokenWish {
  bool ids = false;       // return_token_ids: the prompt's and the answer's
  bool id_names = false;  // return_tokens_as_token_ids: log-probabilities call a token "token_id:17"
};
TokenWish read_token_wish(const Fields& fields);
// What log-probabilities call a token: its text, or its number where the wish says so.
std::string token_name(const Tokenizer& tokenizer, TokenId token, bool id_names);

// {"token", "bytes", "logprob"} of one token, without the others.
Json token_json(const Tokenizer& tokenizer, TokenId token, double logprob, bool id_names = false);
// The list `content` of a chat's log-probabilities.
Json logprobs_json(const Tokenizer& tokenizer, std::span<const TokenLogprobs> tokens, bool id_names = false);

// vLLM's prompt_logprobs, as text since there may be millions: null for the first token, then for each place
// {"17": {"logprob", "rank", "decoded_token"}, ...} of its likeliest tokens and the one that came.
std::string prompt_logprobs_text(const Tokenizer& tokenizer, std::span<const TokenLogprobs> tokens);
// Puts a member whose value is JSON text behind all others of `object`, the text of an object that has some.
void append_member(std::string& object, std::string_view name, std::string_view value);

// Whatever is being thrown, as the client is to see it in the middle of a stream. Passes Disconnected on.
ApiError current_error();

}  // namespace fieldprint::server
