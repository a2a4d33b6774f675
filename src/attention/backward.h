// The gradients of attention, tile by tile (FlashAttention-2, Dao 2023): each tile's scores are computed again from the
// vectors of its queries, its weights from a row's softmax state as the walk has left it. So memory grows with the
// number of tokens and not with its square. With P = e^(s - m) / l and dP = dO V^T,
//   dV = P^T dO;  ds = P (dP - rowsum(dO O)), and through the kind (kind.h) from ds to q, r and K.
// Anchors are frozen: gradients pass through their softmax to q.
//
// Every sum has one order, and threads own outputs: bits depend on neither the number of threads nor the instruction
// set. Keys and values are taken as they were computed, which in pages of F32 is how the walk saw them; of other types
// the gradients are those of the numbers before rounding.
#pragma once

#include <span>
#include <vector>

#include "attention/kind.h"
#include "attention/walk.h"
#include "base/thread_pool.h"
#include "kernels/table.h"

namespace fieldprint {

// A sequence from its first token on. Gradients are added to; nullptr: not wanted.
struct BackwardSequence {
  const float *q = nullptr, *r = nullptr;  // [tokens, heads, head_dim]
  const float *k = nullptr, *v = nullptr;  // [tokens, kv_heads, head_dim]
  const float *out = nullptr, *d_out = nullptr;
  const SoftmaxState* states = nullptr;  // [tokens, heads], of the walk
  float *dq = nullptr, *dr = nullptr, *dk = nullptr, *dv = nullptr;
  int tokens = 0;
};

struct AttendBackward {
  const KernelTable* kernels = nullptr;
  AttentionSpec spec;
  int heads = 0, kv_heads = 0, head_dim = 0;  // head_dim a multiple of 8
  int window = 0;                             // as in Attend
  bool causal = true;
  std::span<const BackwardSequence> sequences;
  float* d_sinks = nullptr;  // [heads]
};

// What is kept between calls so that these allocate nothing.
struct BackwardScratch {
  std::vector<std::vector<float>> keys;  // of each thread: keys and values of one head, transposed
  std::vector<double> sinks;             // [sequences, heads]
};

void attend_backward(const AttendBackward& args, ThreadPool& pool, AttendScratch& blocks, BackwardScratch& scratch);

}  // namespace fieldprint
