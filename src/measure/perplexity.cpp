#include "fieldprint/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/sha256.h"
#include "engine/finite.h"
#include "engine/likelihood.h"
#include "engine/loaded_model.h"
#include "fieldprint/error.h"
#include "measure/divergence.h"
#include "measure/kl_base.h"

namespace fieldprint {
namespace {

constexpr int kUsualContext = 512;

// Tokens [begin, end) of the text; those from `first` on are predicted and scored.
struct Window {
  size_t begin, end, first;
};

std::vector<Window> cut(size_t tokens, size_t context, size_t stride) {
  std::vector<Window> windows;
  if (stride == 0) {
    for (size_t i = 0; i + context <= tokens; i += context) windows.push_back({i, i + context, i + context / 2 + 1});
    return windows;
  }
  for (size_t begin = 0, scored = 1; scored < tokens; begin += stride) {
    const size_t end = std::min(begin + context, tokens);
    windows.push_back({begin, end, scored});
    scored = end;
  }
  return windows;
}

// SHA-256 of the tokens in order, each with its length before it.
std::string vocabulary_hash(const GgufFile& file) {
  Sha256 hash;
  const auto update = [&](std::string_view text) {
    const uint64_t size = text.size();
    hash.update(std::as_bytes(std::span(&size, 1)));
    hash.update(std::as_bytes(std::span(text)));
  };
  update(file.string("tokenizer.ggml.model", ""));
  if (const GgufArray* tokens = file.array("tokenizer.ggml.tokens"); tokens != nullptr) {
    for (const std::string_view token : tokens->strings) update(token);
  }
  return hash.hex();
}

void check_base(const KlHeader& base, const KlHeader& ours, const std::string& path) {
  const auto refuse = [&](ErrorKind kind, const std::string& what, const char* hint) {
    throw Error(kind, what, path, hint);
  };
  if (base.vocabulary != ours.vocabulary || base.tokens != ours.tokens) {
    refuse(ErrorKind::kBadInput, "was made by a model with another vocabulary",
           "only models with the same tokens can be compared");
  }
  if (base.text != ours.text)
    refuse(ErrorKind::kBadInput, "was made on another text", "the same file must be given, to the byte");
  const auto check = [&](const char* what, uint32_t had, uint32_t asked) {
    if (had != asked)
      refuse(ErrorKind::kUsage, fmt::format("was made with a {} of {}, not {}", what, had, asked), "leave it out here");
  };
  check("window", base.context, ours.context);
  check("stride", base.stride, ours.stride);
}

}  // namespace

PerplexityResult perplexity(std::shared_ptr<const Model> model, std::string_view text, const PerplexityOptions& options,
                            const std::function<void(const PerplexityResult&, int)>& on_chunk) {
  const LoadedModel& own = loaded(*model);
  std::optional<KlBase> base;
  if (!options.kl_base.empty()) base.emplace(options.kl_base);
  const auto chosen = [](int asked, std::optional<uint32_t> of_base, int usual) {
    return asked != 0 ? asked : of_base ? static_cast<int>(std::min<uint32_t>(*of_base, INT32_MAX)) : usual;
  };
  PerplexityResult result;
  const int c = chosen(options.context, base ? std::optional(base->header().context) : std::nullopt, kUsualContext);
  const int stride = chosen(options.stride, base ? std::optional(base->header().stride) : std::nullopt, 0);
  if (c < 4) throw Error(ErrorKind::kUsage, fmt::format("chunks of {} tokens", c), "--window", "at least 4");
  if (stride < 0 || stride >= c) {
    throw Error(ErrorKind::kUsage, fmt::format("a stride of {} for windows of {} tokens", stride, c), "--stride",
                "from 1 to one less than the window");
  }
  result.context = c;
  result.stride = stride;

  KlHeader header;
  header.vocabulary = static_cast<uint32_t>(own.info().vocabulary);
  header.context = static_cast<uint32_t>(c);
  header.stride = static_cast<uint32_t>(stride);
  if (base || !options.kl_save.empty()) {
    header.tokens = vocabulary_hash(own.file());
    header.text = sha256_hex(std::as_bytes(std::span(text)));
  }
  if (base) check_base(base->header(), header, options.kl_base);

  const Tokenizer& tokenizer = model->tokenizer();
  std::vector<TokenId> ids = tokenizer.encode(text, {.add_special = true, .parse_special = false});
  if (!ids.empty() && ids.back() == tokenizer.eos() && tokenizer.eos() != kNoToken) ids.pop_back();
  std::vector<Window> windows = cut(ids.size(), static_cast<size_t>(c), static_cast<size_t>(stride));
  if (windows.empty()) {
    throw Error(ErrorKind::kBadInput, fmt::format("the text is {} tokens, a chunk {}", ids.size(), c), {},
                "a longer text or a smaller -c");
  }
  if (options.chunks > 0) windows.resize(std::min(windows.size(), static_cast<size_t>(options.chunks)));
  if (base) windows.resize(std::min<size_t>(windows.size(), base->header().chunks));
  header.chunks = static_cast<uint32_t>(windows.size());
  for (const Window& w : windows) header.positions += w.end - w.first;
  if (base && header.positions > base->header().positions) {
    throw Error(ErrorKind::kBadFile,
                fmt::format("holds {} positions, {} are scored", base->header().positions, header.positions),
                options.kl_base);
  }
  std::optional<KlBaseWriter> writer;
  if (!options.kl_save.empty()) {
    header.model = own.fingerprint();
    writer.emplace(options.kl_save, header);
  }

  SessionOptions session_options = options.session;
  session_options.context = c;
  Session session(model, session_options);
  DivergenceSum divergence;
  double sum = 0, squares = 0;
  for (const Window& w : windows) {
    std::vector<TokenId> chunk(ids.begin() + static_cast<ptrdiff_t>(w.begin),
                               ids.begin() + static_cast<ptrdiff_t>(w.end));
    if (tokenizer.adds_bos()) chunk[0] = tokenizer.bos();
    session.truncate(0);
    const size_t first = w.first - w.begin - 1;  // positions first .. size - 2 predict their next token
    session.append(std::span(chunk).first(first));
    const auto score = [&](int index, std::span<const float> logits) {
      if (!all_finite(logits)) throw NotFinite();
      const TokenId target = chunk[first + static_cast<size_t>(index) + 1];
      const double nll = negative_log_likelihood(logits, target);
      if (writer) writer->add(logits, target);
      if (base) divergence.add(base->read(static_cast<uint64_t>(result.tokens)), logits, nll);
      sum += nll;
      squares += nll * nll;
      ++result.tokens;
    };
    try {
      session.append(std::span(chunk).subspan(first, chunk.size() - 1 - first), score);
    } catch (const NotFinite&) {
      throw not_finite_error(loaded(model), session_options, chunk);
    }
    const auto n = static_cast<double>(result.tokens);
    ++result.chunks;
    result.nll = sum / n;
    result.perplexity = std::exp(result.nll);
    const double variance = std::max(0.0, squares / n - result.nll * result.nll);
    result.error = n > 1 ? result.perplexity * std::sqrt(variance / (n - 1)) : 0;
    if (base) result.divergence = divergence.means();
    if (on_chunk) on_chunk(result, static_cast<int>(windows.size()));
  }
  if (base) result.divergence = divergence.result();
  if (writer) writer->commit();
  return result;
}

}  // namespace fieldprint
