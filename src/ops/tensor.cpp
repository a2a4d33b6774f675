#include "ops/tensor.h"

namespace fieldprint {

std::byte* AlignedBuffer::require(size_t bytes) {
  if (bytes > capacity_) {
    const size_t rounded = (bytes + 63) / 64 * 64;
    data_.reset();
    capacity_ = 0;
    data_.reset(static_cast<std::byte*>(::operator new(rounded, kAlignment)));
    capacity_ = rounded;
  }
  return data_.get();
}

Tensor TensorArena::make(int rows, int64_t cols, size_t element_bytes) {
  const size_t bytes = static_cast<size_t>(rows) * static_cast<size_t>(cols) * element_bytes;
  // The smallest free slot that fits; else the largest free one grows.
  int best = -1, largest = -1;
  for (int i = 0; i < static_cast<int>(slots_.size()); ++i) {
    const Slot& slot = *slots_[static_cast<size_t>(i)];
    if (slot.used) continue;
    const size_t capacity = slot.values.capacity();
    const auto capacity_of = [&](int j) { return slots_[static_cast<size_t>(j)]->values.capacity(); };
    if (capacity >= bytes && (best < 0 || capacity < capacity_of(best))) best = i;
    if (largest < 0 || capacity > capacity_of(largest)) largest = i;
  }
  int chosen = best >= 0 ? best : largest;
  if (chosen < 0) {
    chosen = static_cast<int>(slots_.size());
    slots_.push_back(std::make_unique<Slot>());
  }
  Slot& slot = *slots_[static_cast<size_t>(chosen)];
  slot.values.require(bytes);
  slot.quantized_valid = false;
  slot.used = true;
  Tensor t;
  t.arena_ = this;
  t.slot_ = chosen;
  t.rows_ = rows;
  t.cols_ = cols;
  return t;
}

}  // namespace fieldprint
