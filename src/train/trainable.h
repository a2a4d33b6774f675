// A model that is trained: its file, its forward pass by the executor `run`, and gradients of what is trained of it.
// The forward pass is that of the engine, so the loss here is that of the answers there, bit for bit.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "gguf/gguf.h"
#include "models/architecture.h"
#include "ops/run_executor.h"
#include "train/example.h"
#include "train/optimizer.h"

namespace fieldprint {

struct TrainableOptions {
  int threads = 0;       // 0 = one per core
  std::string isa = {};  // "" = the best of this CPU
  std::string kv_type = "f32";
  // What of the file is trained: WeightOptions::trained. nullptr: nothing, adapters alone.
  std::function<bool(const std::string& tensor)> trained = {};
  // Matrices that are added to the file's, and what of them is trained; they outlive the model.
  std::vector<Addition> additions = {};
  std::vector<Parameter> adapters = {};
  double balance = 0;  // Tape::balance_experts() for a whole step: a micro-batch has its share of the step's weight
};

// What a step over a micro-batch gave.
struct StepLoss {
  double sum = 0;      // over the tokens that count: weight * loss, in nats
  double weight = 0;   // of these
  int64_t passed = 0;  // tokens that passed the model
  // Of the tokens that count, document after document: the loss, and whether the model found it the likeliest.
  std::vector<float> losses;
  std::vector<bool> right;
};

// One call at a time.
class Trainable {
 public:
  // Throws as load_architecture(); Error kUnsupported for an encoder, kUsage where nothing is trained.
  Trainable(std::shared_ptr<const GgufFile> file, const TrainableOptions& options);

  const Hyperparameters& hyperparameters() const { return architecture_->hyperparameters(); }
  const GgufFile& file() const { return *file_; }
  ThreadPool& pool() { return *pool_; }
  // The file's tensors that are trained, then adapters.
  std::span<const Parameter> parameters() const { return parameters_; }
  std::span<const TrainedTensor> tensors() const { return architecture_->weights().trained(); }

  // The documents' loss; tokens of weight 0 are read alone. With `backward`, gradients() become those of scale * sum.
  // Of a document with a teacher's distributions the loss is teacher_share times the divergence from these (at a
  // temperature), and for the rest that of its tokens. Throws Error kUsage for a document that is longer than the
  // model's context.
  StepLoss loss(const MicroBatch& documents, bool backward, double scale = 1, float temperature = 1,
                float teacher_share = 1);
  std::span<float> gradients() { return gradients_; }  // of all parameters, one after the other

  void observe(OpsObserver* observer) { executor_->observe(observer); }  // of the next forward passes

 private:
  std::shared_ptr<const GgufFile> file_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Architecture> architecture_;
  std::unique_ptr<RunExecutor> executor_;
  std::vector<Parameter> parameters_;
  std::vector<float> gradients_;
  std::unique_ptr<Tape<float>> tape_;
  double balance_;
};

}  // namespace fieldprint
