// Attention of the step's queries to all keys of their sequence up to their own position, or in an encoder to all. What
// a kind of attention makes of products is in src/attention.
#include <algorithm>
#include <vector>

#include "attention/backward.h"
#include "attention/reference.h"
#include "attention/walk.h"
#include "fieldprint/error.h"
#include "ops/backward.h"
#include "ops/observer.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

// Keys and values that a sequence's queries read, scores and the sum of values of every key that each of them sees.
Work work_of(const KvLayout& layout, const AttendShape& shape, const StepSequence& s) {
  int64_t keys = 0;
  const int read = shape.window > 0 ? std::min(s.end(), shape.window - 1 + s.count()) : s.end();
  for (int end = s.first_position + 1; end <= s.end(); ++end)
    keys += !shape.causal ? s.end() : shape.window > 0 ? std::min(shape.window, end) : end;
  const int products = shape.spec.kind->vectors + 1;
  Work work{.bytes = static_cast<uint64_t>(read * shape.kv_heads * layout.pair_bytes(shape.layer))};
  (layout.type() == KvType::kQ8_0 ? work.int8_operations : work.float_operations) =
      static_cast<uint64_t>(2 * products * keys * shape.heads * shape.head_dim);
  return work;
}

// Where a row's keys and values go.
struct KvRow {
  KvSequence* kv;  // nullptr: they are there
  int position;
};

// `states` [rows, heads] of the softmax, where wanted.
Tensor compute(RunExecutor& run, const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
               const Tensor* r, SoftmaxState* states) {
  Tensor y = run.make(q.rows(), q.cols());
  auto& attending = run.memory<std::vector<AttendSequence>>();
  attending.clear();
  auto& kv_rows = run.memory<std::vector<KvRow>>();
  kv_rows.clear();
  int row = 0;
  for (const StepSequence& s : run.step().sequences()) {
    RunSequence& sequence = run.sequence(s);
    KvSequence& kv = sequence.kv(shape.layer);
    const bool writes = !s.replay || sequence.rebuilds(shape.layer);
    for (int p = s.first_position; p < s.end(); ++p) kv_rows.push_back({writes ? &kv : nullptr, p});
    Influence* meter = sequence.meter();
    const int64_t at = row * q.cols();
    attending.push_back({.kv = &kv,
                         .q = run.data(q) + at,
                         .r = r != nullptr ? run.data(*r) + at : nullptr,
                         .out = run.data(y) + at,
                         .tokens = s.count(),
                         .first_position = s.first_position,
                         .first_key = sequence.first_key(shape.layer),
                         .influence = meter,
                         .mass = meter != nullptr ? meter->mass(shape.heads) : nullptr,
                         .states = states != nullptr ? states + int64_t{row} * shape.heads : nullptr});
    run.count(work_of(kv.layout(), shape, s));
    row += s.count();
  }
  run.for_rows(row, [&](int i) {
    const auto& [kv, position] = kv_rows[static_cast<size_t>(i)];
    if (kv != nullptr) kv->write(shape.layer, position, run.data(k) + i * k.cols(), run.data(v) + i * k.cols());
  });
  if (OpsObserver* observer = run.observer())
    observer->attention(shape, run.data(q), run.data(k), r != nullptr ? run.data(*r) : nullptr, q.rows());
  Attend args;
  args.kernels = &run.kernels();
  args.spec = shape.spec;
  args.layer = shape.layer;
  args.heads = shape.heads;
  args.window = shape.window;
  args.causal = shape.causal;
  args.sequences = attending;
  attend(args, run.pool(), run.scratch());
  for (const AttendSequence& each : attending) {
    if (each.influence != nullptr) each.influence->add(shape.spec);
  }
  return y;
}

Tensor compute(ReferenceExecutor& reference, const AttendShape& shape, const Tensor& q, const Tensor& k,
               const Tensor& v, const Tensor* r, SoftmaxState*) {
  Tensor y = reference.make(q.rows(), q.cols());
  const int64_t d = shape.head_dim, kv_width = shape.kv_heads * d;
  int64_t row = 0;
  for (const StepSequence& s : reference.step().sequences()) {
    History& keys = reference.sequence(s).k[static_cast<size_t>(shape.layer)];
    History& values = reference.sequence(s).v[static_cast<size_t>(shape.layer)];
    keys.append(reference.data(k) + row * kv_width, s.count(), kv_width);
    values.append(reference.data(v) + row * kv_width, s.count(), kv_width);
    for (int t = 0; t < s.count(); ++t, ++row) {
      const int seen = shape.causal ? s.first_position + t + 1 : s.end(),
                first = shape.window > 0 ? std::max(0, seen - shape.window) : 0;
      for (int h = 0; h < shape.heads; ++h) {
        const int64_t at = row * q.cols() + h * d;
        const int kv_head = h / (shape.heads / shape.kv_heads);
        attend_reference<double>(
            shape.spec, shape.head_dim, h, kv_head, reference.data(q) + at,
            r != nullptr ? reference.data(*r) + at : nullptr,
            {keys.values.data() + kv_head * d, values.values.data() + kv_head * d, kv_width, first, seen},
            reference.data(y) + at);
      }
    }
  }
  return y;
}

// The sinks of a layer as the vector of weights that they are.
Weight sinks_of(const AttentionSpec& spec) {
  if (spec.sinks.empty()) return {};
  return {.name = "sinks",
          .type = find_quant_type("F32"),
          .data = reinterpret_cast<const std::byte*>(spec.sinks.data()),
          .rows = 1,
          .cols = static_cast<int64_t>(spec.sinks.size())};
}

