// What turns gradients into steps. Element by element, in float32 with one order of operations: the same bits for any
// number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_pool.h"

namespace fieldprint {

// Something that is trained: `count` float32 numbers that ops read.
struct Parameter {
  std::string name;
  float* values = nullptr;
  int64_t count = 0;
  bool decays = true;  // weight decay applies: a matrix, not a norm's weights nor a bias
};

// In float64, so that 1 - beta is rounded once, as elsewhere.
struct OptimizerOptions {
  std::string_view name = "adamw";                // or "sgd"
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // of AdamW
  double momentum = 0;                            // of SGD
  double weight_decay = 0;                        // decoupled (Loshchilov & Hutter 2019)
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // values -= what `gradients` and the moments say, at that learning rate; `step` counts these calls from 1. Gradients
  // are those of all parameters, one after the other.
  virtual void step(std::span<const Parameter> parameters, std::span<const float> gradients, int64_t step,
                    double learning_rate, ThreadPool& pool) = 0;
  // What it keeps from one step to the next, by name, each of all parameters as gradients are: for checkpoints.
  virtual std::vector<std::pair<std::string, std::span<float>>> moments() = 0;
};

// Throws Error kUsage for an unknown name and for numbers out of range.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options, std::span<const Parameter> parameters);

}  // namespace fieldprint
