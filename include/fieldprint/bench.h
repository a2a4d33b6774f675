// How fast a model runs here, beside what the machine can do at most.
// A measurement uses all of the model's threads: other sessions of the same model wait meanwhile. From any thread.
#pragma once

#include <memory>

#include "fieldprint/model.h"
#include "fieldprint/progress.h"
#include "fieldprint/session.h"

namespace fieldprint {

// The machine's limits with the model's threads and kernels. Figures are told as shares of these.
struct Ceilings {
  double read_bandwidth = 0;  // bytes/s from memory
  double int8_rate = 0;       // 8-bit integer operations/s; a product and a sum are two
  double f32_rate = 0;        // float32 operations/s, counted the same way
};

// Takes about a second and 512 MiB of memory.
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

// Runs `task` once to warm up and then `repeats` times measured, on sequences of its own; a profile in `options` gets
// the measured ones. `progress` counts repeats. Throws Error kUsage for a task without tokens, streams or repeats;
// kLimit beyond the context, or where `progress` returned false.
BenchRow bench(std::shared_ptr<const Model> model, const BenchTask& task, const SessionOptions& options, int repeats,
               const Progress& progress = {});

}  // namespace fieldprint
