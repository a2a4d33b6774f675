// How the next token is chosen from the logits: docs/sampling.md. A value that switches a stage off leaves its
// candidates as they are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

// A set of token ids from 0 to vocabulary - 1.
class TokenSet {
 public:
  explicit TokenSet(int vocabulary = 0)
      : vocabulary_(vocabulary), words_((static_cast<size_t>(vocabulary) + 63) / 64) {}

  int vocabulary() const { return vocabulary_; }
  bool contains(TokenId token) const { return (words_[word(token)] & bit(token)) != 0; }  // so for all: in the range
  void add(TokenId token) { words_[word(token)] |= bit(token); }
  void remove(TokenId token) { words_[word(token)] &= ~bit(token); }
  void add(std::span<const uint64_t> words) {  // token t is bit t mod 64 of word t / 64; as many words as this set has
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= words[i];
  }
  void clear() { std::fill(words_.begin(), words_.end(), 0); }

 private:
  static size_t word(TokenId token) { return static_cast<size_t>(token) / 64; }
  static uint64_t bit(TokenId token) { return uint64_t{1} << (token % 64); }

  int vocabulary_;
  std::vector<uint64_t> words_;
};

// Says which tokens may come next, as a grammar does; made anew for each answer.
class TokenMask {
 public:
  virtual ~TokenMask() = default;
  // Adds to `allowed`, which is empty, what may follow the tokens of the answer so far. Where nothing may, the answer
  // ends (FinishReason::kNoneAllowed). Called before each token by the thread that generates; a scheduler asks those of
  // several answers at the same time, and all streams wait for them. What it throws ends the answer.
  virtual void allow(std::span<const TokenId> answer, TokenSet& allowed) = 0;
};

struct SamplingOptions {
  float temperature = 0.8f;         // 0 = greedy: the likeliest token after bias and penalties, nothing is cut or drawn
  int top_k = 40;                   // 0 = off
  float top_p = 0.95f;              // 1 = off
  float min_p = 0.05f;              // 0 = off
  float repetition_penalty = 1.0f;  // 1 = off
  int penalty_window = 64;          // tokens looked back at by the three penalties; -1 = all
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  std::vector<std::pair<int32_t, float>> logit_bias;  // token, added logit; -infinity bans the token

  float typical_p = 1.0f;                  // 1 = off
  float top_n_sigma = 0.0f;                // 0 = off
  float xtc_probability = 0.0f;            // 0 = off
  float xtc_threshold = 0.1f;              // above 0.5 nothing can be excluded
  float dynamic_temperature_range = 0.0f;  // 0 = off: the temperature is the same for every token
  float dynamic_temperature_exponent = 1.0f;
  float dry_multiplier = 0.0f;                                     // 0 = off
  float dry_base = 1.75f;                                          // at least 1
  int dry_allowed_length = 2;                                      // tokens that may be repeated without a penalty
  int dry_window = -1;                                             // tokens looked back at; -1 = all
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};  // a repetition does not reach across one
  int mirostat = 0;           // 0 = off, 2 = Mirostat 2.0, which takes the place of all that cuts
  float mirostat_tau = 5.0f;  // bits of surprise a token aimed at
  float mirostat_eta = 0.1f;  // learning rate

  // Names of docs/sampling.md in the order in which they run; one that is not named does not run. Empty = the usual
  // order: penalties, dry, top_n_sigma, top_k, typ_p, top_p, min_p, xtc, temperature.
  std::vector<std::string> samplers;
  int logprobs = -1;         // of each token of the answer its log-probability and the N likeliest tokens; -1 = none
  int prompt_logprobs = -1;  // the same of the prompt
  float prompt_temperature = 1;                      // that its logits are divided by for these
  std::function<std::unique_ptr<TokenMask>()> mask;  // makes the mask of an answer; empty: every token is allowed

  uint64_t seed = 0;              // the same seed gives the same text
  std::vector<std::string> stop;  // the answer ends before the first of these, also across token borders
  bool loop_check = true;         // end an answer that repeats itself; docs/sampling.md says when that is
  bool special = false;           // the text shows control tokens too; tool calls are marked by such
  int max_tokens = -1;            // -1 = to the end of the context; 0 = none: for log-probabilities of the prompt
};

class Model;

// What to begin with for a model: the values of `general.sampling.*` in its file (llama.cpp's keys); where it has none,
// those of the catalogue's row for a file of its name; the defaults above for all else. A value that is out of range is
// passed over.
SamplingOptions default_sampling(const Model& model);

}  // namespace fieldprint
