// The members of the vector V of float32 that exp.h is written for. Floats in avx2/vec.h and avx512/vec.h are checked
// against it. Members are static, each arithmetic one is one IEEE operation a lane.
#pragma once

namespace fieldprint {
namespace {

template <class A, class B>
concept SameType = __is_same(A, B);

template <class V>
concept FloatVector = requires(typename V::Vector v, typename V::Mask m, const float* x, float* y) {
  requires sizeof(typename V::Vector) == 4 * V::kLanes;  // Vector, a register of kLanes numbers

  { V::zero() } -> SameType<typename V::Vector>;
  { V::splat(1.0f) } -> SameType<typename V::Vector>;
  { V::load(x) } -> SameType<typename V::Vector>;
  V::store(y, v);

  { V::add(v, v) } -> SameType<typename V::Vector>;
  { V::sub(v, v) } -> SameType<typename V::Vector>;
  { V::mul(v, v) } -> SameType<typename V::Vector>;
  { V::div(v, v) } -> SameType<typename V::Vector>;
  { V::fma(v, v, v) } -> SameType<typename V::Vector>;  // a * b + c, rounded once
  { V::negate(v) } -> SameType<typename V::Vector>;
  { V::min(v, v) } -> SameType<typename V::Vector>;  // (a, b): b where either is a NaN
  // 2^n, n the low bits of v's representation as a signed integer.
  { V::power_of_two(v) } -> SameType<typename V::Vector>;
  { V::below(v, v) } -> SameType<typename V::Mask>;    // lanes where a < b; not those with a NaN
  { V::clear(m, v) } -> SameType<typename V::Vector>;  // 0 in these lanes
};

}  // namespace
}  // namespace fieldprint
