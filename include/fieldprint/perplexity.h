// How well a model predicts a text, and how far it is from another model. Figures are in nats (natural logarithms).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fieldprint/model.h"
#include "fieldprint/session.h"

namespace fieldprint {

struct PerplexityOptions {
  int context = 0;      // tokens a chunk; 0 = those of `kl_base`, else 512
  int stride = 0;       // 0 = chunks side by side, or what `kl_base` has; else how far each window is from the last
  int chunks = 0;       // at most; 0 = all
  std::string kl_save;  // where to write every scored position's probabilities, for others to be compared with
  std::string kl_base;  // such a file, of a model with the same vocabulary on the same text: compare with it
  SessionOptions session;
};

// How far the model is from the base, token by token scored. `..._error` are standard errors.
struct Divergence {
  double mean = 0, mean_error = 0;  // Kullback-Leibler divergence of the model from the base, nats
  double median = 0, p90 = 0, p95 = 0, p99 = 0, p999 = 0, max = 0;
  double same_top = 0, same_top_error = 0;        // share of positions with the same most likely token
  double delta_p_rms = 0, delta_p_rms_error = 0;  // root mean square of p(next token) - base p(next token)
  double delta_p = 0, delta_p_error = 0;          // its mean: below 0, the model is the less sure
  double base_perplexity = 0;
  double ratio = 0, ratio_error = 0;  // perplexity / base perplexity
};

struct PerplexityResult {
  double perplexity = 0;
  double error = 0;    // standard error of the perplexity
  double nll = 0;      // mean negative log-likelihood, nats a token
  int64_t tokens = 0;  // predictions scored
  int chunks = 0;
  int context = 0, stride = 0;           // as used
  std::optional<Divergence> divergence;  // with a base; on_chunk sees its means only
};

// `text` is encoded once. Without a stride it is cut into chunks of `context` ids; in each the positions
// context/2 .. context-2 predict their next token. With a stride, as Hugging Face's transformers define it: window i
// begins at i * stride, and of its tokens those are scored that no window before has scored, so that every token but
// the first is scored once, with at least context - stride tokens before it (in the first window fewer). Where the
// model adds a BOS, it takes the place of each chunk's first id. `on_chunk` is called on the calling thread after each
// chunk with the figures so far. Files of probabilities: docs/formats/kl.md. From any thread. Throws Error kBadInput
// where the text is shorter than one chunk or the base is of another text or vocabulary, kUsage where it has another
// context or stride, kBadFile, kIo.
PerplexityResult perplexity(std::shared_ptr<const Model> model, std::string_view text, const PerplexityOptions& options,
                            const std::function<void(const PerplexityResult&, int chunks_total)>& on_chunk = {});

}  // namespace fieldprint
