// One answer in the making: logits become tokens, tokens text, until an end token, a stop string or a limit.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/loaded_model.h"
#include "engine/loop_check.h"
#include "engine/sampler.h"
#include "engine/stop_strings.h"
#include "fieldprint/session.h"

namespace fieldprint {

using OnText = std::function<void(std::string_view)>;

class Answer {
 public:
  // Throws Error kUsage as Sampler does. `model` outlives the answer.
  Answer(const LoadedModel& model, const SamplingOptions& sampling, OnText on_text);

  // The prompt's log-probabilities, where they are wanted: `rows` are the logits [targets or more, vocabulary] of the
  // tokens before `targets`, of which the first is the prompt's token `first` + 1. Called while a step holds the model.
  bool scores_prompt() const { return prompt_logprobs_ >= 0; }
  void add_prompt(size_t first, std::span<const float> rows, std::span<const TokenId> targets);

  // Before each token: whether another may be sampled, else the reason is kLength.
  bool wants_token();
  // Asks the mask; kNoToken where nothing is allowed. Throws NotFinite, and what the mask throws.
  TokenId sample(std::span<const float> logits, std::span<const TokenId> history);
  // Takes the sampled token; true where it is to be fed. `room`: whether the context has a place for it.
  bool push(TokenId token, bool room);
  // Of the token that push() took last, from the step before: [spans + 1].
  void add_influence(std::span<const float> shares);
  void widen_influence(size_t columns);  // at the end: spans that came later got nothing
  int tokens_left() const {              // that may be sampled
    return max_tokens_ < 0 ? std::numeric_limits<int>::max() : max_tokens_ - static_cast<int>(generation.tokens.size());
  }
  void cancel() { generation.reason = FinishReason::kCancelled; }
  // Gives out the text that was held back; `logits`: the last ones, whose hash is made when somebody asks for it.
  void finish(std::span<const float> logits);
  std::string logits_hash() const;  // RunStats::logits_hash; after finish()

  Generation generation;

 private:
  bool at_length();
  std::string_view hidden_name(TokenId token) const;
  void emit(std::string_view text);

  int max_tokens_, logprobs_, prompt_logprobs_;
  double prompt_temperature_;
  const LoadedModel& model_;
  const Tokenizer& tokenizer_;
  Sampler sampler_;
  std::optional<LoopCheck> loop_check_;
  std::unique_ptr<TokenMask> mask_;
  TokenSet allowed_;
  TokenLogprobs sampled_;  // where they are wanted, of the token that push() is about to take
  bool special_;
  StreamDecoder decoder_;
  StopStrings stops_;
  OnText on_text_;
  std::vector<float> last_logits_;
};

}  // namespace fieldprint
