// Chooses the next token: the stages of src/engine/sampling/ one after the other. Same options, logits and history give
// the same token on every machine.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/sampling/stage.h"

namespace fieldprint {

class Sampler {
 public:
  // Throws Error kUsage for options out of range, a bias on a token outside [0, vocabulary), a wrong list of samplers.
  Sampler(const SamplingOptions& options, const SamplerModel& model);

  // `logits` [vocabulary or more: what is above is never chosen]. `history`: all tokens so far, prompt included.
  // kNoToken where bias, mask and penalties have banned every token.
  TokenId sample(std::span<const float> logits, std::span<const TokenId> history, const TokenSet* allowed = nullptr);

 private:
  std::unique_ptr<const SamplingOptions> options_;
  int vocabulary_;
  bool greedy_ = false;
  std::vector<std::unique_ptr<SamplerStage>> stages_;  // those that are on, in order
  SamplerState state_;
  Candidates candidates_;
};

}  // namespace fieldprint
