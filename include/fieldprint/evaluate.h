// Numbers about a model on text.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint {

struct PerplexityOptions {
  int context = 512;  // tokens a chunk
  int chunks = 0;     // 0 = all whole chunks
  SessionOptions session;
};

struct PerplexityResult {
  double perplexity = 0;
  double error = 0;        // standard error of the perplexity
  double nll = 0;          // mean negative log-likelihood, nats a token
  int64_t tokens = 0;      // predictions scored
  int chunks = 0;
};

// `text` is encoded once, cut into chunks of `context` ids; in each the positions context/2 .. context-2 predict their
// next token. Where the model adds a BOS, it takes the place of each chunk's first id. `on_chunk` sees the running value.
// Throws Error kBadInput where the text is shorter than one chunk.
PerplexityResult perplexity(std::shared_ptr<const Model> model, std::string_view text, const PerplexityOptions& options,
                            const std::function<void(const PerplexityResult&, int chunks_total)>& on_chunk = {});

}  // namespace fieldprint
