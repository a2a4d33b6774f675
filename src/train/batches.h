// The documents of each step of a training on a data set: epochs, each in an order of its own that the seed decides;
// the documents of a step packed into few micro-batches. All of it is a function of the step's number.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "train/example.h"
#include "train/trainer.h"

namespace fieldprint {

// Best fit decreasing: the longest first, each into the fullest micro-batch that has room. No micro-batch has more than
// `max_tokens`, unless of a single document that is longer. Micro-batches in the order of their making.
std::vector<MicroBatch> pack(std::span<const Example* const> documents, int64_t max_tokens);

struct BatchOptions {
  int64_t documents = 8;      // a step, at least 1; an epoch's last step may have fewer
  int64_t max_tokens = 2048;  // a micro-batch
  uint64_t seed = 0;
};

class DatasetBatches : public BatchSource {
 public:
  // `examples` outlive it and are not none; `fingerprint` is theirs.
  DatasetBatches(std::span<const Example> examples, std::string fingerprint, const BatchOptions& options);

  int64_t steps_per_epoch() const;
  std::vector<MicroBatch> batch(int64_t step) override;
  std::string fingerprint() const override;

 private:
  std::span<const Example> examples_;
  std::string fingerprint_;
  BatchOptions options_;
  int64_t epoch_ = -1;  // that order_ is of
  std::vector<size_t> order_;
};

}  // namespace fieldprint
