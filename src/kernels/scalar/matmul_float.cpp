// Float weights times float activations: 16 partial sums and one tree.
#include <cmath>
#include <cstring>

#include "base/float16.h"
#include "kernels/scalar/scalar.h"

namespace fieldprint::scalar {
namespace {

struct F32 {
  float value;
};
struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};
float load(const F32* w) { return w->value; }
float load(const F16* w) { return half_to_float(w->bits); }
float load(const BF16* w) { return bfloat16_to_float(w->bits); }

template <class Weight>
void matmul(const Matmul& args) {
  for (int r = args.row_begin; r < args.row_end; ++r) {
    const auto* row = reinterpret_cast<const Weight*>(args.weights + r * args.row_bytes);
    for (int t = 0; t < args.tokens; ++t) {
      const float* x = args.x.f32 + int64_t{t} * args.k;
      float s[16] = {};
      for (int i = 0; i < args.k; ++i) s[i % 16] = std::fma(load(row + i), x[i], s[i % 16]);
      for (int step = 8; step >= 1; step /= 2) {
        for (int j = 0; j < step; ++j) s[j] += s[j + step];
      }
      args.y[t * args.y_stride + r] = s[0];
    }
  }
}

}  // namespace

#define MATMUL_FLOAT(name, stem) \
  void matmul_##stem(const Matmul& args) { matmul<name>(args); }
#include "kernels/matmul_types.def"

}  // namespace fieldprint::scalar
