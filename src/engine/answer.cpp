#include "engine/answer.h"

#include "base/sha256.h"

namespace fieldprint {

Answer::Answer(const Model& model, const SamplingOptions& sampling, OnText on_text)
    : max_tokens_(sampling.max_tokens),
      tokenizer_(model.tokenizer()),
      sampler_(sampling, {tokenizer_.size(), &tokenizer_}),
      mask_(sampling.mask ? sampling.mask() : nullptr),
      allowed_(mask_ ? tokenizer_.size() : 0),
      decoder_(tokenizer_, sampling.special),
      stops_(sampling.stop),
      on_text_(std::move(on_text)) {}

bool Answer::at_length() {
  if (max_tokens_ < 0 || static_cast<int>(generation.tokens.size()) < max_tokens_) return false;
  generation.reason = FinishReason::kLength;
  return true;
}

bool Answer::wants_token() {
  if (at_length()) return false;
  if (mask_) {
    allowed_.clear();
    mask_->allow(generation.tokens, allowed_);
  }
  return true;
}

bool Answer::push(TokenId token, bool room) {
  if (token == kNoToken) {
    generation.reason = FinishReason::kNoneAllowed;
    return false;
  }
  generation.tokens.push_back(token);
  if (tokenizer_.ends_generation(token)) {
    generation.reason = FinishReason::kEndToken;
    return false;
  }
  emit(stops_.push(decoder_.push(token)));
  if (stops_.met()) {
    generation.reason = FinishReason::kStop;
    return false;
  }
  if (at_length()) return false;  // nobody wants the logits after the last one
  if (!room) generation.reason = FinishReason::kContext;
  return room;
}

void Answer::finish(std::span<const float> logits) {
  if (!stops_.met()) {
    emit(stops_.push(decoder_.finish()));
    if (!stops_.met()) emit(stops_.rest());
  }
  generation.stats.logits_hash = sha256_hex(std::as_bytes(logits)).substr(0, 16);
}

void Answer::emit(std::string_view text) {
  if (text.empty()) return;
  generation.text += text;
  if (on_text_) on_text_(text);
}

}  // namespace fieldprint
