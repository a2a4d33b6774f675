// The ladder of attention's products and softmax: scalar, AVX2, AVX-512, on one thread, for rows of a decoded token (4)
// and of a prefill block (120). Each step is checked against scalar before it is timed, and shown as a share of what
// its float32 units do at most. One tile of keys: 64 keys (values) of 64 or 128 dimensions.
//   attention_bench --benchmark_filter='avx2/scores'
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "base/float16.h"
#include "base/rng.h"
#include "kernels/select.h"
#include "kv/layout.h"
#include "ladder.h"

namespace fieldprint {
namespace {

constexpr int kKeys = kSoftmaxKeys;

std::vector<float> normals(size_t count) {
  Rng rng(1);
  std::vector<float> x(count);
  for (float& v : x) v = static_cast<float>(rng.normal());
  return x;
}

uint16_t narrow(float x, uint16_t) { return float_to_half(x); }  // as BF16 these bits are numbers too
float narrow(float x, float) { return x; }
int8_t narrow(float x, int8_t) { return static_cast<int8_t>(x * 30); }

// c [rows, n] = a [rows, inner] b [inner, n].
template <class Number>
void product(benchmark::State& state, const KernelTable& kernels,
             void (*KernelTable::*const slot)(const Product<Number>&), int rows, int inner, int n) {
  const std::vector<float> a = normals(static_cast<size_t>(rows * inner));
  std::vector<Number> b;
  for (const float x : normals(static_cast<size_t>(inner * n))) b.push_back(narrow(x, Number()));
  std::vector<float> expected(static_cast<size_t>(rows * n)), c(expected);
  const std::vector<uint16_t> scales(b.size() / kKvBlock, float_to_half(1.0f / 30));
  Product<Number> args;
  args.scales = scales.data();
  args.a = a.data(), args.a_stride = inner;
  args.b = b.data(), args.b_stride = sizeof(Number) == sizeof(float) ? inner * kPanel : n;
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
  state.counters["of_f32"] = benchmark::Counter(operations / peak(kernels.burst_f32), benchmark::Counter::kIsRate);
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
  for (auto _ : state) {  // of what are weights already, after the first time: as many operations
    kernels.softmax_rows({s.data(), seen.data(), scale.data(), states.data(), o.data(), rows, d});
    benchmark::ClobberMemory();
  }
  state.counters["scores"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * rows * kKeys, benchmark::Counter::kIsRate);
}

template <class Number>
using AccumulateSlot = void (*KernelTable::*)(const Product<Number>&);

template <class Number>
void add_products(const IsaRow& isa, const char* number, AccumulateSlot<Number> keys, AccumulateSlot<Number> values,
                  int rows, int d) {
  const KernelTable& kernels = select_kernels(isa.name);
  benchmark::RegisterBenchmark(
      fmt::format("{}/scores/{}/{}_rows/{}", isa.name, number, rows, d).c_str(),
      [&kernels, keys, rows, d](benchmark::State& state) { product(state, kernels, keys, rows, d, kKeys); });
  benchmark::RegisterBenchmark(
      fmt::format("{}/values/{}/{}_rows/{}", isa.name, number, rows, d).c_str(),
      [&kernels, values, rows, d](benchmark::State& state) { product(state, kernels, values, rows, kKeys, d); });
}

void add_all() {
  for (const IsaRow& isa : isa_rows()) {
    if (!isa.supported()) continue;
    for (const int rows : {4, 120}) {
      for (const int d : {64, 128}) {
        const auto add = [&](const char* number, auto slot) { add_products(isa, number, slot, slot, rows, d); };
        add("f16", &KernelTable::accumulate_f16);
        add("bf16", &KernelTable::accumulate_bf16);
        add("panels", &KernelTable::accumulate_panels);
        add_products(isa, "q8_0", &KernelTable::accumulate_q8_keys, &KernelTable::accumulate_q8_values, rows, d);
        benchmark::RegisterBenchmark(fmt::format("{}/softmax/{}_rows/{}", isa.name, rows, d).c_str(),
                                     [&kernels = select_kernels(isa.name), rows, d](benchmark::State& state) {
                                       softmax(state, kernels, rows, d);
                                     });
      }
    }
  }
}

}  // namespace
}  // namespace fieldprint

int main(int argc, char** argv) { return fieldprint::run_ladder(argc, argv, fieldprint::add_all); }
