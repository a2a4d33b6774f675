#include "kv/page_pool.h"

#include <algorithm>

namespace fieldprint {

namespace {
constexpr size_t kSlabBytes = 8 << 20;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
}  // namespace

PagePool::PagePool(int64_t page_bytes)
    : page_bytes_(page_bytes), stride_(round_up(static_cast<size_t>(std::max<int64_t>(page_bytes, 1)), 64)) {}

KvPage* PagePool::take() {
  if (free_.empty()) {
    if (free_.capacity() <= pages_.size()) free_.reserve(pages_.size() * 2 + 8);  // giving back never fails
    if (slabs_.empty() || slabs_.back().bytes() - cut_ < stride_) {
      slabs_.emplace_back(std::max(stride_, kSlabBytes));
      cut_ = 0;
    }
    KvPage& page = pages_.emplace_back();
    page.data_ = slabs_.back().data() + cut_;
    cut_ += stride_;
    free_.push_back(&page);
  }
  KvPage* page = free_.back();
  free_.pop_back();
  page->holders_ = 1;
  return page;
}

void PagePool::give_back(KvPage* page) {
  if (--page->holders_ == 0) free_.push_back(page);
}

void PagePool::pin(KvPage* page) {
  hold(page);
  if (page->pins_++ == 0) ++pinned_;
}

void PagePool::unpin(KvPage* page) {
  if (--page->pins_ == 0) --pinned_;
  give_back(page);
}

}  // namespace fieldprint