// What a backward needs of one call.
struct Attended {
  AttendShape shape;
  Node q, k, v, r, y;
  bool third;
  std::vector<int> tokens;  // of each sequence
};

void play(RunExecutor& run, Tape<float>& tape, const Attended& a, const std::vector<SoftmaxState>& states) {
  const auto wanted = [&](const Node& x) { return tape.wants(x) ? tape.gradient(x) : nullptr; };
  float *dq = wanted(a.q), *dk = wanted(a.k), *dv = wanted(a.v), *dr = a.third ? wanted(a.r) : nullptr;
  std::vector<BackwardSequence> sequences;
  int64_t row = 0;
  for (const int tokens : a.tokens) {
    const int64_t at = row * a.q.cols, kv_at = row * a.k.cols;
    const auto from = [](auto* x, int64_t begin) { return x != nullptr ? x + begin : nullptr; };
    sequences.push_back({.q = tape.values(a.q) + at,
                         .r = a.third ? tape.values(a.r) + at : nullptr,
                         .k = tape.values(a.k) + kv_at,
                         .v = tape.values(a.v) + kv_at,
                         .out = tape.values(a.y) + at,
                         .d_out = tape.gradient(a.y) + at,
                         .states = states.data() + row * a.shape.heads,
                         .dq = from(dq, at),
                         .dr = from(dr, at),
                         .dk = from(dk, kv_at),
                         .dv = from(dv, kv_at),
                         .tokens = tokens});
    row += tokens;
  }
  attend_backward({.kernels = &run.kernels(),
                   .spec = a.shape.spec,
                   .heads = a.shape.heads,
                   .kv_heads = a.shape.kv_heads,
                   .head_dim = a.shape.head_dim,
                   .window = a.shape.window,
                   .causal = a.shape.causal,
                   .sequences = sequences,
                   .d_sinks = tape.gradient(sinks_of(a.shape.spec))},
                  run.pool(), run.scratch(), run.memory<BackwardScratch>());
}

void play(ReferenceExecutor&, Tape<double>& tape, const Attended& a, const std::vector<SoftmaxState>&) {
  const AttendShape& shape = a.shape;
  const auto wanted = [&](const Node& x) { return tape.wants(x) ? tape.gradient(x) : nullptr; };
  double *dq = wanted(a.q), *dk = wanted(a.k), *dv = wanted(a.v), *dr = a.third ? wanted(a.r) : nullptr;
  double* d_sinks = tape.gradient(sinks_of(shape.spec));
  const auto from = [](auto* x, int64_t begin) { return x != nullptr ? x + begin : nullptr; };
  int64_t row = 0;
  for (const int tokens : a.tokens) {
    for (int t = 0; t < tokens; ++t) {
      const int seen = shape.causal ? t + 1 : tokens, first = shape.window > 0 ? std::max(0, seen - shape.window) : 0;
      for (int h = 0; h < shape.heads; ++h) {
        const int kv_head = h / (shape.heads / shape.kv_heads);
        const int64_t at = (row + t) * a.q.cols + int64_t{h} * shape.head_dim,
                      kv_at = row * a.k.cols + int64_t{kv_head} * shape.head_dim;
        attend_reference_backward(
            shape.spec, shape.head_dim, h, kv_head, tape.values(a.q) + at, a.third ? tape.values(a.r) + at : nullptr,
            {tape.values(a.k) + kv_at, tape.values(a.v) + kv_at, a.k.cols, first, seen}, tape.gradient(a.y) + at,
            {from(dq, at), from(dr, at), from(dk, kv_at), from(dv, kv_at), from(d_sinks, h)});
      }
    }
    row += tokens;
  }
}

template <class AnyExecutor>
void record(AnyExecutor& executor, const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
            const Tensor* r, const Tensor& y, std::vector<SoftmaxState> states) {
  auto& tape = *executor.tape();
  Attended attended{.shape = shape,
                    .q = tape.keep(q),
                    .k = tape.keep(k),
                    .v = tape.keep(v),
                    .r = r != nullptr ? tape.keep(*r) : Node(),
                    .y = tape.keep(y),
                    .third = r != nullptr,
                    .tokens = {}};
  for (const StepSequence& s : executor.step().sequences()) {
    if (s.first_position > 0)
      throw Error(ErrorKind::kUnsupported, "gradients are of sequences from their first token on", "attend",
                  "give a sequence's tokens in one step");
    attended.tokens.push_back(s.count());
  }
  tape.record(y, [&executor, &tape, attended = std::move(attended), states = std::move(states)] {
    play(executor, tape, attended, states);
  });
}

}  // namespace

Tensor Ops::attend(const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor* r) {
  const OpScope scope(executor_, "attend", {}, shape.layer);
  return executor_.visit([&](auto& executor) {
    bool recorded = false;
    const Weight sinks = sinks_of(shape.spec);
    on_tape(executor, {&q, &k, &v, r != nullptr ? r : &q}, {&sinks}, [&](auto&) { recorded = true; });
    std::vector<SoftmaxState> states(recorded ? static_cast<size_t>(q.rows()) * static_cast<size_t>(shape.heads) : 0);
    Tensor y = compute(executor, shape, q, k, v, r, recorded ? states.data() : nullptr);
    if (recorded) record(executor, shape, q, k, v, r, y, std::move(states));
    return y;
  });
}

}  // namespace fieldprint
