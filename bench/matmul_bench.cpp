// The ladder of the quantised product: scalar, AVX2, AVX-512 for every type, one token to many, on one thread. Each
// step is checked against scalar before it is timed, and shown as a share of the peak of its integer units, or as
// bytes of weights a second. Weights are either small enough for L2 or larger than any cache.
//   matmul_bench --benchmark_filter='avx2/Q4_K'
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "kernels/select.h"
#include "ladder.h"
#include "quant/random_blocks.h"

namespace fieldprint {
namespace {

constexpr int kWidth = 2048, kPieceRows = 256;
constexpr int64_t kStreamed = 256 << 20, kCached = 256 << 10;  // bytes of weights

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory allocate(size_t bytes) {
  return Memory(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
}

void run(benchmark::State& state, const KernelTable& kernels, const QuantType& type, int tokens, int64_t bytes) {
  const auto row_bytes = static_cast<int64_t>(type.bytes(kWidth));
  const int rows = static_cast<int>(bytes / row_bytes);
  const Memory weights = allocate(static_cast<size_t>(rows * row_bytes));
  Rng rng(1);
  RandomBlocks(type, 0.02f).fill(rng, weights.get(), int64_t{std::min(rows, 64)} * kWidth);
  for (int r = 64; r < rows; ++r)
    std::memcpy(weights.get() + r * row_bytes, weights.get() + r % 64 * row_bytes, static_cast<size_t>(row_bytes));

  const auto numbers = static_cast<size_t>(tokens * kWidth);
  std::vector<float> x(numbers), d[2], sum[2];
  std::vector<int8_t> q[2];
  std::vector<int16_t> half_sums[2], pair_sums[2];
  for (float& v : x) v = static_cast<float>(rng.normal());
  for (int i = 0; i < 2; ++i) {
    q[i].resize(numbers), d[i].resize(numbers / 32), sum[i].resize(numbers / 32);
    half_sums[i].resize(numbers / 16), pair_sums[i].resize(numbers / 8);
  }
  std::vector<uint32_t> outliers(static_cast<size_t>(tokens * Activations::outlier_words(kWidth)));
  const Activations in{x.data(),
                       {q[0].data(), d[0].data(), half_sums[0].data(), pair_sums[0].data(), sum[0].data()},
                       {q[1].data(), d[1].data(), half_sums[1].data(), pair_sums[1].data(), sum[1].data()},
                       outliers.data()};
  for (int t = 0; t < tokens; ++t) kernels.quantize(x.data() + t * kWidth, kWidth, in.from(t, kWidth));

  const Memory scratch = allocate(kScratchBytes);
  std::vector<float> y(static_cast<size_t>(rows) * static_cast<size_t>(tokens)),
      expected(64 * static_cast<size_t>(tokens));
  Matmul args{weights.get(), row_bytes, kWidth, 0, std::min(rows, 64), in, tokens, expected.data(), 64, scratch.get()};
  select_kernels("scalar").matmul[type.ggml_id](args);
  args.y = y.data(), args.y_stride = rows;
  kernels.matmul[type.ggml_id](args);
  for (int t = 0; t < tokens; ++t) {
    if (std::memcmp(expected.data() + t * 64, y.data() + int64_t{t} * rows,
                    sizeof(float) * static_cast<size_t>(args.row_end)) != 0)
      return state.SkipWithError("the bits differ from scalar's");
  }
  for (auto _ : state) {  // in pieces as the engine deals them out
    for (int r = 0; r < rows; r += kPieceRows) {
      args.row_begin = r, args.row_end = std::min(rows, r + kPieceRows);
      for (int t = 0; t < tokens; t += kTokenGroup) {
        args.x = in.from(t, kWidth), args.tokens = std::min(kTokenGroup, tokens - t);
        args.y = y.data() + int64_t{t} * rows;
        kernels.matmul[type.ggml_id](args);
      }
    }
    benchmark::ClobberMemory();
  }
  static std::map<const KernelTable*, double> peaks;  // of each instruction set
  double& most = peaks[&kernels];
  if (most == 0) most = peak(kernels.peak_int8);
  const auto products = static_cast<double>(state.iterations()) * rows * kWidth * tokens;
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(rows * row_bytes) / 1e9,
                         benchmark::Counter::kIsRate);
  state.counters["of_int8"] = benchmark::Counter(2 * products / most, benchmark::Counter::kIsRate);
}

void add_all() {
  for (const IsaRow& isa : isa_rows()) {
    if (!isa.supported()) continue;
    const KernelTable& kernels = select_kernels(isa.name);
    for (const QuantType& type : quant_types()) {
      if (!wants_quantized(kernels, type)) continue;
      for (const int tokens : {1, 2, 4, 16, 64, 512}) {
        for (const int64_t bytes : {kCached, kStreamed}) {
          if (bytes == kStreamed && tokens > 4) continue;
          benchmark::RegisterBenchmark(
              fmt::format("{}/{}/{}_tokens/{}", isa.name, type.name, tokens, bytes == kCached ? "cached" : "streamed")
                  .c_str(),
              [&kernels, &type, tokens, bytes](benchmark::State& state) { run(state, kernels, type, tokens, bytes); })
              ->Unit(benchmark::kMillisecond);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fieldprint

int main(int argc, char** argv) { return fieldprint::run_ladder(argc, argv, fieldprint::add_all); }
