// A model's tensors, taken out of its file by the architecture's plan: each must be there and of the shape that the
// hyperparameters ask for, and none may be left over: a tensor nobody asked for means that the file is not what the
// architecture takes it for. Views into the file, which outlives them; vectors, biases and kernels are float32 copies.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "gguf/gguf.h"
#include "models/plan.h"
#include "ops/ops.h"

namespace fieldprint {

class Weights {
 public:
  // Throws Error kBadFile, and kUnsupported where a tensor is left over or has longer rows than kernels can hold.
  Weights(const GgufFile& file, const TensorPlan& plan, const Hyperparameters& hp);

  // By its name in the plan. A matrix has the file's type and lies in the file; a stack of matrices is one of all their
  // rows; a vector is F32 with one row, a convolution's kernel F32 [taps, width]. Without a type where the
  // architecture, this model or this layer has no such tensor.
  const Weight& operator()(const std::string& name) const;
  const Weight& operator()(const std::string& name, int layer) const;

  int64_t elements() const { return elements_; }
  int64_t idle_elements() const { return idle_; }  // of experts that a token does not choose

  // Tensors that the plan names and no block has asked for: none, or the model would not be what the file says.
  std::vector<std::string> unused() const;

 private:
  struct Entry {
    Weight weight;
    mutable bool used = false;
  };
  Weight view(const GgufFile& file, const PlannedTensor& planned);

  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::vector<float>> storage_;
  int64_t elements_ = 0, idle_ = 0;
};

}  // namespace fieldprint
