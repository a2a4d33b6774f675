// A model's tensors, taken out of its file by the architecture's plan: each must be there and of the shape that the
// hyperparameters ask for, and none may be left over: a tensor nobody asked for means that the file is not what the
// architecture takes it for. Views into the file, which outlives them; vectors, biases and kernels are float32 copies.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "gguf/gguf.h"
#include "models/plan.h"
#include "ops/ops.h"

namespace fieldprint {

// What an adapter adds to the tensor of that name. Its owner outlives the model.
struct Addition {
  std::string tensor;  // "blk.0.attn_q.weight"
  LowRank low_rank;
};

struct WeightOptions {
  // Which tensors are held as float32 copies that may be written between two steps: those that are trained. nullptr:
  // none.
  std::function<bool(const std::string& name)> trained;
  std::vector<Addition> additions;
};

// A tensor that is held as WeightOptions::trained asks for.
struct TrainedTensor {
  std::string name;
  float* values = nullptr;      // as ops see them
  std::vector<uint64_t> shape;  // as in the file: fastest first
  bool is_kernel = false;       // `values` are [taps, width], the file has [width, taps]
  int64_t count = 0;
};

class Weights {
 public:
  // Throws Error kBadFile, and kUnsupported where a tensor is left over, has longer rows than kernels can hold or
  // cannot have what is to be added to it; kUsage for an addition to a tensor that is not there.
  Weights(const GgufFile& file, const TensorPlan& plan, const Hyperparameters& hp, const WeightOptions& options = {});

  // By its name in the plan. A matrix has the file's type and lies in the file; a stack of matrices is one of all their
  // rows; a vector is F32 with one row, a convolution's kernel F32 [taps, width]. Without a type where the
  // architecture, this model or this layer has no such tensor.
  const Weight& operator()(const std::string& name) const;
  const Weight& operator()(const std::string& name, int layer) const;

  std::span<const TrainedTensor> trained() const { return trained_; }  // in the plan's order

  int64_t elements() const { return elements_; }
  int64_t idle_elements() const { return idle_; }  // of experts that a token does not choose

  // Tensors that the plan names and no block has asked for: none, or the model would not be what the file says.
  std::vector<std::string> unused() const;

 private:
  struct Entry {
    Weight weight;
    mutable bool used = false;
    bool multiplies = false;  // it is a matrix that ops multiply with and do nothing else
  };
  Weight view(const GgufFile& file, const PlannedTensor& planned, bool trained);
  void add(const Addition& addition, const std::string& where);

  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::vector<float>> storage_;
  std::map<std::string, std::vector<LowRank>> additions_;
  std::vector<TrainedTensor> trained_;
  int64_t elements_ = 0, idle_ = 0;
};

}  // namespace fieldprint
