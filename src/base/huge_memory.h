// Memory in huge pages, where the kernel has them: who streams through it misses the TLB less often.
#pragma once

#include <cstddef>
#include <memory>

namespace fieldprint {

constexpr size_t kHugePage = 2 << 20;

class HugeMemory {
 public:
  // At least `bytes`, aligned to kHugePage; zeros, no page of it touched yet. Throws std::bad_alloc.
  explicit HugeMemory(size_t bytes);

  std::byte* data() const { return memory_.get(); }
  size_t bytes() const { return memory_.get_deleter().bytes; }

 private:
  struct Unmap {
    size_t bytes;
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Unmap> memory_;
};

}  // namespace fieldprint
