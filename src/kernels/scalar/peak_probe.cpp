// Peak probes: multiplications without memory, the most that the arithmetic units do.
#include <cmath>

#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {

int64_t peak_int8(int64_t rounds, int64_t* sink) {
  int32_t sum[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int64_t i = 0; i < rounds; ++i) {
    for (int32_t& s : sum) s += static_cast<int8_t>(s) * static_cast<int8_t>(i);
  }
  for (const int32_t s : sum) *sink += s;
  return rounds * 8 * 2;
}

int64_t peak_f32(int64_t rounds, int64_t* sink) {
  float sum[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int64_t i = 0; i < rounds; ++i) {
    for (float& s : sum) s = s * 0.999f + 1.0f;
  }
  for (const float s : sum) *sink += static_cast<int64_t>(s);
  return rounds * 8 * 2;
}

}  // namespace fieldprint::scalar
