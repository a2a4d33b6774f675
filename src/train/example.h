// What a model is trained on: documents as token ids, with what of them counts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

// One document. Token i is learned from those before it, with weight weights[i]: 1 for an assistant's turn, 0 for what
// is only read. Token 0 is learned from nothing: its weight is 0. Positions, keys, values and recurrent states are the
// document's own, whatever else is in a step with it.
struct Example {
  std::vector<TokenId> tokens;
  std::vector<float> weights;  // [tokens]
  // Of a teacher, where its distribution is learned in place of the token: for each token whose weight is not 0 the `k`
  // likeliest in its place (kNoToken where there are fewer), and all others together. They add up to 1.
  int k = 0;
  std::vector<TokenId> top_ids = {};  // [learned, k]
  std::vector<float> top_logp = {};   // [learned, k]
  std::vector<float> top_tail = {};   // [learned]  ln of the others' probability; -inf: there is none

  double weight() const {
    double sum = 0;
    for (const float w : weights) sum += static_cast<double>(w);
    return sum;
  }
};

// The documents that pass the model together: a packed row.
using MicroBatch = std::vector<const Example*>;

}  // namespace fieldprint
