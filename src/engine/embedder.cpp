#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <cmath>

#include "engine/finite.h"
#include "engine/stepper.h"
#include "fieldprint/embed.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

struct PoolingRow {
  Pooling pooling;
  const char* name;
  int in_file;  // hparams.h
};
constexpr PoolingRow kPoolings[] = {
    {Pooling::kModel, "model", -1},
    {Pooling::kMean, "mean", 1},
    {Pooling::kFirst, "first", 2},
    {Pooling::kLast, "last", 3},
};

// What the file says; the mean where it says nothing.
Pooling pooling_of(const Hyperparameters& hp) {
  for (const PoolingRow& row : kPoolings)
    if (row.in_file == static_cast<int>(hp.pooling)) return row.pooling;
  return Pooling::kMean;
}

}  // namespace

std::string_view pooling_name(Pooling pooling) {
  for (const PoolingRow& row : kPoolings)
    if (row.pooling == pooling) return row.name;
  return {};
}

std::vector<std::string> pooling_names() {
  std::vector<std::string> names;
  for (const PoolingRow& row : kPoolings) names.emplace_back(row.name);
  return names;
}

Pooling pooling_named(std::string_view name) {
  for (const PoolingRow& row : kPoolings)
    if (row.name == name) return row.pooling;
  throw Error(ErrorKind::kUsage, fmt::format("there is no pooling '{}'", name), "--pooling",
              fmt::format("one of {}", fmt::join(pooling_names(), ", ")));
}

bool is_encoder(const Model& model) { return loaded(model).architecture().hyperparameters().encoder; }

struct Embedder::State {
  EmbedOptions options;
  std::shared_ptr<Stepper> stepper;
  Pooling pooling;

  State(std::shared_ptr<const Model> model, const EmbedOptions& asked)
      : options(asked),
        stepper(std::make_shared<Stepper>(loaded(std::move(model)), asked.session, Stepper::Use::kTexts)),
        pooling(asked.pooling == Pooling::kModel ? pooling_of(hp()) : asked.pooling) {
    if (!hp().encoder) {
      throw Error(ErrorKind::kUnsupported,
                  "the model writes text and is no encoder: it was not trained to make vectors",
                  stepper->model().info().path, "an embedding model such as all-minilm-l6-v2");
    }
    if (options.batch < 0) throw Error(ErrorKind::kUsage, fmt::format("{} is out of range", options.batch), "--batch");
  }

  const Hyperparameters& hp() const { return stepper->model().architecture().hyperparameters(); }
  size_t width() const { return static_cast<size_t>(hp().width); }
  size_t batch() const { return static_cast<size_t>(options.batch > 0 ? options.batch : stepper->chunk()); }

  // One step of whole texts. take(rows [tokens of all texts, width]).
  void pass(std::span<const std::vector<TokenId>> texts, const std::function<void(std::span<const float>)>& take) {
    std::vector<Sequence> sequences;
    std::vector<StepPart> parts;
    sequences.reserve(texts.size());
    for (const auto& ids : texts) {
      sequences.push_back(stepper->begin());
      parts.push_back({&sequences.back(), ids, LogitRows::kAll});
    }
    stepper->step(parts, take);
  }

  // `rows` [tokens, width] of one text -> out [width].
  void pool(std::span<const float> rows, float* out) const {
    const size_t n = width(), tokens = rows.size() / n;
    std::vector<double> sum(n);
    const size_t first = pooling == Pooling::kLast ? tokens - 1 : 0, end = pooling == Pooling::kFirst ? 1 : tokens;
    for (size_t t = first; t < end; ++t)
      for (size_t i = 0; i < n; ++i) sum[i] += static_cast<double>(rows[t * n + i]);
    double squares = 0;
    for (double& value : sum) {
      value /= static_cast<double>(end - first);
      squares += value * value;
    }
    const double scale = options.normalize && squares > 0 ? 1 / std::sqrt(squares) : 1;
    for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(sum[i] * scale);
  }

