// Values between ops: [rows, cols], owned by an arena that hands the same memory out again when a handle goes.
// After the first steps an arena has all it needs, and a step allocates nothing.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace fieldprint {

class AlignedBuffer {  // 64-byte aligned; grows, never keeps contents when it does
 public:
  std::byte* require(size_t bytes);
  std::byte* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(std::byte* p) const { ::operator delete(p, kAlignment); }
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t capacity_ = 0;
};

class TensorArena;

class Tensor {
 public:
  Tensor() = default;
  Tensor(Tensor&& other) noexcept { swap(other); }
  Tensor& operator=(Tensor&& other) noexcept {
    Tensor old(std::move(*this));
    swap(other);
    return *this;
  }
  ~Tensor();

  int rows() const { return rows_; }
  int64_t cols() const { return cols_; }

 private:
  friend class TensorArena;
  template <class Number>
  friend class Tape;
  void swap(Tensor& other) noexcept {
    std::swap(arena_, other.arena_);
    std::swap(slot_, other.slot_);
    std::swap(rows_, other.rows_);
    std::swap(cols_, other.cols_);
  }

  TensorArena* arena_ = nullptr;
  int slot_ = 0;
  int rows_ = 0;
  int64_t cols_ = 0;
};

class TensorArena {
 public:
  struct Slot {
    AlignedBuffer values;
    AlignedBuffer quantized;  // the same values as 8-bit activations, where an op has asked for them
    bool quantized_valid = false;
    bool used = false;      // a handle has it
    bool recorded = false;  // it was handed out since record(): nobody else gets it
    bool kept = false;      // its values are wanted after its handle has gone
  };

  Tensor make(int rows, int64_t cols, size_t element_bytes);
  Slot& slot(const Tensor& t) {
    assert(t.arena_ == this);
    return *slots_[static_cast<size_t>(t.slot_)];
  }
  template <class Element>
  Element* data(const Tensor& t) {
    return reinterpret_cast<Element*>(slot(t).values.data());
  }
  void changed(const Tensor& t) { slot(t).quantized_valid = false; }  // after values have been written in place

  // From here to forget() a slot is handed out once, so that its number says which value it is; the memory of those
  // that are not kept goes round as ever (ops/tape.h).
  void record() { recording_ = true; }
  void forget();
  Slot& slot(int number) { return *slots_[static_cast<size_t>(number)]; }
  int slots() const { return static_cast<int>(slots_.size()); }

 private:
  friend class Tensor;
  void release(int number);
  void hand_over(Slot& from);

  std::vector<std::unique_ptr<Slot>> slots_;
  bool recording_ = false;
};

inline Tensor::~Tensor() {
  if (arena_ != nullptr) arena_->release(slot_);
}

}  // namespace fieldprint
