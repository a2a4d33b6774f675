// Chooses the next token. Same options, logits and history give the same token on every machine.
#pragma once

#include <span>
#include <vector>

#include "base/rng.h"
#include "fieldprint/sampling.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

class Sampler {
 public:
  // Throws Error kUsage for options out of range, or a bias on a token outside [0, vocabulary).
  Sampler(const SamplingOptions& options, int vocabulary);

  // `history`: all tokens so far, prompt included; the penalties look at its end.
  TokenId sample(std::span<const float> logits, std::span<const TokenId> history);

 private:
  struct Candidate {
    float logit;
    TokenId token;
  };

  SamplingOptions options_;
  Rng rng_;
  std::vector<float> logits_;
  std::vector<int> counts_;  // per token, how often the window has it; zero between calls
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;
};

}  // namespace fieldprint
