#include <fmt/format.h>

#include <cmath>

#include "engine/likelihood.h"
#include "fieldprint/error.h"
#include "fieldprint/evaluate.h"

namespace fieldprint {
PerplexityResult perplexity(std::shared_ptr<const Model> model, std::string_view text, const PerplexityOptions& options,
                            const std::function<void(const PerplexityResult&, int)>& on_chunk) {
  const int c = options.context;
  if (c < 4) throw Error(ErrorKind::kUsage, fmt::format("chunks of {} tokens", c), "--context", "at least 4");
  const Tokenizer& tokenizer = model->tokenizer();
  std::vector<TokenId> ids = tokenizer.encode(text, {.add_special = true, .parse_special = false});
  if (!ids.empty() && ids.back() == tokenizer.eos() && tokenizer.eos() != kNoToken) ids.pop_back();
  const int available = static_cast<int>(ids.size()) / c;
  if (available == 0) throw Error(ErrorKind::kBadInput, fmt::format("the text is {} tokens, a chunk {}", ids.size(), c), {}, "a longer text or a smaller -c");
  const int chunks = options.chunks > 0 ? std::min(options.chunks, available) : available;

  SessionOptions session_options = options.session;
  session_options.context = c;
  Session session(model, session_options);
  PerplexityResult result;
  double sum = 0, squares = 0;
  for (int i = 0; i < chunks; ++i) {
    std::vector<TokenId> chunk(ids.begin() + int64_t{i} * c, ids.begin() + int64_t{i + 1} * c);
    if (tokenizer.adds_bos()) chunk[0] = tokenizer.bos();
    session.truncate(0);
    const int first = c / 2;  // positions first .. c - 2 predict their next token
    session.append(std::span(chunk).first(static_cast<size_t>(first)));
    session.append(std::span(chunk).subspan(static_cast<size_t>(first), static_cast<size_t>(c - 1 - first)),
                   [&](int index, std::span<const float> logits) {
                     const double nll = negative_log_likelihood(logits, chunk[static_cast<size_t>(first + index + 1)]);
                     sum += nll;
                     squares += nll * nll;
                     ++result.tokens;
                   });
    const auto n = static_cast<double>(result.tokens);
    result.chunks = i + 1;
    result.nll = sum / n;
    result.perplexity = std::exp(result.nll);
    const double variance = std::max(0.0, squares / n - result.nll * result.nll);
    result.error = n > 1 ? result.perplexity * std::sqrt(variance / (n - 1)) : 0;
    if (on_chunk) on_chunk(result, chunks);
  }
  return result;
}

}  // namespace fieldprint
