// The codebooks of the IQ types: rows of 4 or 8 small integers, which a block names by number.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace fieldprint {

template <size_t kWidth>
using CodebookRow = std::array<int8_t, kWidth>;

extern const std::array<CodebookRow<8>, 2048> kIq1Book;    // of -1, 0, 1
extern const std::array<CodebookRow<8>, 256> kIq2XxsBook;  // of 8, 25, 43; so the next two
extern const std::array<CodebookRow<8>, 512> kIq2XsBook;
extern const std::array<CodebookRow<8>, 1024> kIq2SBook;
extern const std::array<CodebookRow<4>, 256> kIq3XxsBook;  // of 4, 12 .. 52, 62
extern const std::array<CodebookRow<4>, 512> kIq3SBook;    // of 1, 3 .. 15

// Eight signs from the low 7 bits: the eighth makes the number of minus signs even.
inline unsigned even_signs(uint32_t bits) {
  const unsigned seven = bits & 127;
  return seven | static_cast<unsigned>(std::popcount(seven) & 1) << 7;
}

// values[i] = scale * row[i], negative where bit i of `signs` is set.
template <size_t kWidth>
inline void decode_row(const CodebookRow<kWidth>& row, float scale, unsigned signs, float* values) {
  for (size_t i = 0; i < kWidth; ++i) {
    // The sign bit by xor: signs are random, so a branch on them would be mispredicted every other time.
    const uint32_t value = std::bit_cast<uint32_t>(scale * static_cast<float>(row[i]));
    values[i] = std::bit_cast<float>(value ^ (signs >> i & 1) << 31);
  }
}

}  // namespace fieldprint
