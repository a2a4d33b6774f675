// Four floats side by side, for the searches of the encoders: vector types that g++ and clang share, so plain SSE2 on
// x86-64 and NEON on ARM. Every operation is an IEEE one and the order of sums is fixed: same bits on every machine.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace fieldprint {

using Lanes = float __attribute__((vector_size(16)));
using LaneMask = int32_t __attribute__((vector_size(16)));

static inline Lanes splat(float value) { return Lanes{value, value, value, value}; }

static inline Lanes load_lanes(const float* values) {
  Lanes lanes;
  std::memcpy(&lanes, values, sizeof lanes);
  return lanes;
}

static inline void store_lanes(float* values, Lanes lanes) { std::memcpy(values, &lanes, sizeof lanes); }

// a < b ? a : b in one instruction, which the compilers do not find by themselves.
#ifdef __SSE2__
static inline Lanes smaller(Lanes a, Lanes b) { return _mm_min_ps(a, b); }
static inline Lanes larger(Lanes a, Lanes b) { return _mm_max_ps(a, b); }
static inline bool any(LaneMask mask) { return _mm_movemask_ps(reinterpret_cast<Lanes>(mask)) != 0; }
#else
static inline Lanes smaller(Lanes a, Lanes b) { return a < b ? a : b; }
static inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }
static inline bool any(LaneMask mask) { return (mask[0] | mask[1] | mask[2] | mask[3]) != 0; }
#endif

// `value` where the mask is set, else 0.
static inline Lanes keep(LaneMask mask, Lanes value) {
  return reinterpret_cast<Lanes>(mask & reinterpret_cast<LaneMask>(value));
}

// To the nearest integer, halves to even; |value| < 2^22.
static inline Lanes round_lanes(Lanes value) {
  const Lanes shift = splat(0x1.8p23f);
  return (value + shift) - shift;
}
static inline float round_even(float value) { return (value + 0x1.8p23f) - 0x1.8p23f; }

static inline float sum_lanes(Lanes v) { return (v[0] + v[2]) + (v[1] + v[3]); }
static inline float least_lane(Lanes v) {
  const float a = v[0] < v[2] ? v[0] : v[2], b = v[1] < v[3] ? v[1] : v[3];
  return a < b ? a : b;
}

}  // namespace fieldprint
