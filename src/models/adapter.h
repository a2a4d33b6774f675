// An adapter's file for a model: its matrices as float32, as the model's tensors lie. A file is hostile until checked:
// every shape is held against the model's, every number is finite. docs/lora.md
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fieldprint/adapter.h"
#include "gguf/gguf.h"
#include "models/weights.h"

namespace fieldprint {

// A matrix of an adapter's file, or a stack of them.
struct AdapterMatrix {
  const QuantType* type = nullptr;
  std::array<uint64_t, 3> shape{1, 1, 1};  // fastest first: {inputs, rank, experts} of A, {rank, outputs, experts} of B
  const std::byte* data = nullptr;         // of any alignment

  uint64_t elements() const { return shape[0] * shape[1] * shape[2]; }
  uint64_t bytes() const { return type->bytes(elements()); }
};

// What is in an adapter's file, whatever the model.
struct AdapterContents {
  struct Pair {
    std::string name;  // of the matrix that it changes: the tensor's here, the module's on Hugging Face
    AdapterMatrix a, b;
    uint64_t rank() const { return a.shape[1]; }
  };
  AdapterInfo info;  // all but `tensors` and `parameters`
  bool peft = false;
  std::vector<Pair> pairs;           // each of one rank, of as many matrices in A as in B
  std::shared_ptr<const void> file;  // that the data lie in

  float scale(uint64_t rank) const;
};

// Throws as inspect_adapter().
AdapterContents read_adapter(const std::string& path);

class Adapter {
 public:
  // Throws as inspect_adapter(); kUsage where it is no adapter of `model` or the scale is not finite.
  Adapter(const AdapterFile& file, const GgufFile& model);
  Adapter(Adapter&&) = default;  // no copy: additions point into one's own values

  // For WeightOptions. They live as long as the adapter.
  std::span<const Addition> additions() const { return additions_; }

 private:
  std::deque<std::vector<float>> values_;
  std::vector<Addition> additions_;
};

}  // namespace fieldprint
