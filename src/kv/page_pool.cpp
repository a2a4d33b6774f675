#include "kv/page_pool.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace fieldprint {

void PagePool::Free::operator()(void* p) const { std::free(p); }

uint16_t* PagePool::take() {
  if (free_.empty()) {
    const auto bytes = (static_cast<size_t>(page_bytes_) + 63) / 64 * 64;
    void* page = std::aligned_alloc(64, bytes > 0 ? bytes : 64);
    if (page == nullptr) throw std::bad_alloc();
    std::memset(page, 0, bytes);
    pages_.emplace_back(page);
    return static_cast<uint16_t*>(page);
  }
  uint16_t* page = free_.back();
  free_.pop_back();
  return page;
}

}  // namespace fieldprint
