// The loop of a training. A step sums the gradients of its micro-batches by one binary tree over their numbers, divides
// by the weight of all tokens of the step that count, clips, and lets the optimiser move the parameters. What a step
// trains on is a function of its number alone, so a training that was killed goes on from its last checkpoint to the
// same bits; the number of threads changes none either.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "train/checkpoint.h"  // where they lie in a folder
#include "train/gradient_sum.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/trainable.h"

namespace fieldprint {

// The documents of each step.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // The micro-batches of step 1, 2, ...: always the same for one number. Valid until the next call.
  virtual std::vector<MicroBatch> batch(int64_t step) = 0;
  // Says what the batches are made of, so that a checkpoint of other data is refused.
  virtual std::string fingerprint() const = 0;
};

struct TrainerOptions {
  OptimizerOptions optimizer;
  Schedule schedule;
  double clip = 0;          // of the gradient's norm over all parameters; 0: none
  float temperature = 1;    // of documents with a teacher
  float teacher_share = 1;  // of the divergence from it in their loss, 0 to 1; the rest is that of their tokens
  uint64_t seed = 0;        // of whatever drew the data and the parameters; part of a checkpoint's identity
};

struct StepReport {
  int64_t step = 0;
  double loss = 0;      // mean over the tokens that count, in nats
  double accuracy = 0;  // share of these that the model found the likeliest
  double weight = 0;    // of these
  int64_t passed = 0;   // tokens that passed the model
  double norm = 0;      // of the gradient, before it was clipped
  double learning_rate = 0;
  double seconds = 0;
  bool skipped = false;  // loss or gradient was no finite number, or no token counted: nothing moved
};

struct EvalReport {
  double loss = 0, accuracy = 0, weight = 0;
};

class Trainer {
 public:
  // `model` and `source` outlive it. Throws Error kUsage for options out of range.
  Trainer(Trainable& model, BatchSource& source, const TrainerOptions& options);
  ~Trainer();

  int64_t step() const { return step_; }  // steps done
  int64_t skipped() const { return skipped_; }
  StepReport advance();
  EvalReport evaluate(std::span<const MicroBatch> batches);

  // Parameters, moments, step and counts, whole or not at all (docs/formats/checkpoint.md). `extra` is kept for whoever
  // drives the loop: JSON text. Throws Error kIo.
  void save(const std::string& path, const std::string& extra = "") const;
  // Returns `extra`. Throws Error kNotFound, kIo, kBadFile; kUsage for a checkpoint of another model, other data or
  // options.
  std::string resume(const std::string& path);

 private:
  Trainable& model_;
  BatchSource& source_;
  TrainerOptions options_;
  std::unique_ptr<Optimizer> optimizer_;
  GradientSum sum_;
  int64_t step_ = 0, skipped_ = 0;
};

}  // namespace fieldprint
