// The K/V of one sequence: a page table over a pool. Position p lies in page p / page_size.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/layout.h"
#include "kv/page_pool.h"

namespace fieldprint {

class KvSequence {
 public:
  KvSequence(const KvLayout& layout, PagePool& pool) : layout_(&layout), pool_(&pool) {}
  ~KvSequence() { truncate(0); }
  KvSequence(const KvSequence&) = delete;
  KvSequence& operator=(const KvSequence&) = delete;

  void reserve(int tokens);   // pages for positions [0, tokens)
  void truncate(int tokens);  // gives back every page above

  // Stores one position of one layer: k and v [kv_heads, head_dim], rounded to F16. The position is reserved.
  void write(int layer, int position, const float* k, const float* v);

  const KvLayout& layout() const { return *layout_; }
  const uint16_t* page(int index) const { return pages_[static_cast<size_t>(index)]; }
  int64_t bytes() const { return static_cast<int64_t>(pages_.size()) * layout_->page_bytes(); }

 private:
  const KvLayout* layout_;
  PagePool* pool_;
  std::vector<uint16_t*> pages_;
};

}  // namespace fieldprint
