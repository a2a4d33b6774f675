// What a training step spends its time on, on two threads: attention forward and backward by kind and length, 4 heads
// of 16, and the products of gradients. `flops` counts the operations of the formulas: of attention, those of the keys
// that are seen.
//   backward_bench --benchmark_filter='attention/gram'
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>
#include <vector>

#include "attention/backward.h"
#include "base/rng.h"
#include "kernels/select.h"
#include "ops/gemm.h"

namespace fieldprint {
namespace {

constexpr int kThreads = 2, kHeads = 4, kHeadDim = 16;

std::vector<float> normals(int64_t count) {
  static Rng rng(1);
  std::vector<float> x(static_cast<size_t>(count));
  for (float& v : x) v = rng.normal();
  return x;
}

void count_flops(benchmark::State& bench, double each) {
  bench.counters["flops"] =
      benchmark::Counter(each * static_cast<double>(bench.iterations()), benchmark::Counter::kIsRate);
}

// `sequences` of `tokens` each.
struct Attention {
  const KernelTable& kernels = select_kernels("");
  AttentionSpec spec;
  KvLayout layout;
  PagePool pages{layout.page_bytes()};
  std::vector<std::unique_ptr<KvSequence>> kvs;
  std::vector<float> q, r, k, v, out, d_out, dq, dr, dk, dv;
  std::vector<SoftmaxState> states;
  std::vector<AttendSequence> forward;
  std::vector<BackwardSequence> backward;
  ThreadPool pool{kThreads};
  AttendScratch scratch{kThreads};
  BackwardScratch memory;

  Attention(const AttentionKind& kind, int sequences, int tokens)
      : layout({{kHeads, kHeadDim, kind.key_squares}}, 64, KvType::kF32) {
    spec.kind = &kind;
    spec.scale = static_cast<float>(kind.scale(kHeadDim));
    const int64_t count = int64_t{sequences} * tokens * kHeads * kHeadDim;
    for (auto* x : {&q, &r, &k, &v, &out, &d_out, &dq, &dr, &dk, &dv}) *x = normals(count);
    states.resize(static_cast<size_t>(count / kHeadDim));
    for (int s = 0; s < sequences; ++s) {
      kvs.push_back(std::make_unique<KvSequence>(layout, pages));
      kvs.back()->reserve(0, tokens);
      const int64_t width = kHeads * kHeadDim, at = int64_t{s} * tokens * width;
      for (int t = 0; t < tokens; ++t) kvs.back()->write(0, t, k.data() + at + t * width, v.data() + at + t * width);
      forward.push_back({.kv = kvs.back().get(),
                         .q = q.data() + at,
                         .r = r.data() + at,
                         .out = out.data() + at,
                         .tokens = tokens,
                         .states = states.data() + at / kHeadDim});
      backward.push_back({.q = q.data() + at,
                          .r = r.data() + at,
                          .k = k.data() + at,
                          .v = v.data() + at,
                          .out = out.data() + at,
                          .d_out = d_out.data() + at,
                          .states = states.data() + at / kHeadDim,
                          .dq = dq.data() + at,
                          .dr = dr.data() + at,
                          .dk = dk.data() + at,
                          .dv = dv.data() + at,
                          .tokens = tokens});
    }
  }

  void go_forward() {
    Attend args;
    args.kernels = &kernels;
    args.spec = spec;
    args.heads = kHeads;
    args.sequences = forward;
    attend(args, pool, scratch);
  }
  void go_backward() {
    attend_backward({.kernels = &kernels,
                     .spec = spec,
                     .heads = kHeads,
                     .kv_heads = kHeads,
                     .head_dim = kHeadDim,
                     .sequences = backward},
                    pool, scratch, memory);
  }
};

void attention(benchmark::State& bench, const AttentionKind& kind, int sequences, int tokens, bool backward) {
  Attention attention(kind, sequences, tokens);
  attention.go_forward();
  for (auto _ : bench) {
    if (backward) attention.go_backward();
    else attention.go_forward();
  }
  const double pairs = 0.5 * sequences * tokens * (tokens + 1.0) * kHeads;
  const int products = backward ? 3 * kind.vectors + 2 : kind.vectors + 1;
  count_flops(bench, pairs * 2 * kHeadDim * products);
}

void product(benchmark::State& bench, int m, int inner, int n, bool transposed) {
  ThreadPool pool(kThreads);
  RunExecutor run(select_kernels(""), pool, KvLayout({{1, 16}}, 64));
  const auto a = normals(int64_t{m} * inner), b = normals(int64_t{inner} * n);
  std::vector<float> c(static_cast<size_t>(m) * static_cast<size_t>(n));
  for (auto _ : bench)
    accumulate(run, {.a = a.data(),
                     .a_row = transposed ? 1 : inner,
                     .a_step = transposed ? m : 1,
                     .b = b.data(),
                     .b_row = n,
                     .c = c.data(),
                     .c_row = n,
                     .m = m,
                     .inner = inner,
                     .n = n});
  count_flops(bench, 2.0 * m * inner * n);
}

}  // namespace
}  // namespace fieldprint

int main(int argc, char** argv) {
  using namespace fieldprint;
  for (const AttentionKind& kind : attention_kinds()) {
    if (kind.anchors) continue;
    for (const auto& [sequences, tokens] : {std::pair(32, 64), std::pair(4, 512), std::pair(1, 4096)}) {
      for (const bool backward : {false, true})
        benchmark::RegisterBenchmark(
            fmt::format("attention/{}/{}x{}/{}", kind.name, sequences, tokens, backward ? "backward" : "forward")
                .c_str(),
            [&kind, sequences = sequences, tokens = tokens, backward](benchmark::State& bench) {
              attention(bench, kind, sequences, tokens, backward);
            })
            ->UseRealTime();
    }
  }
  struct Shape {
    int m, inner, n;
    bool transposed;
  };
  for (const Shape& s : {Shape{2048, 64, 64, false}, Shape{64, 2048, 64, true}, Shape{2048, 256, 64, false},
                         Shape{256, 2048, 64, true}, Shape{1024, 1024, 1024, false}, Shape{1024, 1024, 1024, true}})
    benchmark::RegisterBenchmark(
        fmt::format("products/{}x{}x{}{}", s.m, s.inner, s.n, s.transposed ? " transposed" : "").c_str(),
        [s](benchmark::State& bench) { product(bench, s.m, s.inner, s.n, s.transposed); })
        ->UseRealTime();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
