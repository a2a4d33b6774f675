#include "ops/gemm.h"

#include <algorithm>
#include <vector>

namespace fieldprint {
namespace {

// Pieces of c: rows, fewer of them where there would be too few pieces, and columns.
constexpr int64_t kMostRows = 192, kLeastRows = 12, kColumns = 256;
constexpr int64_t kPiecesAThread = 4;
constexpr int64_t kInner = 256;    // of a piece's operands, what a second-level cache holds
constexpr int64_t kFarRows = 512;  // floats from a row of b to the next, from which on they share few sets of a cache
constexpr int64_t kDecoded = 256;  // rows of a weight that are decoded at a time

int64_t parts(int64_t count, int64_t size) { return (count + size - 1) / size; }

// c[i, k] for rows [i0, i1) and columns [k0, k1). `space` holds kInner * kColumns.
void accumulate_piece(const KernelTable& kernels, const Gemm<float>& g, int64_t i0, int64_t i1, int64_t k0, int64_t k1,
                      float* space) {
  const int64_t n = k1 - k0;
  const bool copies = g.b_row >= kFarRows && i1 - i0 > kLeastRows;
  for (int64_t j = 0; j < g.inner; j += kInner) {
    const int64_t inner = std::min(kInner, g.inner - j);
    const float* b = g.b + j * g.b_row + k0;
    if (copies) {
      for (int64_t row = 0; row < inner; ++row) std::copy_n(b + row * g.b_row, n, space + row * n);
      b = space;
    }
    kernels.accumulate_f32({.a = g.a + i0 * g.a_row + j * g.a_step,
                            .a_stride = g.a_row,
                            .a_step = g.a_step,
                            .b = b,
                            .b_stride = copies ? n : g.b_row,
                            .c = g.c + i0 * g.c_row + k0,
                            .c_stride = g.c_row,
                            .m = static_cast<int>(i1 - i0),
                            .inner = static_cast<int>(inner),
                            .n = static_cast<int>(n)});
  }
}

struct DecodedRows {
  std::vector<float> values;
};

}  // namespace

void accumulate(RunExecutor& run, const Gemm<float>& gemm) {
  static_assert(kInner * kColumns * sizeof(float) <= kScratchBytes);
  const int64_t across = parts(gemm.n, kColumns), wanted = kPiecesAThread * run.pool().threads();
  int64_t rows = kMostRows;
  while (rows > kLeastRows && parts(gemm.m, rows) * across < wanted) rows /= 2;
  run.pool().run(parts(gemm.m, rows) * across, [&](int64_t piece, int thread) {
    const int64_t i = piece / across * rows, k = piece % across * kColumns;
    accumulate_piece(run.kernels(), gemm, i, std::min(gemm.m, i + rows), k, std::min(gemm.n, k + kColumns),
                     reinterpret_cast<float*>(run.scratch().thread(thread)));
  });
}

void accumulate(ReferenceExecutor&, const Gemm<double>& g) {
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.inner; ++j) {
      const double a = g.a[i * g.a_row + j * g.a_step];
      for (int64_t k = 0; k < g.n; ++k) g.c[i * g.c_row + k] += a * g.b[j * g.b_row + k];
    }
  }
}

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
