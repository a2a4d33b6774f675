// The ladder of attention's products and softmax: scalar, AVX2, AVX-512, on one thread, for rows of a decoded token (4)
// and of a prefill block (120). Each step is checked against scalar before it is timed, and shown as a share of the
// peak of its float32 units, with Q8_0 of its int8 units. One tile of keys: 64 keys (values) of 64 or 128
// dimensions.
//   attention_bench --kernels --benchmark_filter='avx2/scores'
#include "kernels.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "../ladder.h"
#include "base/float16.h"
#include "base/rng.h"
#include "kernels/select.h"
#include "kv/layout.h"

namespace fieldprint {
namespace {

constexpr int kKeys = kTileKeys;

std::vector<float> normals(size_t count) {
  Rng rng(1);
  std::vector<float> x(count);
  for (float& v : x) v = static_cast<float>(rng.normal());
  return x;
}

template <class Number>
using Slot = void (*KernelTable::*)(const ProductOf<Number>&);

// c [rows, n] = a [rows, inner] b [inner, n].
template <class Number>
void product(benchmark::State& state, const KernelTable& kernels, Slot<Number> slot, int rows, int inner, int n) {
  const std::vector<float> a = normals(static_cast<size_t>(rows * inner));
  std::vector<Number> b;
  for (const float x : normals(static_cast<size_t>(inner * n))) {
    if constexpr (sizeof(Number) == sizeof(float)) b.push_back(x);
    else b.push_back(float_to_half(x));  // numbers as BF16 too
  }
  std::vector<float> expected(static_cast<size_t>(rows * n)), c(expected);
  ProductOf<Number> args{.a = a.data(), .a_stride = inner, .b = b.data(), .b_stride = n};
  args.c = expected.data(), args.c_stride = n;
  args.m = rows, args.inner = inner, args.n = n;
  args.fresh = true;
  (select_kernels("scalar").*slot)(args);
  args.c = c.data();
  (kernels.*slot)(args);
  if (std::memcmp(expected.data(), c.data(), sizeof(float) * c.size()) != 0)
    return state.SkipWithError("the bits differ from scalar's");
  for (auto _ : state) {
    (kernels.*slot)(args);
    benchmark::ClobberMemory();
  }
  const double operations = 2.0 * rows * inner * n * static_cast<double>(state.iterations());
  state.counters["of_f32"] = benchmark::Counter(operations / peak(kernels.peak_f32), benchmark::Counter::kIsRate);
}

// Operands and result of a product of bytes; `values`: of weights with values, for queries with keys.
struct Bytes {
  int rows, d;
  bool values;
  std::vector<float> a, q_scales;
  std::vector<int32_t> q_sums;
  std::vector<int8_t> q, b;
  std::vector<uint16_t> scales;
  std::vector<int> seen;

  Bytes(const KernelTable& kernels, int row_count, int head_dim, bool of_values)
      : rows(row_count),
        d(head_dim),
        values(of_values),
        a(normals(static_cast<size_t>(rows * (values ? kKeys : d)))),
        q_scales(a.size() / kKvBlock),
        q_sums(q_scales.size()),
        q(a.size()),
        scales(static_cast<size_t>(d / kKvBlock * kKeys), float_to_half(1.0f / 30)),
        seen(static_cast<size_t>(rows), kKeys) {
    for (const float x : normals(static_cast<size_t>(d * kKeys))) b.push_back(static_cast<int8_t>(x * 30));
    kernels.quantize_bytes(a.data(), static_cast<int64_t>(a.size()), q.data(), q_scales.data(), q_sums.data());
  }

