// What one layer does with a text: attention maps and the choice of experts.
#pragma once

#include <span>
#include <vector>

#include "fieldprint/model.h"

namespace fieldprint {

struct Observation {
  int layers = 0;   // of the model
  int heads = 0;    // of the layer; 0: it has no attention
  int experts = 0;  // of the layer; 0: it has none
  int active = 0;   // experts a token
  // [heads, tokens, tokens]: what share of its attention a token (row) gives another (column). Of the context: where
  // the file mixes in anchor rows of its own, a row still sums to 1.
  std::vector<float> attention;
  std::vector<int> chosen;            // [tokens, active], in order of choice
  std::vector<float> expert_weights;  // [tokens, active]
};

inline constexpr int kMaxObserved = 1024;  // tokens

// Runs `tokens` through the model and looks at layer `layer`, counted from 0. From any thread; the model's sessions
// wait meanwhile. Throws Error kUsage where there is no such layer, kLimit for more than kMaxObserved tokens or the
// context, kBadInput for no token or an id outside the vocabulary.
Observation observe(const Model& model, std::span<const TokenId> tokens, int layer);

}  // namespace fieldprint
