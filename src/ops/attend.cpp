// Attention of the step's queries to all keys of their sequence up to their own position, or in an encoder to all. What
// a kind of attention makes of products is in src/attention.
#include <algorithm>
#include <vector>

#include "attention/reference.h"
#include "attention/walk.h"
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

Tensor compute(RunExecutor& run, const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v,
               const Tensor* r) {
  Tensor y = run.make(q.rows(), q.cols());
  auto& attending = run.memory<std::vector<AttendSequence>>();
  attending.clear();
  int row = 0;
  for (const StepSequence& s : run.step().sequences()) {
    RunSequence& sequence = run.sequence(s);
    KvSequence& kv = sequence.kv(shape.layer);
    if (!s.replay || sequence.rebuilds(shape.layer)) {
      run.for_rows(s.count(), [&](int t) {
        const int64_t at = (row + t) * k.cols();
        kv.write(shape.layer, s.first_position + t, run.data(k) + at, run.data(v) + at);
      });
    }
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
                         .mass = meter != nullptr ? meter->mass(shape.heads) : nullptr});
    run.count(work_of(kv.layout(), shape, s));
    row += s.count();
  }
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
               const Tensor& v, const Tensor* r) {
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

}  // namespace

Tensor Ops::attend(const AttendShape& shape, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor* r) {
  const OpScope scope(executor_, "attend", {}, shape.layer);
  return executor_.visit([&](auto& executor) { return compute(executor, shape, q, k, v, r); });
}

}  // namespace fieldprint
