// The K/V of one sequence: a page table over a pool. Position p lies in page p / page_size.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/layout.h"
#include "kv/page_pool.h"

namespace fieldprint {

class KvSequence {
 public:
  KvSequence(const KvLayout& layout, PagePool& pool) : layout_(&layout), pool_(&pool) {}
  KvSequence(const KvSequence& other);  // a fork: shares the pages until one of the two writes to them
  KvSequence& operator=(const KvSequence&) = delete;
  ~KvSequence() { truncate(0); }

  // Pages for positions [0, end), of which [begin, end) will be written: pages of these that others hold too are
  // copied.
  void reserve(int begin, int end);
  void truncate(int tokens);  // gives back every page above

  // Stores one position of one layer: k and v [kv_heads, head_dim], rounded to the layout's type. The position is
  // reserved.
  void write(int layer, int position, const float* k, const float* v);

  // One position of all layers as bytes, the same for every page size: layer by layer the heads' keys, then their
  // values, each its numbers and then its scales. bytes.size() is layout().bytes_per_token().
  void copy_out(int position, std::span<std::byte> bytes) const;
  void copy_in(int position, std::span<const std::byte> bytes);  // the position is reserved

  const KvLayout& layout() const { return *layout_; }
  const std::byte* page(int index) const { return pages_[static_cast<size_t>(index)]->data(); }
  int64_t bytes() const { return static_cast<int64_t>(pages_.size()) * layout_->page_bytes(); }

 private:
  template <class Visit>
  void visit(int position, Visit&& visit) const;

  const KvLayout* layout_;
  PagePool* pool_;
  std::vector<KvPage*> pages_;
};

}  // namespace fieldprint