  std::vector<float> embed(std::span<const std::vector<TokenId>> texts, const Progress& progress) {
    std::vector<float> all(texts.size() * width());
    uint64_t total = 0, done = 0;
    for (const auto& ids : texts) total += ids.size();
    for (size_t begin = 0; begin < texts.size();) {
      size_t end = begin, tokens = 0;
      while (end < texts.size() && (end == begin || tokens + texts[end].size() <= batch()))
        tokens += texts[end++].size();
      pass(texts.subspan(begin, end - begin), [&](std::span<const float> rows) {
        size_t at = 0;
        for (size_t i = begin; i < end; ++i) {
          const size_t count = texts[i].size() * width();
          pool(rows.subspan(at, count), all.data() + i * width());
          at += count;
        }
      });
      begin = end;
      done += tokens;
      if (progress && !progress("embed", done, total)) throw Error(ErrorKind::kLimit, "stopped");
    }
    if (!all_finite(all)) {
      throw Error(ErrorKind::kBadFile, "the model's vectors are not finite numbers", stepper->model().info().path,
                  "the file may be damaged: fetch it again");
    }
    return all;
  }

  // `number` counts from 1; 0: it stands alone.
  static std::string name_of(size_t number) { return number == 0 ? "the text" : fmt::format("text {}", number); }
  void check_size(size_t tokens, size_t number) const {
    const auto context = static_cast<size_t>(stepper->context());
    if (tokens <= context) return;
    throw Error(ErrorKind::kLimit, fmt::format("{} is {} tokens, the model reads {}", name_of(number), tokens, context),
                {}, "--truncate leaves the end of such texts out; better cut them into parts");
  }
};

Embedder::Embedder(std::shared_ptr<const Model> model, const EmbedOptions& options)
    : state_(std::make_unique<State>(std::move(model), options)) {}
Embedder::~Embedder() = default;
Embedder::Embedder(Embedder&&) noexcept = default;
Embedder& Embedder::operator=(Embedder&&) noexcept = default;

int Embedder::width() const { return static_cast<int>(state_->width()); }
Pooling Embedder::pooling() const { return state_->pooling; }
const Model& Embedder::model() const { return state_->stepper->model(); }

std::vector<TokenId> Embedder::tokens(std::string_view text) const {
  const Tokenizer& tokenizer = model().tokenizer();
  std::vector<TokenId> ids = tokenizer.encode(text, {.add_special = true, .parse_special = false});
  const auto context = static_cast<size_t>(state_->stepper->context());
  if (!state_->options.truncate || ids.size() <= context) return ids;
  const TokenId last = ids.back();
  ids.resize(context);
  if (last == tokenizer.eos()) ids.back() = last;  // [SEP], which the model knows to stand at the end
  return ids;
}

std::vector<float> Embedder::embed(std::span<const std::string> texts, const Progress& progress) {
  std::vector<std::vector<TokenId>> ids;
  ids.reserve(texts.size());
  for (const std::string& text : texts) ids.push_back(tokens(text));
  return embed_tokens(ids, progress);
}

std::vector<float> Embedder::embed(std::string_view text) {
  const std::vector<TokenId> ids[] = {tokens(text)};
  return embed_tokens(ids);
}

std::vector<float> Embedder::embed_tokens(std::span<const std::vector<TokenId>> texts, const Progress& progress) {
  for (size_t i = 0; i < texts.size(); ++i) {
    const size_t number = texts.size() > 1 ? i + 1 : 0;
    if (texts[i].empty())
      throw Error(ErrorKind::kBadInput, State::name_of(number) + " has no tokens, so it has no vector");
    state_->check_size(texts[i].size(), number);
    state_->stepper->check_ids(texts[i]);
  }
  return state_->embed(texts, progress);
}

std::vector<float> Embedder::token_vectors(std::span<const TokenId> tokens) {
  const std::vector<TokenId> ids[] = {{tokens.begin(), tokens.end()}};
  if (tokens.empty()) return {};
  state_->check_size(tokens.size(), 0);
  state_->stepper->check_ids(tokens);
  std::vector<float> all;
  state_->pass(ids, [&](std::span<const float> rows) { all.assign(rows.begin(), rows.end()); });
  return all;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  assert(a.size() == b.size());
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    dot += x * y, aa += x * x, bb += y * y;
  }
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : 0;
}

}  // namespace fieldprint