  int outputs() const { return values ? d : kKeys; }
  void run(const KernelTable& kernels, float* c) const {
    if (values) {
      kernels.add_byte_values({.weights = a.data(),
                               .seen = seen.data(),
                               .values = b.data(),
                               .scales = scales.data(),
                               .stride = kKeys,
                               .c = c,
                               .m = rows,
                               .d = d});
    } else {
      kernels.score_bytes({.q = q.data(),
                           .q_scales = q_scales.data(),
                           .q_sums = q_sums.data(),
                           .keys = b.data(),
                           .key_scales = scales.data(),
                           .stride = kKeys,
                           .c = c,
                           .m = rows,
                           .d = d});
    }
  }
};

void byte_product(benchmark::State& state, const KernelTable& kernels, int rows, int d, bool values) {
  const Bytes bytes(kernels, rows, d, values);
  std::vector<float> expected(static_cast<size_t>(rows * bytes.outputs())), c(expected);
  bytes.run(select_kernels("scalar"), expected.data());
  bytes.run(kernels, c.data());
  if (std::memcmp(expected.data(), c.data(), sizeof(float) * c.size()) != 0)
    return state.SkipWithError("the bits differ from scalar's");
  for (auto _ : state) {
    bytes.run(kernels, c.data());
    benchmark::ClobberMemory();
  }
  const double operations = 2.0 * rows * d * kKeys * static_cast<double>(state.iterations());
  state.counters["of_int8"] = benchmark::Counter(operations / peak(kernels.peak_int8), benchmark::Counter::kIsRate);
}

void softmax(benchmark::State& state, const KernelTable& kernels, int rows, int d) {
  const std::vector<float> scores = normals(static_cast<size_t>(rows * kKeys));
  const std::vector<int> seen(static_cast<size_t>(rows), kKeys);
  const std::vector<float> scale(static_cast<size_t>(rows), 0.125f);
  const auto run = [&](const KernelTable& table, std::vector<float>* s) {
    *s = scores;
    std::vector<SoftmaxState> states(static_cast<size_t>(rows));
    std::vector<float> o(static_cast<size_t>(rows * d));
    table.softmax_rows({s->data(), seen.data(), scale.data(), states.data(), o.data(), rows, d});
  };
  std::vector<float> expected, s;
  run(select_kernels("scalar"), &expected);
  run(kernels, &s);
  if (std::memcmp(expected.data(), s.data(), sizeof(float) * s.size()) != 0)
    return state.SkipWithError("the bits differ from scalar's");
  std::vector<SoftmaxState> states(static_cast<size_t>(rows));
  std::vector<float> o(static_cast<size_t>(rows * d));
  for (auto _ : state) {  // after the first time of weights, not scores: as many operations
    kernels.softmax_rows({s.data(), seen.data(), scale.data(), states.data(), o.data(), rows, d});
    benchmark::ClobberMemory();
  }
  state.counters["scores"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * rows * kKeys, benchmark::Counter::kIsRate);
}

template <class Number>
void add_products(const IsaRow& isa, const char* number, Slot<Number> slot, int rows, int d) {
  const KernelTable& kernels = select_kernels(isa.name);
  benchmark::RegisterBenchmark(
      fmt::format("{}/scores/{}/{}_rows/{}", isa.name, number, rows, d).c_str(),
      [&kernels, slot, rows, d](benchmark::State& state) { product(state, kernels, slot, rows, d, kKeys); });
  benchmark::RegisterBenchmark(
      fmt::format("{}/values/{}/{}_rows/{}", isa.name, number, rows, d).c_str(),
      [&kernels, slot, rows, d](benchmark::State& state) { product(state, kernels, slot, rows, kKeys, d); });
}

void add_byte_products(const IsaRow& isa, int rows, int d) {
  for (const bool values : {false, true}) {
    benchmark::RegisterBenchmark(
        fmt::format("{}/{}/q8_0/{}_rows/{}", isa.name, values ? "values" : "scores", rows, d).c_str(),
        [&kernels = select_kernels(isa.name), rows, d, values](benchmark::State& state) {
          byte_product(state, kernels, rows, d, values);
        });
  }
}

void add_all() {
  for (const IsaRow& isa : isa_rows()) {
    if (!isa.supported()) continue;
    for (const int rows : {4, 120}) {
      for (const int d : {64, 128}) {
        add_products(isa, "f16", &KernelTable::accumulate_f16, rows, d);
        add_products(isa, "bf16", &KernelTable::accumulate_bf16, rows, d);
        add_products(isa, "f32", &KernelTable::accumulate_f32, rows, d);
        add_byte_products(isa, rows, d);
        benchmark::RegisterBenchmark(fmt::format("{}/softmax/{}_rows/{}", isa.name, rows, d).c_str(),
                                     [&kernels = select_kernels(isa.name), rows, d](benchmark::State& state) {
                                       softmax(state, kernels, rows, d);
                                     });
      }
    }
  }
}

}  // namespace

int run_attention_kernels(int argc, char** argv) { return run_ladder(argc, argv, add_all); }

}  // namespace fieldprint
