// The one walk over paged K/V that serves prefill and decode. Keys are visited in tiles cut at absolute positions
// (multiples of kTile), tiles are absorbed into a state per query, and states are merged at absolute splits (multiples
// of kSplit): so the bits do not depend on the chunk, the page size or the number of threads.
#pragma once

#include "attention/state.h"
#include "base/thread_pool.h"
#include "kernels/table.h"
#include "kv/sequence.h"

namespace fieldprint {

inline constexpr int kTile = 64;
inline constexpr int kSplit = 512;

struct Attend {
  const KernelTable* kernels = nullptr;
  const KvSequence* kv = nullptr;
  int layer = 0;
  const float* q =
      nullptr;  // [tokens, heads, head_dim]; token t stands at position first_position + t and sees keys up to itself
  float* out = nullptr;  // [tokens, heads, head_dim]
  int tokens = 0;
  int first_position = 0;
  int heads = 0;  // a multiple of the layer's kv_heads
  float scale = 1;
  int window = 0;  // a query sees the last `window` keys, its own among them; 0 = all
};

// Scratch of a walk: one block a thread, and room for the partial states of a split decode.
class AttendScratch {
 public:
  explicit AttendScratch(int threads);
  std::byte* thread(int i) { return blocks_.data() + static_cast<size_t>(i) * kScratchBytes + offset_; }
  std::vector<float>& partials() { return partials_; }

 private:
  std::vector<std::byte> blocks_;
  size_t offset_;
  std::vector<float> partials_;
};

void attend(const Attend& args, ThreadPool& pool, AttendScratch& scratch);

}  // namespace fieldprint
