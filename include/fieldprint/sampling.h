// How the next token is chosen from the logits.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fieldprint {

struct SamplingOptions {
  float temperature = 0.8f;         // 0 = greedy
  int top_k = 40;                   // 0 = off
  float top_p = 0.95f;              // 1 = off
  float min_p = 0.05f;              // 0 = off
  float repetition_penalty = 1.0f;  // 1 = off
  int penalty_window = 64;          // tokens looked back at by the three penalties; -1 = all
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  std::vector<std::pair<int32_t, float>> logit_bias;  // token, added logit
  uint64_t seed = 0;                                  // the same seed gives the same text
  std::vector<std::string> stop;  // the answer ends before the first of these, also across token borders
  bool special = false;           // the text shows control tokens too; tool calls are marked by such
  int max_tokens = -1;            // -1 = to the end of the context
};

}  // namespace fieldprint
