// One head of a gated delta net, 128 keys and 128 values, as the op takes it: a block of 32 columns for all tokens, one
// block after the other. `per_token` is the time of one token on one core.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "base/rng.h"
#include "kernels/select.h"

namespace fieldprint {
namespace {

constexpr int kSize = 128, kColumns = 32;

void scan(benchmark::State& bench, const KernelTable& kernels, int tokens) {
  Rng rng(1);
  const auto floats = [&](int count, float size) {
    std::vector<float> v(static_cast<size_t>(count));
    for (float& x : v) x = rng.normal() * size;
    return v;
  };
  const float unit = 1 / std::sqrt(static_cast<float>(kSize));
  const auto q = floats(tokens * kSize, unit), k = floats(tokens * kSize, unit), v = floats(tokens * kSize, 1);
  const std::vector<float> decay(static_cast<size_t>(tokens), 0.9f), beta(static_cast<size_t>(tokens), 0.5f);
  std::vector<float> state(kSize * kSize), o(v.size());
  for (auto _ : bench) {
    for (int column = 0; column < kSize; column += kColumns) {
      StateScan s;
      s.state = state.data() + column, s.state_stride = kSize;
      s.q = q.data(), s.k = k.data(), s.key_stride = kSize;
      s.v = v.data() + column, s.value_stride = kSize;
      s.decay = decay.data(), s.beta = beta.data(), s.gate_stride = 1;
      s.o = o.data() + column, s.output_stride = kSize;
      s.tokens = tokens, s.keys = kSize, s.columns = kColumns;
      kernels.scan_state(s);
    }
    benchmark::DoNotOptimize(o.data());
  }
  bench.counters["per_token"] = benchmark::Counter(static_cast<double>(bench.iterations()) * tokens,
                                                   benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

}  // namespace
}  // namespace fieldprint

int main(int argc, char** argv) {
  using namespace fieldprint;
  for (const IsaRow& isa : isa_rows()) {
    if (!isa.supported()) continue;
    for (const int tokens : {1, 64})
      benchmark::RegisterBenchmark(fmt::format("delta_net/{}/{}", isa.name, tokens).c_str(), scan,
                                   select_kernels(isa.name), tokens);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
