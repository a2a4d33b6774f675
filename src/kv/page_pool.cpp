#include "kv/page_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace fieldprint {

namespace {
constexpr size_t kHugePage = 2 << 20, kSlabBytes = 8 << 20;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
}  // namespace

void PagePool::Unmap::operator()(std::byte* p) const { munmap(p, bytes); }

// `bytes`, a multiple of kHugePage and aligned to it: what is beyond is given back.
PagePool::Slab PagePool::map(size_t bytes) {
  void* got = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) throw std::bad_alloc();
  auto* const memory = static_cast<std::byte*>(got);
  const size_t before = -reinterpret_cast<uintptr_t>(memory) % kHugePage;
  if (before > 0) munmap(memory, before);
  munmap(memory + before + bytes, kHugePage - before);
  madvise(memory + before, bytes, MADV_HUGEPAGE);  // where the kernel has none, small ones do
  return Slab(memory + before, {bytes});
}

PagePool::PagePool(int64_t page_bytes)
    : page_bytes_(page_bytes), stride_(round_up(static_cast<size_t>(std::max<int64_t>(page_bytes, 1)), 64)) {}

KvPage* PagePool::take() {
  if (free_.empty()) {
    free_.reserve(pages_.size() + 1);  // giving back never fails
    if (slabs_.empty() || slabs_.back().get_deleter().bytes - cut_ < stride_) {
      slabs_.push_back(map(round_up(std::max(stride_, kSlabBytes), kHugePage)));
      cut_ = 0;
    }
    KvPage& page = pages_.emplace_back();
    page.data_ = slabs_.back().get() + cut_;
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
