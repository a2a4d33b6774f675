// A matrix of a model file, viewed in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "quant/type.h"

namespace fieldprint {

struct LowRank;

// `rows` outputs of `cols` inputs each. A norm's weight has one row.
struct Weight {
  std::string_view name;
  const QuantType* type = nullptr;  // nullptr: the model has no such weight
  const std::byte* data = nullptr;
  int64_t rows = 0, cols = 0;
  int part = 0;                                     // of equal slices, which one: the expert
  int64_t first_row = 0;                            // of the matrix that this is a piece of
  const std::vector<LowRank>* additions = nullptr;  // to that matrix; whoever has them outlives the weight

  bool given() const { return type != nullptr; }
  int64_t row_bytes() const { return static_cast<int64_t>(type->bytes(static_cast<uint64_t>(cols))); }
  int64_t bytes() const { return rows * row_bytes(); }
  Weight slice(int64_t first, int64_t count) const {
    return {name,     type, data + first * row_bytes(), count, cols, static_cast<int>(first / count), first_row + first,
            additions};
  }
  // The same of a matrix that is no stack of equal ones.
  Weight some_rows(int64_t first, int64_t count) const {
    return {name, type, data + first * row_bytes(), count, cols, part, first_row + first, additions};
  }
  // Of a vector that is F32.
  Weight some_floats(int64_t first, int64_t count) const {
    return {name, type, data + static_cast<size_t>(first) * sizeof(float), 1, count, part};
  }
  const float* floats() const { return reinterpret_cast<const float*>(data); }  // of a weight that is F32
};

// What an adapter adds to a matrix W [rows, cols] (LoRA, Hu et al. 2021): (W + scale * B A) x, with A [rank, cols] and
// B [rows, rank], both float32, float16 or bfloat16. Of a stack of experts' matrices both are stacks of theirs.
struct LowRank {
  Weight a, b;
  int64_t rank = 0;
  float scale = 1;

  // Those of a piece of W.
  Weight a_of(const Weight& piece) const { return a.rows == rank ? a : a.slice(piece.part * rank, rank); }
  Weight b_of(const Weight& piece) const { return b.some_rows(piece.first_row, piece.rows); }
};

}  // namespace fieldprint
