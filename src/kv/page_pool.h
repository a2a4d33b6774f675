// Pages of K/V memory: taken when a sequence grows, shared when it is forked, kept for reuse when nobody holds them.
// Not thread-safe: what steps and changes sequences holds the model's step mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/huge_memory.h"

namespace fieldprint {

class KvPage {
 public:
  std::byte* data() const { return data_; }
  bool shared() const { return holders_ > 1; }  // by several sequences, or by one and a pin: not to be written to
  bool pinned() const { return pins_ > 0; }

 private:
  friend class PagePool;
  std::byte* data_ = nullptr;
  int holders_ = 0;  // pins among them
  int pins_ = 0;
};

class PagePool {
 public:
  explicit PagePool(int64_t page_bytes);

  // A page of page_bytes, 64-byte aligned, with one holder; zeros the first time, which nobody has touched yet, stale
  // afterwards. Throws std::bad_alloc.
  KvPage* take();
  void hold(KvPage* page) { ++page->holders_; }  // one more holder
  void give_back(KvPage* page);                  // one less
  // A holder of its own: the page stays, whatever sequences do and whoever looks for memory.
  void pin(KvPage* page);
  void unpin(KvPage* page);

  int64_t page_bytes() const { return page_bytes_; }
  int64_t pages_allocated() const { return static_cast<int64_t>(pages_.size()); }
  int64_t pages_used() const { return pages_allocated() - static_cast<int64_t>(free_.size()); }
  int64_t pages_pinned() const { return pinned_; }

 private:
  int64_t page_bytes_;
  size_t stride_;                  // page_bytes, aligned
  std::vector<HugeMemory> slabs_;  // that pages are cut from
  size_t cut_ = 0;                 // bytes of the last slab that are pages
  std::deque<KvPage> pages_;
  std::vector<KvPage*> free_;
  int64_t pinned_ = 0;
};

}  // namespace fieldprint
