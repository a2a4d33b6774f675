// How fast a model runs here, beside what the machine can do at most.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fieldprint/model.h"
#include "fieldprint/progress.h"
#include "fieldprint/session.h"

namespace fieldprint {

// What the machine does at most with the model's threads and kernels: what figures are shares of.
struct Ceilings {
  double read_bandwidth = 0;  // bytes/s from memory
  double int8_rate = 0;       // operations/s; a product and a sum are two
  double f32_rate = 0;
};
Ceilings measure_ceilings(const Model& model);

struct BenchTask {
  enum class Kind { kPrefill, kDecode, kStreams };
  Kind kind = Kind::kPrefill;
  int tokens = 512;  // random ones: in one go, or one by one; kStreams: the prompt of each stream
  int depth = 0;     // tokens that are there already, in each stream
  int streams = 1;   // kStreams: sequences side by side: their prompts, then steps with a token of each
  int answer = 0;    // kStreams: those steps
};

struct BenchRow {
  BenchTask task;
  double median = 0, least = 0, most = 0;  // tokens/s; kStreams: generated ones, by the time of prompts and steps
  double decode_rate = 0;                  // kStreams: generated tokens/s of the steps alone
  // What follows is measured at the median; kStreams: of the steps alone.
  double bytes_per_second = 0;  // of weights (once a step, of experts those that were chosen), keys and values
  double int8_operations_per_second = 0;   // in products with quantised weights, keys and values
  double float_operations_per_second = 0;  // in other products
};

// Runs `task` once unmeasured and `repeats` times measured, on sequences of its own; a profile in `options` gets the
// measured ones. Throws as Session does, kLimit where `progress` (in repeats) returned false, kUnsupported for streams
// of the reference executor.
BenchRow bench(std::shared_ptr<const Model> model, const BenchTask& task, const SessionOptions& options, int repeats,
               const Progress& progress = {});

}  // namespace fieldprint
