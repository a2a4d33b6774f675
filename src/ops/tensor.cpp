#include "ops/tensor.h"

#include <algorithm>
#include <cstdint>

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
  // The smallest free slot that fits; else the largest of those that do not grows. What is recorded may be kept till
  // the end of the step, so a small value does not get a large one's memory then, unless there is nothing else.
  const size_t most = recording_ ? bytes + bytes / 4 + 4096 : SIZE_MAX;
  int fits = -1, below = -1, above = -1;
  const auto capacity_of = [&](int i) { return slots_[static_cast<size_t>(i)]->values.capacity(); };
  for (int i = 0; i < static_cast<int>(slots_.size()); ++i) {
    const Slot& slot = *slots_[static_cast<size_t>(i)];
    if (slot.used || slot.recorded) continue;
    const size_t capacity = slot.values.capacity();
    if (capacity < bytes) {
      if (below < 0 || capacity > capacity_of(below)) below = i;
    } else {
      int& best = capacity <= most ? fits : above;
      if (best < 0 || capacity < capacity_of(best)) best = i;
    }
  }
  int chosen = fits >= 0 ? fits : below >= 0 ? below : above;
  if (chosen < 0) {
    chosen = static_cast<int>(slots_.size());
    slots_.push_back(std::make_unique<Slot>());
  }
  Slot& slot = *slots_[static_cast<size_t>(chosen)];
  if (slot.values.capacity() > most) slot.values = {};
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
  from.quantized_valid = false;
  if (from.kept) {
    from.quantized = AlignedBuffer();
    return;
  }
  const auto is_empty = [](const auto& slot) {
    return !slot->used && !slot->recorded && slot->values.capacity() == 0 && slot->quantized.capacity() == 0;
  };
  auto to = std::find_if(slots_.begin(), slots_.end(), is_empty);
  if (to == slots_.end()) to = slots_.insert(slots_.end(), std::make_unique<Slot>());
  std::swap((*to)->values, from.values);
  std::swap((*to)->quantized, from.quantized);
}

void TensorArena::forget() {
  recording_ = false;
  for (auto& slot : slots_) slot->recorded = slot->kept = false;
}

}  // namespace fieldprint
