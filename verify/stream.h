// A file from front to back, a window at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "files.h"

namespace fieldprint::verify {

class Stream {
 public:
  explicit Stream(const Reader& file) : file_(file) {}
  uint64_t at() const { return at_; }
  uint64_t left() const { return file_.size() - at_; }
  // The next `length` bytes, at most left(); valid until the next call. Nothing where they cannot be read.
  std::optional<std::string_view> take(size_t length);
  void seek(uint64_t at) { at_ = at; }  // at most the file's size

 private:
  const Reader& file_;
  std::string window_;
  uint64_t begin_ = 0, at_ = 0;
};

// The 4 bytes at the front of `bytes` as a little-endian number.
uint32_t little_endian(std::string_view bytes);

}  // namespace fieldprint::verify
