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
Ceilings measure_ceilings(const LoadOptions& options);  // the same without a model

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

// ---- Attention alone: one layer on random keys and values, without a model.

struct AttentionTask {
  std::string kind = "dot";  // as files say it (docs/formats/attention.md)
  bool naive = false;        // the form that materialises a head's scores, products by OpenBLAS; dot and anchored only
  bool decode = false;       // one token that sees `keys` keys; else all tokens of a prompt of `keys`, causal
  int keys = 4096;
  int heads = 32, kv_heads = 8, head_dim = 128;
  int anchors = 128;  // of kind anchored
  std::string kv_type = "f16";
};

struct AttentionRow {
  AttentionTask task;
  double median = 0, least = 0, most = 0;  // seconds
  std::vector<double> seconds;             // of each repeat: the rows' i-th were measured side by side
  double bytes = 0;                        // of keys and values, each once a step
  // In products of queries, keys and values; a product and a sum are two.
  double int8_operations = 0, float_operations = 0;
  uint64_t extra_bytes = 0;  // memory beside queries, keys, values and output
};

bool has_naive_attention();  // OpenBLAS is installed

// Throws Error kUsage for a shape or kind that there is not, kUnsupported for heads that kv_type cannot
// keep and for a naive one without OpenBLAS.
void check_attention(const AttentionTask& task);

// Measures the tasks in turn, A B A B ..., `repeats` times after one that is not measured. Throws what check_attention
// does, and kLimit where `progress` said stop.
std::vector<AttentionRow> bench_attention(std::span<const AttentionTask> tasks, const LoadOptions& options, int repeats,
                                          const Progress& progress = {});

}  // namespace fieldprint
