#include "jinja/heap.h"

#include <algorithm>

#include "fieldprint/error.h"

namespace fieldprint::jinja {

void* Heap::do_allocate(size_t bytes, size_t alignment) {
  charge(bytes);
  const size_t skip = (alignment - reinterpret_cast<uintptr_t>(free_) % alignment) % alignment;
  if (free_ == nullptr || bytes + skip > free_bytes_) {
    if (bytes > chunk_bytes_ / 4) {  // large ones stand alone, and the open chunk stays open
      chunks_.push_back(std::make_unique_for_overwrite<char[]>(std::max<size_t>(bytes, 1)));
      return chunks_.back().get();
    }
    chunk_bytes_ = std::min<size_t>(chunk_bytes_ * 2, 1 << 20);
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_bytes_));
    free_ = chunks_.back().get();
    free_bytes_ = chunk_bytes_;
    return place(bytes);
  }
  free_ += skip;
  free_bytes_ -= skip;
  return place(bytes);
}

void* Heap::place(size_t bytes) {
  char* start = free_;
  free_ += bytes;
  free_bytes_ -= bytes;
  return start;
}

void Heap::out_of_steps() {
  throw Error(ErrorKind::kLimit, "the chat template takes too many steps", "",
              "it may loop over too much, or be hostile");
}
void Heap::out_of_bytes() {
  throw Error(ErrorKind::kLimit, "the chat template takes too much memory", "",
              "it may build text that is too long, or be hostile");
}
void Heap::out_of_depth() {
  throw Error(ErrorKind::kLimit, "the chat template is nested too deeply", "", "it may call itself without an end");
}

}  // namespace fieldprint::jinja
