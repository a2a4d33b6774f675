#include "train/trainable.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "fieldprint/error.h"
#include "kernels/select.h"

namespace fieldprint {
namespace {

constexpr int kPage = 64;  // positions: a tile, so that the walk finds whole ones

// The rows of a step that have a loss: of the token that came, of a teacher's distribution, or of both by shares.
struct Rows {
  std::vector<TokenId> targets;
  std::vector<float> weights, teacher_weights;
  int k = 0;  // of all: those of documents with fewer are filled up
  std::vector<TokenId> top_ids;
  std::vector<float> top_logp, top_tail;

  bool any(const std::vector<float>& w) const {
    return std::any_of(w.begin(), w.end(), [](float x) { return x != 0; });
  }

  // Of a document's token that counts, the `learned`-th of these.
  void add(const Example& document, size_t token, size_t learned, float teacher_share) {
    const float weight = document.weights[token], share = document.k > 0 ? teacher_share : 0;
    targets.push_back(document.tokens[token]);
    weights.push_back((1 - share) * weight);
    teacher_weights.push_back(share * weight);
    const auto from = static_cast<std::ptrdiff_t>(learned) * document.k;
    top_ids.insert(top_ids.end(), document.top_ids.begin() + from, document.top_ids.begin() + from + document.k);
    top_ids.resize(targets.size() * static_cast<size_t>(k), kNoToken);
    top_logp.insert(top_logp.end(), document.top_logp.begin() + from, document.top_logp.begin() + from + document.k);
    top_logp.resize(top_ids.size());
    top_tail.push_back(document.k > 0 ? document.top_tail[learned] : 0);
  }
};

bool decays(const TrainedTensor& tensor) { return tensor.shape.size() > 1 && !tensor.name.ends_with(".bias"); }

}  // namespace

Trainable::Trainable(std::shared_ptr<const GgufFile> file, const TrainableOptions& options)
    : file_(std::move(file)), balance_(options.balance) {
  const KernelTable& kernels = select_kernels(options.isa);
  const int threads = options.threads > 0 ? options.threads : static_cast<int>(std::thread::hardware_concurrency());
  pool_ = std::make_unique<ThreadPool>(std::max(1, threads));
  ModelOverrides overrides;
  overrides.weights.trained = options.trained;
  overrides.weights.additions = options.additions;
  architecture_ = load_architecture(*file_, overrides);
  const Hyperparameters& hp = hyperparameters();
  if (hp.encoder) {
    throw Error(ErrorKind::kUnsupported, "an encoder has no next token to learn: it cannot be trained", file_->path());
  }
  executor_ = std::make_unique<RunExecutor>(kernels, *pool_, KvLayout(hp.kv, kPage, kv_type(options.kv_type)));
  for (const TrainedTensor& tensor : tensors())
    parameters_.push_back({tensor.name, tensor.values, tensor.count, decays(tensor)});
  parameters_.insert(parameters_.end(), options.adapters.begin(), options.adapters.end());
  int64_t count = 0;
  for (const Parameter& parameter : parameters_) count += parameter.count;
  if (count == 0) throw Error(ErrorKind::kUsage, "nothing of the model is trained", file_->path());
  gradients_.resize(static_cast<size_t>(count));
  tape_ = std::make_unique<Tape<float>>(executor_->arena());
  float* gradient = gradients_.data();
  for (const Parameter& parameter : parameters_) {
    tape_->train(parameter.values, parameter.count, gradient);
    gradient += parameter.count;
  }
}

StepLoss Trainable::loss(const MicroBatch& documents, bool backward, double scale, float temperature,
                         float teacher_share) {
  StepLoss result;
  Rows rows;
  std::vector<std::vector<int>> some(documents.size());
  std::vector<std::unique_ptr<SequenceState>> states;
  std::vector<StepSequence> step;
  for (const Example* document : documents) rows.k = std::max(rows.k, document->k);
  for (size_t d = 0; d < documents.size(); ++d) {
    const Example& document = *documents[d];
    assert(document.weights.size() == document.tokens.size());
    size_t learned = 0;
    if (static_cast<int64_t>(document.tokens.size()) > hyperparameters().context + int64_t{1}) {
      throw Error(ErrorKind::kUsage, fmt::format("a document of {} tokens is longer than the model's context of {}",
                                                 document.tokens.size(), hyperparameters().context));
    }
    for (size_t i = 1; i < document.tokens.size(); ++i) {
      if (document.weights[i] == 0) continue;
      some[d].push_back(static_cast<int>(i) - 1);
      rows.add(document, i, learned++, teacher_share);
      result.weight += static_cast<double>(document.weights[i]);
    }
    if (some[d].empty()) continue;
    // What comes behind the last token that counts teaches nothing.
    const size_t read = static_cast<size_t>(some[d].back()) + 1;
    states.push_back(executor_->new_sequence());
    step.push_back({.state = states.back().get(),
                    .tokens = std::span(document.tokens).first(read),
                    .logits = LogitRows::kSome,
                    .some = some[d]});
    result.passed += static_cast<int64_t>(read);
  }
  std::fill(gradients_.begin(), gradients_.end(), 0.0f);
  if (step.empty()) return result;

  executor_->attach(backward ? tape_.get() : nullptr);
  executor_->begin(step);
  if (backward) {
    tape_->balance_experts(balance_ * scale * result.weight);
    tape_->begin();
  }
  Ops ops(*executor_);
  Tensor logits = architecture_->forward(ops);
  for (int64_t t = 0, n = logits.cols(); t < logits.rows(); ++t) {
    const float* row = executor_->data(logits) + t * n;
    result.right.push_back(std::max_element(row, row + n) - row == rows.targets[static_cast<size_t>(t)]);
  }
  Tensor losses;
  const bool taught = rows.any(rows.teacher_weights);
  if (taught) {
    const TopTokens teacher{rows.k, rows.top_ids, rows.top_logp, rows.top_tail};
    losses = ops.distillation(logits, teacher, rows.teacher_weights, temperature);
  }
  if (!taught || rows.any(rows.weights)) {
    Tensor of_tokens = ops.cross_entropy(logits, rows.targets, rows.weights);
    if (taught) ops.add(losses, of_tokens);
    else losses = std::move(of_tokens);
  }
  logits = Tensor();
  result.losses.assign(executor_->data(losses), executor_->data(losses) + losses.rows());
  for (const float loss : result.losses) result.sum += static_cast<double>(loss);
  if (backward) {
    const std::vector<float> seed(result.losses.size(), static_cast<float>(scale));
    tape_->backward(losses, seed.data());
  }
  executor_->finish(std::move(losses));
  return result;
}

}  // namespace fieldprint
