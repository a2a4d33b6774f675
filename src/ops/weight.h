// A matrix of a model file, viewed in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "quant/type.h"

namespace fieldprint {

// `rows` outputs of `cols` inputs each. A norm's weight has one row.
struct Weight {
  std::string_view name;
  const QuantType* type = nullptr;  // nullptr: the model has no such weight
  const std::byte* data = nullptr;
  int64_t rows = 0, cols = 0;
  int part = 0;  // of equal slices, which one: the expert

  bool given() const { return type != nullptr; }
  int64_t row_bytes() const { return static_cast<int64_t>(type->bytes(static_cast<uint64_t>(cols))); }
  int64_t bytes() const { return rows * row_bytes(); }
  Weight slice(int64_t first, int64_t count) const {
    return {name, type, data + first * row_bytes(), count, cols, static_cast<int>(first / count)};
  }
  // The same of a matrix that is no stack of equal ones.
  Weight some_rows(int64_t first, int64_t count) const {
    return {name, type, data + first * row_bytes(), count, cols, part};
  }
  // Of a vector that is F32.
  Weight some_floats(int64_t first, int64_t count) const {
    return {name, type, data + static_cast<size_t>(first) * sizeof(float), 1, count, part};
  }
  const float* floats() const { return reinterpret_cast<const float*>(data); }  // of a weight that is F32
};

}  // namespace fieldprint
