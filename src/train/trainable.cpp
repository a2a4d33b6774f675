#include "train/trainable.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "fieldprint/error.h"
#include "kernels/select.h"

namespace fieldprint {
namespace {

constexpr int kPage = 64;  // positions: a tile, so that the walk finds whole ones

// The rows of a step that have a loss.
struct Rows {
  std::vector<TokenId> targets;
  std::vector<float> weights;
  std::vector<TokenId> top_ids;
  std::vector<float> top_logp;
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

StepLoss Trainable::loss(const MicroBatch& documents, bool backward, double scale, float temperature) {
  StepLoss result;
  Rows rows;
  std::vector<std::vector<int>> some(documents.size());
  std::vector<std::unique_ptr<SequenceState>> states;
  std::vector<StepSequence> step;
  const int k = documents.empty() ? 0 : documents[0]->k;
  for (size_t d = 0; d < documents.size(); ++d) {
    const Example& document = *documents[d];
    assert(document.weights.size() == document.tokens.size() && document.k == k);
    if (static_cast<int64_t>(document.tokens.size()) > hyperparameters().context + int64_t{1}) {
      throw Error(ErrorKind::kUsage, fmt::format("a document of {} tokens is longer than the model's context of {}",
                                                 document.tokens.size(), hyperparameters().context));
    }
    for (size_t i = 1; i < document.tokens.size(); ++i) {
      if (document.weights[i] == 0) continue;
      some[d].push_back(static_cast<int>(i) - 1);
      rows.targets.push_back(document.tokens[i]);
      rows.weights.push_back(document.weights[i]);
      const auto from = static_cast<std::ptrdiff_t>(i) * k;
      rows.top_ids.insert(rows.top_ids.end(), document.top_ids.begin() + from, document.top_ids.begin() + from + k);
      rows.top_logp.insert(rows.top_logp.end(), document.top_logp.begin() + from, document.top_logp.begin() + from + k);
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
  Tensor losses = k > 0 ? ops.distillation(logits, {k, rows.top_ids, rows.top_logp}, rows.weights, temperature)
                        : ops.cross_entropy(logits, rows.targets, rows.weights);
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
