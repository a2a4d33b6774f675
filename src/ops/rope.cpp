// Rotary position embedding (Su et al. 2021): a pair (a, b) of a head at position p becomes
//   (a cos - b sin, a sin + b cos) of the angle p * inverse_frequency[pair], times the magnitude
#include <algorithm>
#include <memory>
#include <vector>

#include "base/math.h"
#include "ops/backward.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

// cos and sin of a step's positions: {cos [pairs], sin [pairs]} of each. One table serves all layers of a step that
// turn alike, and what they record. Sequences that lie side by side share their positions.
template <class Number>
struct Angles {
  int first = 0;        // position of the first row of `values`
  bool by_row = false;  // positions are too far apart: `values` are of the step's rows
  std::vector<Number> values;

  template <class AnyExecutor>
  void compute(AnyExecutor& executor, const Rope& rope) {
    const auto& step = executor.step();
    const int rows = step.rows();
    int last = 0;
    for (int row = 0; row < rows; ++row) {
      const int position = step.position(row);
      first = row == 0 ? position : std::min(first, position);
      last = std::max(last, position);
    }
    by_row = last - first >= rows;
    const int count = by_row ? rows : rows == 0 ? 0 : last - first + 1;
    const size_t pairs = rope.inverse_frequency.size();
    values.resize(static_cast<size_t>(count) * 2 * pairs);
    executor.for_rows(count, [&](int i) {
      Number* cosine = values.data() + static_cast<size_t>(i) * 2 * pairs;
      for (size_t pair = 0; pair < pairs; ++pair) {
        double s = 0, c = 0;
        sincos_f64((by_row ? step.position(i) : first + i) * rope.inverse_frequency[pair], &s, &c);
        cosine[pair] = static_cast<Number>(c * rope.magnitude);
        cosine[pairs + pair] = static_cast<Number>(s * rope.magnitude);
      }
    });
  }

  const Number* of(int row, int position, size_t pairs) const {
    return values.data() + static_cast<size_t>(by_row ? row : position - first) * 2 * pairs;
  }
};

struct RopeTable {
  uint64_t step = 0;
  const Rope* rope = nullptr;
  std::shared_ptr<Angles<float>> angles;  // what a step has recorded may still have them

  void compute(RunExecutor& run, const Rope& of) {
    if (step == run.step().number() && rope == &of) return;
    step = run.step().number();
    rope = &of;
    if (angles == nullptr || angles.use_count() > 1) angles = std::make_shared<Angles<float>>();
    angles->compute(run, of);
  }
};

// Of the few embeddings that layers of one model have.
struct RopeTables {
  static constexpr size_t kMost = 2;
  std::vector<RopeTable> tables;
  size_t next = 0;

  const RopeTable& of(RunExecutor& run, const Rope& rope) {
    size_t i = 0;
    while (i < tables.size() && tables[i].rope != &rope) ++i;
    if (i == tables.size()) {
      if (tables.size() < kMost) tables.emplace_back();
      else i = next++ % kMost;
    }
    tables[i].compute(run, rope);
    return tables[i];
  }
};

void compute(RunExecutor& run, Tensor& x, const Rope& rope, int heads) {
  const Angles<float>& angles = *run.memory<RopeTables>().of(run, rope).angles;
  const auto pairs = static_cast<int>(rope.inverse_frequency.size());
  const int64_t d = x.cols() / heads;
  float* values = run.data(x);
  run.arena().changed(x);
  run.for_rows(x.rows(), [&](int row) {
    const float* cosine = angles.of(row, run.step().position(row), static_cast<size_t>(pairs));
    const float* sine = cosine + pairs;
    for (int h = 0; h < heads; ++h) {
      float* v = values + row * x.cols() + h * d;
      if (rope.pairs == RopePairs::kAdjacent) {
        for (int i = 0; i < pairs; ++i) {
          const float a = v[2 * i], b = v[2 * i + 1];
          v[2 * i] = a * cosine[i] - b * sine[i];
          v[2 * i + 1] = a * sine[i] + b * cosine[i];
        }
      } else {
        for (int i = 0; i < pairs; ++i) {
          const float a = v[i], b = v[i + pairs];
          v[i] = a * cosine[i] - b * sine[i];
          v[i + pairs] = a * sine[i] + b * cosine[i];
        }
      }
    }
  });
}

void compute(ReferenceExecutor& reference, Tensor& x, const Rope& rope, int heads) {
  const int64_t d = x.cols() / heads;
  const auto pairs = static_cast<int64_t>(rope.inverse_frequency.size());
  const bool adjacent = rope.pairs == RopePairs::kAdjacent;
  for (int row = 0; row < x.rows(); ++row) {
    for (int h = 0; h < heads; ++h) {
      double* v = reference.data(x) + row * x.cols() + h * d;
      for (int64_t i = 0; i < pairs; ++i) {
        double sine = 0, cosine = 0;
        sincos_f64(reference.step().position(row) * rope.inverse_frequency[static_cast<size_t>(i)], &sine, &cosine);
        sine *= rope.magnitude;
        cosine *= rope.magnitude;
        double& a = v[adjacent ? 2 * i : i];
        double& b = v[adjacent ? 2 * i + 1 : i + pairs];
        const double rotated = a * cosine - b * sine;
        b = a * sine + b * cosine;
        a = rotated;
      }
    }
  }
}

std::shared_ptr<const Angles<float>> angles_of(RunExecutor& run, const Rope& rope) {
  return run.memory<RopeTables>().of(run, rope).angles;
}
std::shared_ptr<const Angles<double>> angles_of(ReferenceExecutor& reference, const Rope& rope) {
  const auto angles = std::make_shared<Angles<double>>();
  angles->compute(reference, rope);
  return angles;
}

// The gradient turns back: a rotation's inverse is its transpose, the magnitude stays.
template <class AnyExecutor>
void record(AnyExecutor& executor, const Tensor& x, const Rope& rope, int heads) {
  using Number = typename AnyExecutor::Number;
  on_tape(executor, {&x}, {}, [&](auto& tape) {
    const size_t pairs = rope.inverse_frequency.size();
    const std::shared_ptr<const Angles<Number>> angles = angles_of(executor, rope);
    std::vector<int> positions(static_cast<size_t>(x.rows()));
    for (int row = 0; row < x.rows(); ++row) positions[static_cast<size_t>(row)] = executor.step().position(row);
    tape.record(x, [&executor, &tape, x = tape.node(x), heads, pairs, angles, positions = std::move(positions),
                    adjacent = rope.pairs == RopePairs::kAdjacent] {
      Number* dx = tape.gradient(x);
      executor.for_rows(x.rows, [&](int row) {
        const Number* cosine = angles->of(row, positions[static_cast<size_t>(row)], pairs);
        const Number* sine = cosine + pairs;
        for (int h = 0; h < heads; ++h) {
          Number* v = dx + row * x.cols + h * (x.cols / heads);
          for (size_t i = 0; i < pairs; ++i) {
            Number &a = v[adjacent ? 2 * i : i], &b = v[adjacent ? 2 * i + 1 : i + pairs];
            const Number turned = a * cosine[i] + b * sine[i];
            b = b * cosine[i] - a * sine[i];
            a = turned;
          }
        }
      });
    });
  });
}

}  // namespace

void Ops::rope(Tensor& x, const Rope& rope, int heads) {
  const OpScope scope(executor_, "rope");
  executor_.visit([&](auto& executor) {
    own(executor, x);
    compute(executor, x, rope, heads);
    record(executor, x, rope, heads);
  });
}

}  // namespace fieldprint
