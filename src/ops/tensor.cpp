#include "ops/tensor.h"

#include <algorithm>

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
    if (slot.used || slot.recorded) continue;
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
  slot.recorded = recording_;
  Tensor t;
  t.arena_ = this;
  t.slot_ = chosen;
  t.rows_ = rows;
  t.cols_ = cols;
  return t;
}

void TensorArena::release(int number) {
  Slot& slot = *slots_[static_cast<size_t>(number)];
  slot.used = false;
  if (slot.recorded) hand_over(slot);
}

// What of a recorded slot's memory nobody wants any more goes to one that can be handed out.
void TensorArena::hand_over(Slot& from) {
  const auto is_empty = [](const auto& slot) {
    return !slot->used && !slot->recorded && slot->values.capacity() == 0 && slot->quantized.capacity() == 0;
  };
  auto to = std::find_if(slots_.begin(), slots_.end(), is_empty);
  if (to == slots_.end()) to = slots_.insert(slots_.end(), std::make_unique<Slot>());
  std::swap((*to)->quantized, from.quantized);
  if (!from.kept) std::swap((*to)->values, from.values);
  from.quantized_valid = false;
}

void TensorArena::forget() {
  recording_ = false;
  for (auto& slot : slots_) slot->recorded = slot->kept = false;
}

}  // namespace fieldprint
