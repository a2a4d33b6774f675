// The one walk over paged K/V that serves prefill, decode and many sequences in one step. Keys are visited in tiles cut
// at absolute positions (multiples of kTile), tiles are absorbed into a state per query, and states are merged at
// absolute splits (multiples of kSplit), in order: so the bits do not depend on the chunk, the page size, the company
// in a step or the number of threads.
#pragma once

#include <span>
#include <vector>

#include "attention/influence.h"
#include "attention/kind.h"
#include "base/huge_memory.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "kv/sequence.h"

namespace fieldprint {

inline constexpr int kSplit = 512;

// One sequence's part of a step: token t stands at position first_position + t and sees keys up to itself, or all keys
// that there are (Attend::causal).
struct AttendSequence {
  const KvSequence* kv = nullptr;  // the step's own keys are in it
  const float* q = nullptr;        // [tokens, heads, head_dim]
  const float* r = nullptr;        // the same, where the kind wants a third projection
  float* out = nullptr;            // [tokens, heads, head_dim]
  int tokens = 0;
  int first_position = 0;
  int first_key = 0;               // no query sees a key before it: their pages may be gone
  Influence* influence = nullptr;  // measures that of the last token, where wanted
  SoftmaxState* mass = nullptr;    // its mass(heads)
  SoftmaxState* states = nullptr;  // [tokens, heads]  of the softmax over the context, sink and all, where wanted
};

struct Attend {
  const KernelTable* kernels = nullptr;
  AttentionSpec spec;
  int layer = 0;
  int heads = 0;                              // a multiple of the layer's kv_heads
  int window = 0;                             // a query sees the last `window` keys, its own among them; 0 = all
  bool causal = true;                         // else every query sees all keys, and there is no window
  std::span<const AttendSequence> sequences;  // of one layout
};

// Rows (tokens x heads) of some tokens for the heads of one kv head, and the splits of their keys: one unit of what is
// dealt to the threads.
struct AttendItem {
  int sequence, kv_head;
  int t0, t1;            // tokens
  int split0, split1;    // splits
  int64_t partial = -1;  // first row of its splits' states in the scratch; -1: it covers all and writes its result
};

// Scratch of a walk: one block a thread, and room for the states of splits that several threads share.
class AttendScratch {
 public:
  explicit AttendScratch(int threads) : blocks_(static_cast<size_t>(threads) * kScratchBytes) {}
  std::byte* thread(int i) { return blocks_.data() + static_cast<size_t>(i) * kScratchBytes; }

  std::vector<AttendItem> items, merges;
  std::vector<SoftmaxState> states;  // [splits that threads share, rows]
  std::vector<float> outputs;        // [the same, head_dim]

 private:
  HugeMemory blocks_;  // each first touched by its thread
};

// All sequences' work is dealt out at once.
void attend(const Attend& args, ThreadPool& pool, AttendScratch& scratch);

}  // namespace fieldprint
