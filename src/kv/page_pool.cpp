#include "kv/page_pool.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace fieldprint {

void KvPage::Free::operator()(std::byte* p) const { std::free(p); }

KvPage* PagePool::take() {
  if (free_.empty()) {
    const auto bytes = (static_cast<size_t>(page_bytes_) + 63) / 64 * 64;
    std::unique_ptr<std::byte, KvPage::Free> data(
        static_cast<std::byte*>(std::aligned_alloc(64, bytes > 0 ? bytes : 64)));
    if (data == nullptr) throw std::bad_alloc();
    std::memset(data.get(), 0, bytes);
    free_.reserve(pages_.size() + 1);  // giving back never fails
    pages_.emplace_back().data_ = std::move(data);
    free_.push_back(&pages_.back());
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
