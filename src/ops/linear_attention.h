// What the ops of linear attention share: the walk over tokens by every head's state (StateScan in kernels/table.h;
// docs/decisions/0009-delta-net-token-by-token.md says why it is not cut into chunks of tokens).
#pragma once

#include <algorithm>
#include <cmath>

#include "base/math.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {

inline double softplus(double x) { return x > 30 ? x : log_f64(1 + exp_f64(x)); }  // log(1 + e^x)

// Rows of all heads' numbers; pointers at those of the step's first token. Head h reads group group_of(h).
template <class Number>
struct HeadRows {
  const Number *q, *k;  // [T, key_stride], groups of `keys`
  int64_t key_stride;
  const Number* v;  // [T, value_stride], heads of `columns`
  int64_t value_stride;
  const Number *decay, *beta;  // [T, gate_stride]; beta may be nullptr
  int64_t gate_stride;
  Number* o;  // [T, heads * columns]
};

// Columns of a state depend on nothing but themselves: threads take a head's columns, a few at a time, for all tokens
// of a sequence. These stay in the first-level cache.
template <class GroupOf>
void scan_heads(RunExecutor& run, const LinearAttention& net, const HeadRows<float>& rows, GroupOf&& group_of) {
  constexpr int kColumns = 32;
  const int blocks = (net.columns + kColumns - 1) / kColumns, pieces = net.heads * blocks;
  const auto sequences = run.step().sequences();
  run.pool().run(static_cast<int64_t>(sequences.size()) * pieces, [&](int64_t piece, int) {
    const auto index = static_cast<size_t>(piece / pieces);
    const int head = static_cast<int>(piece % pieces) / blocks, column = static_cast<int>(piece) % blocks * kColumns;
    int64_t row = 0;
    for (const StepSequence& s : sequences.first(index)) row += s.count();
    const StepSequence& s = sequences[index];
    const int64_t key = row * rows.key_stride + int64_t{group_of(head)} * net.keys,
                  value = int64_t{head} * net.columns + column, output = int64_t{net.heads} * net.columns;
    run.kernels().scan_state({.state = run.sequence(s).recurrent().layer(net.layer) + net.state_begin +
                                       int64_t{head} * net.keys * net.columns + column,
                              .state_stride = net.columns,
                              .q = rows.q + key,
                              .k = rows.k + key,
                              .key_stride = rows.key_stride,
                              .v = rows.v + row * rows.value_stride + value,
                              .value_stride = rows.value_stride,
                              .decay = rows.decay + row * rows.gate_stride + head,
                              .beta = rows.beta == nullptr ? nullptr : rows.beta + row * rows.gate_stride + head,
                              .gate_stride = rows.gate_stride,
                              .o = rows.o + row * output + value,
                              .output_stride = output,
                              .tokens = s.count(),
                              .keys = net.keys,
                              .columns = std::min(kColumns, net.columns - column)});
  });
}

template <class GroupOf>
void scan_heads(ReferenceExecutor& reference, const LinearAttention& net, const HeadRows<double>& rows,
                GroupOf&& group_of) {
  int64_t row = 0;
  for (const StepSequence& s : reference.step().sequences()) {
    std::vector<double>& state = reference.sequence(s).m[static_cast<size_t>(net.layer)];
    state.resize(static_cast<size_t>(net.state_floats()));  // zero at the start
    for (int t = 0; t < s.count(); ++t, ++row) {
      for (int head = 0; head < net.heads; ++head) {
        double* m = state.data() + int64_t{head} * net.keys * net.columns;  // [keys, columns]
        const int64_t key = row * rows.key_stride + int64_t{group_of(head)} * net.keys,
                      value = int64_t{head} * net.columns;
        const double *q = rows.q + key, *k = rows.k + key, *v = rows.v + row * rows.value_stride + value;
        for (int64_t i = 0; i < int64_t{net.keys} * net.columns; ++i) m[i] *= rows.decay[row * rows.gate_stride + head];
        for (int64_t j = 0; j < net.columns; ++j) {
          double d = v[j], o = 0;
          if (rows.beta != nullptr) {
            for (int64_t i = 0; i < net.keys; ++i) d -= m[i * net.columns + j] * k[i];
            d *= rows.beta[row * rows.gate_stride + head];
          }
          for (int64_t i = 0; i < net.keys; ++i) {
            m[i * net.columns + j] += k[i] * d;
            o += m[i * net.columns + j] * q[i];
          }
          rows.o[row * net.heads * net.columns + value + j] = o;
        }
      }
    }
  }
}

}  // namespace fieldprint
