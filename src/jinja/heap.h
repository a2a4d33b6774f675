// Where a rendering's values live, and what they may cost. Values are never freed one by one: the heap bounds the bytes
// of all values ever made, so it can drop them all at its end, and nothing recurses to destroy a deep list.
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <utility>
#include <vector>

namespace fieldprint::jinja {

class Heap final : public std::pmr::memory_resource {
 public:
  // `strict`: a name that is not there may be asked about, but neither printed nor looped over.
  Heap(uint64_t max_steps, uint64_t max_bytes, bool strict = false)
      : steps_left_(max_steps), bytes_left_(max_bytes), strict_(strict) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // Throw Error kLimit where the bound is passed.
  void step(uint64_t n = 1) {
    if (n > steps_left_) out_of_steps();
    steps_left_ -= n;
  }
  // An operation costs at least its length, in units of about the same time:
  void scan(uint64_t bytes) { step(bytes / 64); }  // bytes that are copied or compared,
  void walk(uint64_t bytes) { step(bytes / 8); }   // text that is looked at character by character,
  void visit(uint64_t items) {
    step(items / 8);
  }  // items that are passed over. Where items have work done, step() each
  void charge(uint64_t bytes) {
    if (bytes > bytes_left_) out_of_bytes();
    bytes_left_ -= bytes;
  }
  bool strict() const { return strict_; }
  uint64_t bytes_left() const { return bytes_left_; }

  // Objects are not destroyed: what they own must live in this heap.
  template <class T, class... Args>
  T* make(Args&&... args) {
    return new (allocate(sizeof(T), alignof(T))) T{std::forward<Args>(args)...};
  }
  template <class T>
  T* make_array(size_t n) {
    if (n > bytes_left_ / sizeof(T)) out_of_bytes();
    return new (allocate(n * sizeof(T), alignof(T))) T[n];
  }

 private:
  friend class Nesting;
  void* place(size_t bytes);
  void* do_allocate(size_t bytes, size_t alignment) override;
  void do_deallocate(void*, size_t, size_t) override {}
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
  [[noreturn]] static void out_of_steps();
  [[noreturn]] static void out_of_bytes();
  [[noreturn]] static void out_of_depth();

  uint64_t steps_left_, bytes_left_;
  int depth_ = 0;
  char* free_ = nullptr;
  size_t free_bytes_ = 0;
  size_t chunk_bytes_ = 8 << 10;
  std::vector<std::unique_ptr<char[]>> chunks_;
  const bool strict_;
};

// Held by every function that recurses over a template's nodes or over nested values.
class Nesting {
 public:
  static constexpr int kMaxDepth = 1500;
  explicit Nesting(Heap& heap) : heap_(heap) {
    if (++heap_.depth_ > kMaxDepth) {
      --heap_.depth_;
      Heap::out_of_depth();
    }
  }
  ~Nesting() { --heap_.depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Heap& heap_;
};

}  // namespace fieldprint::jinja
