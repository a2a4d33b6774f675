// Contexts and continuations as tokens, in the way of each harness.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "fieldprint/eval.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

// The continuation's tokens are scored behind the context's. Neither is empty.
struct ScoreRequest {
  std::vector<TokenId> context, continuation;
  bool shortened = false;  // the context lost its beginning
};

struct TextPair {
  std::string context, continuation;
  bool operator==(const TextPair&) const = default;
};

// A document's pairs. `most`: tokens that the model takes; what is longer loses its beginning. `templated`: the
// contexts come out of the chat template. Throws Error kLimit for a continuation that is longer, kBadInput for one
// without tokens.
//   lm-eval  white space at a context's end goes to the continuation; context and both together are encoded, and what
//            the latter has behind the former's length is scored; BOS where the tokenizer adds one, never twice
//   mlx      the same, but white space stays where it is, and behind a template no BOS is added; a context that is too
//            long loses as much for each of its continuations as for the longest
//   llama.cpp  only what comes behind the tokens that all choices begin with; see llama_cpp_requests()
std::vector<ScoreRequest> encode_requests(EvalStyle style, const Tokenizer& tokenizer, std::span<const TextPair> pairs,
                                          bool templated, int most);

// As llama-perplexity has them (tools/perplexity in github.com/ggml-org/llama.cpp): all text of a choice is encoded
// with BOS and without control tokens; scored is what comes behind the common beginning. `tails`: contexts differ and
// the tail is common, as in WinoGrande: scored is the tail without its last token, or where a choice has 3 tokens or
// fewer of its own, the name too. Scores are means over tokens.
std::vector<ScoreRequest> llama_cpp_requests(const Tokenizer& tokenizer, std::span<const TextPair> pairs, bool tails,
                                             int most);

// A whole text, in windows of `most` tokens side by side, each token scored once; the first one behind BOS (without one
// EOS), each later window behind one token of what came before. Throws Error
// kBadInput for a text without tokens.
std::vector<ScoreRequest> rolling_requests(const Tokenizer& tokenizer, const std::string& text, int most);

}  // namespace fieldprint
