// An answer, why it ended, and what it cost.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

enum class FinishReason {
  kEndToken,     // the model ended it
  kStop,         // a stop string
  kLength,       // SamplingOptions::max_tokens
  kContext,      // it is full
  kCancelled,    // by `cancel`
  kNoneAllowed,  // mask and logit bias allow no token
  kLoop,         // the answer repeats itself
};

// What generating an answer took.
struct RunStats {
  double queue_seconds = 0;  // in a scheduler: from submit to the first step
  int prefill_tokens = 0;    // of the prompt, computed
  int reused_tokens = 0;     // of the prompt, found in the session and not computed again
  double prefill_seconds = 0;
  int decode_tokens = 0;
  double decode_seconds = 0;
  int drafted_tokens = 0, accepted_tokens = 0;  // speculation (speculation.h); the accepted are decode tokens too
  uint64_t decode_bytes = 0;  // weights and K/V read by the decode steps, which a scheduler's streams share
  std::string executor;       // that computed it: one of executor_names() (session.h)
  std::string logits_hash;    // first 16 hex digits of the SHA-256 of the last logits
};

// ln softmax(logits)[token], of the model's logits as they are: before bias, penalties, mask and temperature (but see
// SamplingOptions::prompt_temperature). In double, the same bits on every machine.
struct TokenLogprobs {
  TokenId token = kNoToken;
  double logprob = 0;
  std::vector<std::pair<TokenId, double>> top = {};  // as many as were asked for, the likeliest first
  int rank = 0;                                      // of the token among all, from 1; of equals the lower id is first
};

struct Generation {
  std::string text;             // whole UTF-8, without the stop string
  std::vector<TokenId> tokens;  // all that were sampled, the end token and those of a stop string among them
  FinishReason reason = FinishReason::kLength;
  std::string stop;  // kStop: the stop string that ended it
  RunStats stats;
  std::vector<TokenLogprobs> logprobs;         // of each of `tokens`, where SamplingOptions asks for them
  std::vector<TokenLogprobs> prompt_logprobs;  // of the prompt's tokens from the second on
  // Where the session measures it, for each of `tokens`: influence() of the step whose logits it was sampled from, in
  // the columns of the session's spans() at the end.
  std::vector<std::vector<float>> influence;
  // Where a request wants boundaries (boundaries.h): the number of the one that all of this will be in.
  uint64_t boundary = 0;
};

}  // namespace fieldprint
