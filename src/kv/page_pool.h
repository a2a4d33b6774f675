// Pages of K/V memory: taken when a sequence grows, kept for reuse when it shrinks. Not thread-safe: one engine step at
// a time owns it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fieldprint {

class PagePool {
 public:
  explicit PagePool(int64_t page_bytes) : page_bytes_(page_bytes) {}

  // A page of page_bytes, 64-byte aligned; zeros the first time, stale afterwards. Throws std::bad_alloc.
  uint16_t* take();
  void give_back(uint16_t* page) { free_.push_back(page); }

  int64_t page_bytes() const { return page_bytes_; }
  int64_t pages_allocated() const { return static_cast<int64_t>(pages_.size()); }
  int64_t pages_used() const { return pages_allocated() - static_cast<int64_t>(free_.size()); }

 private:
  struct Free { void operator()(void* p) const; };

  int64_t page_bytes_;
  std::vector<std::unique_ptr<void, Free>> pages_;
  std::vector<uint16_t*> free_;
};

}  // namespace fieldprint
