#include "ops/gemm.h"

#include <algorithm>
#include <vector>

namespace fieldprint {
namespace {

constexpr int64_t kRows = 64;      // of c that a thread does at once
constexpr int64_t kDecoded = 256;  // rows of a weight that are decoded at a time

template <class Number>
void accumulate_rows(const Gemm<Number>& g, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < g.inner; ++j) {
      const Number a = g.a[i * g.a_row + j * g.a_step];
      for (int64_t k = 0; k < g.n; ++k) g.c[i * g.c_row + k] += a * g.b[j * g.b_row + k];
    }
  }
}

struct DecodedRows {
  std::vector<float> values;
};

}  // namespace

void accumulate(RunExecutor& run, const Gemm<float>& gemm) {
  run.pool().run((gemm.m + kRows - 1) / kRows, [&](int64_t piece, int) {
    accumulate_rows(gemm, piece * kRows, std::min(gemm.m, (piece + 1) * kRows));
  });
}

void accumulate(ReferenceExecutor&, const Gemm<double>& gemm) { accumulate_rows(gemm, 0, gemm.m); }

void add_product(RunExecutor& run, const float* dy, int64_t tokens, const Weight& w, float* dx) {
  const auto multiply = [&](const float* rows, int64_t first, int64_t count) {
    accumulate(run, {.a = dy + first,
                     .a_row = w.rows,
                     .b = rows,
                     .b_row = w.cols,
                     .c = dx,
                     .c_row = w.cols,
                     .m = tokens,
                     .inner = count,
                     .n = w.cols});
  };
  if (w.type->name == "F32") return multiply(w.floats(), 0, w.rows);
  std::vector<float>& decoded = run.memory<DecodedRows>().values;
  decoded.resize(static_cast<size_t>(std::min(kDecoded, w.rows) * w.cols));
  for (int64_t first = 0; first < w.rows; first += kDecoded) {
    const int64_t count = std::min(kDecoded, w.rows - first);
    run.for_rows(static_cast<int>(count), [&](int row) {
      w.type->decode(w.data + (first + row) * w.row_bytes(), decoded.data() + row * w.cols, w.cols);
    });
    multiply(decoded.data(), first, count);
  }
}

void add_product(ReferenceExecutor& reference, const double* dy, int64_t tokens, const Weight& w, double* dx) {
  std::vector<double> row(static_cast<size_t>(w.cols));
  for (int64_t r = 0; r < w.rows; ++r) {
    const float* decoded = reference.decoded_row(w, r);
    std::copy_n(decoded, w.cols, row.begin());
    accumulate(reference, {.a = dy + r,
                           .a_row = w.rows,
                           .b = row.data(),
                           .b_row = w.cols,
                           .c = dx,
                           .c_row = w.cols,
                           .m = tokens,
                           .inner = 1,
                           .n = w.cols});
  }
}

}  // namespace fieldprint
