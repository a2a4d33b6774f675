// What the backward of several ops has in common. Everything is for both executors: run's float32, shared among its
// threads, and reference's float64.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <initializer_list>
#include <utility>
#include <vector>

#include "base/math.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {

// record(tape, ...) where a tape wants the op's backward: something trained is behind its inputs or weights.
template <class AnyExecutor, class Record>
void on_tape(AnyExecutor& executor, std::initializer_list<const Tensor*> inputs,
             std::initializer_list<const Weight*> weights, Record&& record) {
  auto* tape = executor.tape();
  if (tape != nullptr && tape->reaches(inputs, weights)) record(*tape);
}

// Before an op writes x in place: where its values are kept for a backward, x becomes a copy.
template <class AnyExecutor>
void own(AnyExecutor& executor, Tensor& x) {
  auto* tape = executor.tape();
  if (tape == nullptr || !tape->kept(x)) return;
  Tensor copy = executor.make(x.rows(), x.cols());
  std::copy_n(executor.data(x), x.rows() * x.cols(), executor.data(copy));
  on_tape(executor, {&x}, {}, [&](auto& t) {
    t.record(copy, [&t, &executor, from = t.node(x), to = t.node(copy)] {
      auto* a = t.gradient(from);
      const auto* b = t.gradient(to);
      executor.for_rows(from.rows, [&](int row) {
        for (int64_t i = row * from.cols; i < (row + 1) * from.cols; ++i) a[i] += b[i];
      });
    });
  });
  x = std::move(copy);
}

// The rows of each of the step's sequences: for ops that look back. A backward knows of this step alone, so all of them
// begin in it.
struct SequenceRows {
  int begin = 0, end = 0;
};
inline std::vector<SequenceRows> rows_of_sequences(const Step& step) {
  std::vector<SequenceRows> rows;
  for (const StepSequence& s : step.sequences()) {
    assert(s.first_position == 0);
    const int begin = rows.empty() ? 0 : rows.back().end;
    rows.push_back({begin, begin + s.count()});
  }
  return rows;
}

inline constexpr int64_t kColumnPiece = 64;

// task(begin, end) for pieces of the columns [0, cols): what sums over rows, in their order, for each column alone.
template <class AnyExecutor, class Task>
void for_columns(AnyExecutor& executor, int64_t cols, Task&& task) {
  executor.for_rows(static_cast<int>((cols + kColumnPiece - 1) / kColumnPiece),
                    [&](int piece) { task(piece * kColumnPiece, std::min(cols, (piece + 1) * kColumnPiece)); });
}

// y [n] = 1 / (1 + e^-x).
inline void sigmoids(RunExecutor& run, const float* x, int n, float* y) {
  std::fill_n(y, n, 1.0f);
  run.kernels().sigmoid_mul(x, y, n, y);
}
inline void sigmoids(ReferenceExecutor&, const double* x, int n, double* y) {
  for (int i = 0; i < n; ++i) y[i] = 1.0 / (1.0 + std::exp(-x[i]));
}

inline float exp_of(float x) { return exp_f32(x); }
inline double exp_of(double x) { return std::exp(x); }

// y = f(gate, up), element by element: slopes(gate, up, s) are its derivatives by the two. Where `with_sigmoid`, s is
// sigmoid(gate).
template <class AnyExecutor, class Slopes>
void record_gate(AnyExecutor& executor, const Tensor& gate, const Tensor& up, const Tensor& y, bool with_sigmoid,
                 Slopes slopes) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&gate, &up}, {}, [&](auto& tape) {
    tape.record(y,
                [&executor, &tape, gate = tape.keep(gate), up = tape.keep(up), y = tape.node(y), with_sigmoid, slopes] {
                  const Number *g = tape.values(gate), *u = tape.values(up), *dy = tape.gradient(y);
                  Number *dg = tape.gradient(gate), *du = tape.gradient(up);
                  executor.for_rows(y.rows, [&](int row) {
                    constexpr int64_t kPiece = 256;
                    Number s[kPiece] = {};
                    for (int64_t at = row * y.cols, end = at + y.cols; at < end; at += kPiece) {
                      const int64_t n = std::min(kPiece, end - at);
                      if (with_sigmoid) sigmoids(executor, g + at, static_cast<int>(n), s);
                      for (int64_t i = 0; i < n; ++i) {
                        const auto [by_gate, by_up] = slopes(g[at + i], u[at + i], s[i]);
                        dg[at + i] += dy[at + i] * by_gate;
                        du[at + i] += dy[at + i] * by_up;
                      }
                    }
                  });
                });
  });
}

}  // namespace fieldprint
