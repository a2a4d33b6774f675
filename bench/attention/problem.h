// Attention alone: one layer on random keys and values, without a model, as the walk does it or in the naive form.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"

namespace fieldprint {

struct AttentionTask {
  std::string kind = "dot";  // as files say it (docs/formats/attention.md)
  bool naive = false;        // the form that keeps all scores of a head (naive.h); dot and anchored only
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

// Throws Error kUsage for a shape or kind that there is not, kUnsupported for heads that kv_type cannot keep and for a
// naive one without OpenBLAS.
void check_attention(const AttentionTask& task);

// Measures the tasks in turn, A B A B ..., `repeats` times after one that is not measured. `isa` as in LoadOptions.
// Throws what check_attention does; kUsage for no repeat.
std::vector<AttentionRow> measure_attention(std::span<const AttentionTask> tasks, std::string_view isa,
                                            ThreadPool& pool, int repeats);

}  // namespace fieldprint
