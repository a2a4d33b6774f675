// With u the rest of r after k, u = r - (k.r / |k|^2) k, the area of (k, r) is |k| |u|; so
//   f1 = |u| k,  f2 = |k| u
// are orthogonal, in their plane, and both as long as the area is large. Sums are in double in every executor.
#include <cmath>

#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

// Floats that are parallel but for their own rounding have sin^2 below this: they span no plane.
constexpr double kParallel = 0x1p-46;

// k, r [d] and what f1 and f2 are made of.
template <class Number>
struct Plane {
  const Number *k, *r;
  int64_t d;
  double along = 0, kk = 0;           // k.r / kk, |k|^2
  double length_k = 0, length_u = 0;  // both 0: there is no plane

  Plane(const Number* of_k, const Number* of_r, int64_t size) : k(of_k), r(of_r), d(size) {
    double kr = 0, rr = 0, uu = 0;
    for (int64_t i = 0; i < d; ++i) {
      const auto a = static_cast<double>(k[i]), b = static_cast<double>(r[i]);
      kk += a * a;
      kr += a * b;
      rr += b * b;
    }
    if (!(kk > 0)) return;
    along = kr / kk;
    for (int64_t i = 0; i < d; ++i) uu += u(i) * u(i);
    if (uu <= kParallel * rr) return;
    length_k = std::sqrt(kk);
    length_u = std::sqrt(uu);
  }

  double u(int64_t i) const { return static_cast<double>(r[i]) - along * static_cast<double>(k[i]); }
};

template <class Number>
void key_of(const Number* k, const Number* r, int64_t d, Number* f) {
  const Plane<Number> plane(k, r, d);
  for (int64_t i = 0; i < d; ++i) {
    f[i] = static_cast<Number>(plane.length_u * static_cast<double>(k[i]));
    f[d + i] = static_cast<Number>(plane.length_k * plane.u(i));
  }
}

// With g1 and g2 the gradients of f1 and f2:
//   du = |k| g2 + (g1.k) u / |u|,  dk = |u| g1 + (g2.u) k / |k|
// and through u = r - c k, c = k.r / kk, of which c moves nothing that is along u:
//   dr = du - (du.k) k / kk,  dk += -c du - (du.k) (r - 2 c k) / kk
template <class Number>
void add_gradients(const Number* k, const Number* r, int64_t d, const Number* df, Number* dk, Number* dr) {
  const Plane<Number> plane(k, r, d);
  if (plane.length_u == 0) return;
  const auto at = [](const Number* x, int64_t i) { return static_cast<double>(x[i]); };
  double g1k = 0, g2u = 0, g2k = 0;
  for (int64_t i = 0; i < d; ++i) {
    g1k += at(df, i) * at(k, i);
    g2k += at(df, d + i) * at(k, i);
    g2u += at(df, d + i) * plane.u(i);
  }
  const double duk = plane.length_k * g2k;  // u.k is 0
  for (int64_t i = 0; i < d; ++i) {
    const double du = plane.length_k * at(df, d + i) + g1k / plane.length_u * plane.u(i);
    dr[i] += static_cast<Number>(du - duk / plane.kk * at(k, i));
    dk[i] += static_cast<Number>(plane.length_u * at(df, i) + g2u / plane.length_k * at(k, i) - plane.along * du -
                                 duk / plane.kk * (at(r, i) - 2 * plane.along * at(k, i)));
  }
}

template <class Executor>
Tensor compute(Executor& executor, const Tensor& k, const Tensor& r, int kv_heads) {
  const int64_t d = k.cols() / kv_heads;
  Tensor y = executor.make(k.rows(), 2 * k.cols());
  executor.for_rows(k.rows(), [&](int row) {
    for (int64_t i = int64_t{row} * kv_heads; i < int64_t{row + 1} * kv_heads; ++i)
      key_of(executor.data(k) + i * d, executor.data(r) + i * d, d, executor.data(y) + 2 * i * d);
  });
  return y;
}

template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& k, const Tensor& r, int kv_heads, const Tensor& y) {
  on_tape(executor, {&k, &r}, {}, [&](auto& tape) {
    tape.record(y, [&executor, &tape, k = tape.keep(k), r = tape.keep(r), y = tape.node(y), kv_heads] {
      const int64_t d = k.cols / kv_heads;
      const auto *dy = tape.gradient(y), *of_k = tape.values(k), *of_r = tape.values(r);
      auto *dk = tape.gradient(k), *dr = tape.gradient(r);
      executor.for_rows(k.rows, [&](int row) {
        for (int64_t i = int64_t{row} * kv_heads; i < int64_t{row + 1} * kv_heads; ++i)
          add_gradients(of_k + i * d, of_r + i * d, d, dy + 2 * i * d, dk + i * d, dr + i * d);
      });
    });
  });
}

}  // namespace

Tensor Ops::key_plane(const Tensor& k, const Tensor& r, int kv_heads) {
  const OpScope scope(executor_, "key_plane");
  return executor_.visit([&](auto& executor) {
    Tensor y = compute(executor, k, r, kv_heads);
    record(executor, k, r, kv_heads, y);
    return y;
  });
}

}  // namespace fieldprint
