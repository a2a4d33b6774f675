#include "engine/answer.h"

#include <cmath>

#include "base/sha256.h"
#include "engine/finite.h"
#include "engine/logprobs.h"
#include "fieldprint/error.h"

namespace fieldprint {

Answer::Answer(const LoadedModel& model, const SamplingOptions& sampling, OnText on_text)
    : max_tokens_(sampling.max_tokens),
      logprobs_(sampling.logprobs),
      prompt_logprobs_(sampling.prompt_logprobs),
      prompt_temperature_(static_cast<double>(sampling.prompt_temperature)),
      model_(model),
      tokenizer_(model.tokenizer()),
      sampler_(sampling, {tokenizer_.size(), &tokenizer_}),
      mask_(sampling.mask ? sampling.mask() : nullptr),
      allowed_(mask_ ? tokenizer_.size() : 0),
      special_(sampling.special),
      decoder_(tokenizer_, sampling.special),
      stops_(sampling.stop),
      on_text_(std::move(on_text)) {
  if (!(sampling.prompt_temperature > 0) || !std::isfinite(1 / prompt_temperature_))
    throw Error(ErrorKind::kUsage, "the temperature of a prompt's log-probabilities is above 0");
  if (sampling.loop_check) loop_check_.emplace();
}

bool Answer::at_length() {
  if (max_tokens_ < 0 || static_cast<int>(generation.tokens.size()) < max_tokens_) return false;
  generation.reason = FinishReason::kLength;
  return true;
}

void Answer::add_prompt(size_t first, std::span<const float> rows, std::span<const TokenId> targets) {
  if (!all_finite(rows)) throw NotFinite();
  generation.prompt_logprobs.resize(first);  // a step that failed may have left some
  append_logprobs(model_.pool(), rows, static_cast<size_t>(model_.info().vocabulary), targets, prompt_logprobs_,
                  prompt_temperature_, generation.prompt_logprobs);
}

bool Answer::wants_token() { return !at_length(); }

TokenId Answer::sample(std::span<const float> logits, std::span<const TokenId> history) {
  if (!all_finite(logits)) throw NotFinite();
  if (mask_) {
    allowed_.clear();
    mask_->allow(generation.tokens, allowed_);
  }
  const TokenId token = sampler_.sample(logits, history, mask_ ? &allowed_ : nullptr);
  if (logprobs_ >= 0 && token != kNoToken) sampled_ = token_logprobs(logits, token, logprobs_);
  return token;
}

// The name of a control token, which the text does not show but a stop string may ask for.
std::string_view Answer::hidden_name(TokenId token) const {
  const std::string_view name = tokenizer_.piece(token, true);
  return tokenizer_.piece(token, false).empty() ? name : std::string_view();
}

bool Answer::push(TokenId token, bool room) {
  if (token == kNoToken) {
    generation.reason = FinishReason::kNoneAllowed;
    return false;
  }
  generation.tokens.push_back(token);
  if (logprobs_ >= 0) generation.logprobs.push_back(std::move(sampled_));
  if (tokenizer_.ends_generation(token)) {
    generation.reason = FinishReason::kEndToken;
    return false;
  }
  emit(stops_.push(decoder_.push(token)));
  if (!special_ && !stops_.met()) emit(stops_.push(hidden_name(token), false));
  if (stops_.met()) {
    generation.reason = FinishReason::kStop;
    generation.stop = stops_.which();
    return false;
  }
  if (loop_check_ && loop_check_->in_loop(generation.tokens)) {
    generation.reason = FinishReason::kLoop;
    return false;
  }
  if (at_length()) return false;  // nobody wants the logits after the last one
  if (!room) generation.reason = FinishReason::kContext;
  return room;
}

void Answer::add_influence(std::span<const float> shares) {
  auto& rows = generation.influence;
  if (rows.size() < generation.tokens.size()) rows.emplace_back(shares.begin(), shares.end());
}

void Answer::widen_influence(size_t columns) {
  for (auto& row : generation.influence) {
    const float in_file = row.back();
    row.back() = 0;
    row.resize(columns);
    row.back() = in_file;
  }
}

void Answer::finish(std::span<const float> logits) {
  if (!stops_.met()) {
    emit(stops_.push(decoder_.finish()));
    if (!stops_.met()) emit(stops_.rest());
  }
  last_logits_.assign(logits.begin(), logits.end());
}

std::string Answer::logits_hash() const {
  if (last_logits_.empty()) return {};
  return sha256_hex(std::as_bytes(std::span(last_logits_))).substr(0, 16);
}

void Answer::emit(std::string_view text) {
  if (text.empty()) return;
  generation.text += text;
  if (on_text_) on_text_(text);
}

}  // namespace fieldprint
