// What the ops of linear attention share: the walk over tokens by every head's state (StateScan in kernels/table.h;
// docs/decisions/0009-delta-net-token-by-token.md says why it is not cut into chunks of tokens).
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "base/math.h"
#include "ops/backward.h"
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

// Gradients of the same rows: `o` is given, the others are written. Each head has its own query and key, for heads
// share groups.
template <class Number>
struct HeadGradients {
  const Number* o;       // [T, heads * columns]
  Number *q, *k;         // [T, heads * keys]
  Number* v;             // [T, heads * columns]
  Number *decay, *beta;  // [T, heads]; beta where there is one
};

// Back through time, each head alone; `sequences` are those of the step, begun in it.
void scan_heads_backward(RunExecutor& run, const LinearAttention& net, std::span<const SequenceRows> sequences,
                         const HeadRows<float>& rows, std::span<const int> group_of_head,
                         const HeadGradients<float>& gradients);
void scan_heads_backward(ReferenceExecutor& reference, const LinearAttention& net,
                         std::span<const SequenceRows> sequences, const HeadRows<double>& rows,
                         std::span<const int> group_of_head, const HeadGradients<double>& gradients);

template <class GroupOf>
std::vector<int> groups_of_heads(const LinearAttention& net, GroupOf&& group_of) {
  std::vector<int> groups;
  for (int head = 0; head < net.heads; ++head) groups.push_back(group_of(head));
  return groups;
}

// sum [keys]: of one token's queries or keys [heads, keys] those of a group, head after head.
template <class Number>
void sum_group(const LinearAttention& net, std::span<const int> group_of_head, int group, const Number* of_heads,
               Number* sum) {
  std::fill_n(sum, net.keys, Number{0});
  for (int head = 0; head < net.heads; ++head) {
    if (group_of_head[static_cast<size_t>(head)] != group) continue;
    for (int i = 0; i < net.keys; ++i) sum[i] += of_heads[head * net.keys + i];
  }
}

// decay[t, n] = exp(decay_n * s) with the step s = softplus(x[t, n] + bias_n). From the gradients by decay[t, n] and,
// beside that, by s, both [T, heads] and overwritten, to those of x and the trained ones among decay_n and bias_n.
template <class AnyExecutor, class Number>
void decay_backward(AnyExecutor& executor, Tape<Number>& tape, const LinearAttention& net, const Node& x,
                    const Number* decay, int64_t decay_stride, Number* by_decay, Number* by_step) {
  const Number* in = tape.values(x);
  Number *dx = tape.gradient(x), *of_decay = tape.gradient(net.decay), *of_bias = tape.gradient(net.bias);
  executor.for_rows(x.rows, [&](int t) {
    for (int64_t n = 0, i = t * x.cols; n < x.cols; ++n, ++i) {
      const double sum = static_cast<double>(in[i]) + static_cast<double>(net.bias.floats()[n]);
      const Number along = by_decay[i] * decay[t * decay_stride + n];
      by_decay[i] = along * static_cast<Number>(softplus(sum));
      by_step[i] += along * static_cast<Number>(net.decay.floats()[n]);
      by_step[i] /= 1 + exp_of(static_cast<Number>(-sum));
      dx[i] += by_step[i];
    }
  });
  for_columns(executor, x.cols, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < x.rows; ++t) {
      for (int64_t n = begin; n < end; ++n) {
        if (of_decay != nullptr) of_decay[n] += by_decay[t * x.cols + n];
        if (of_bias != nullptr) of_bias[n] += by_step[t * x.cols + n];
      }
    }
  });
}

}  // namespace fieldprint
