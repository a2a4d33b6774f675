#include "base/huge_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace fieldprint {

void HugeMemory::Unmap::operator()(std::byte* p) const { munmap(p, bytes); }

HugeMemory::HugeMemory(size_t bytes) {
  bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* got = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got == MAP_FAILED) throw std::bad_alloc();
  // The memory before and behind an aligned range of that size is unmapped.
  auto* const memory = static_cast<std::byte*>(got);
  const size_t before = -reinterpret_cast<uintptr_t>(memory) % kHugePage;
  if (before > 0) munmap(memory, before);
  munmap(memory + before + bytes, kHugePage - before);
  madvise(memory + before, bytes, MADV_HUGEPAGE);  // where the kernel has none, small ones do
  memory_ = {memory + before, {bytes}};
}

}  // namespace fieldprint
