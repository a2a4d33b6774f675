// Attention as textbooks write it: a head's scores as a matrix in memory, two products by a BLAS and a softmax between
// them. What the walk is measured beside; nothing else uses it.
#pragma once

#include <vector>

#include "base/thread_pool.h"
#include "kernels/table.h"

namespace fieldprint {

bool has_blas();  // OpenBLAS can be loaded

// Causal attention of q [tokens, heads, d] at positions first .. first + tokens - 1 to k, v [first + tokens, kv_heads,
// d], all float32; with anchors [anchors, kv_heads, d] the mixed form of share `share`. has_blas() holds.
struct NaiveAttention {
  const KernelTable* kernels = nullptr;
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  const float *anchor_keys = nullptr, *anchor_values = nullptr;
  int tokens = 0, first = 0, heads = 0, kv_heads = 0, d = 0, anchors = 0;
  float scale = 1, share = 0, anchor_scale = 1;
  float* out = nullptr;  // [tokens, heads, d]
};
void attend_naive(const NaiveAttention& args, ThreadPool& pool, std::vector<float>& scores);

}  // namespace fieldprint
