// What tests of the scheduler submit: prompts, a tiny model, sampled answers.
#pragma once

#include <memory>
#include <vector>

#include "fieldprint/sampling.h"
#include "support/tiny_model.h"

namespace fieldprint {

inline std::vector<TokenId> some_tokens(int count, int seed) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + seed * 31 + i / 7) % 256);
  return tokens;
}

inline std::shared_ptr<const Model> tiny() {
  const TinyModelFile file({.type = "Q8_0"});
  return Model::load(file.path(), {.threads = 2});  // mapped: the file may go
}

inline SamplingOptions sampled(int max_tokens, uint64_t seed) {
  SamplingOptions options;
  options.max_tokens = max_tokens;
  options.seed = seed;
  options.temperature = 2;
  return options;
}

}  // namespace fieldprint
