#include "attention/walk.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/float16.h"
#include "base/rng.h"
#include "kernels/select.h"

namespace fieldprint {
namespace {

struct Problem {
  int heads = 6, kv_heads = 2, d = 32, keys = 1200, window = 0;
  std::vector<float> q, k, v;  // [keys, heads, d], [keys, kv_heads, d]

  Problem() {
    Rng rng(7);
    q.resize(static_cast<size_t>(keys * heads * d));
    k.resize(static_cast<size_t>(keys * kv_heads * d));
    v.resize(k.size());
    for (float& x : q) x = rng.normal();
    for (float& x : k) x = half_to_float(float_to_half(rng.normal()));
    for (float& x : v) x = half_to_float(float_to_half(rng.normal()));
  }

  // Attention of positions [0, keys), fed `chunk` at a time; only those from `from` on are returned.
  std::vector<float> run(const char* isa, int threads, int page_size, int chunk, int from) const {
    const KernelTable& kernels = select_kernels(isa);
    const KvLayout layout({{kv_heads, d}}, page_size);
    PagePool pages(layout.page_bytes());
    KvSequence kv(layout, pages);
    ThreadPool pool(threads);
    AttendScratch scratch(threads);
    std::vector<float> out(q.size());
    for (int p = 0; p < keys; p += chunk) {
      const int count = std::min(chunk, keys - p);
      kv.reserve(p, p + count);
      for (int t = p; t < p + count; ++t) kv.write(0, t, k.data() + t * kv_heads * d, v.data() + t * kv_heads * d);
      if (p + count <= from) continue;
      Attend args;
      args.kernels = &kernels;
      args.kv = &kv;
      args.q = q.data() + p * heads * d;
      args.out = out.data() + p * heads * d;
      args.tokens = count;
      args.first_position = p;
      args.heads = heads;
      args.scale = 0.17f;
      args.window = window;
      attend(args, pool, scratch);
    }
    return {out.begin() + from * heads * d, out.end()};
  }

  std::vector<double> exact(int from) const {
    std::vector<double> out;
    for (int t = from; t < keys; ++t) {
      for (int h = 0; h < heads; ++h) {
        const int g = h / (heads / kv_heads);
        std::vector<double> p;
        double total = 0;
        const int first = window > 0 ? std::max(0, t + 1 - window) : 0;
        for (int j = first; j <= t; ++j) {
          double dot = 0;
          for (int i = 0; i < d; ++i) {
            dot += static_cast<double>(q[static_cast<size_t>((t * heads + h) * d + i)]) *
                   static_cast<double>(k[static_cast<size_t>((j * kv_heads + g) * d + i)]);
          }
          p.push_back(std::exp(dot * 0.17f));
          total += p.back();
        }
        for (int i = 0; i < d; ++i) {
          double sum = 0;
          for (int j = first; j <= t; ++j)
            sum += p[static_cast<size_t>(j - first)] / total *
                   static_cast<double>(v[static_cast<size_t>((j * kv_heads + g) * d + i)]);
          out.push_back(sum);
        }
      }
    }
    return out;
  }
};

TEST(Walk, AgreesWithDouble) {
  const Problem problem;
  const int from = 1100;
  const auto exact = problem.exact(from);
  const auto got = problem.run("", 2, 64, 256, from);
  double worst = 0;
  for (size_t i = 0; i < exact.size(); ++i) worst = std::max(worst, std::abs(exact[i] - static_cast<double>(got[i])));
  EXPECT_LT(worst, 2e-6);
  RecordProperty("worst", std::to_string(worst));
}

TEST(Walk, SameBitsForAnyPageSizeChunkThreadsAndIsa) {
  const Problem problem;
  const int from = 1060;  // crosses two splits (512, 1024) and a tile border
  const auto expected = problem.run("scalar", 1, 64, 1200, from);
  const auto same = [&](const std::vector<float>& got) {
    return std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)) == 0;
  };
  for (const IsaRow& isa : isa_rows()) {
    if (!isa.supported()) continue;
    const char* name = isa.name.data();
    for (const int page : {1, 3, 64, 100, 128, 256})
      EXPECT_TRUE(same(problem.run(name, 2, page, 300, from))) << name << " page " << page;
    for (const int threads : {1, 3, 5})
      EXPECT_TRUE(same(problem.run(name, threads, 64, 97, from))) << name << " threads " << threads;
  }
  for (const int threads : {1, 2, 5})
    EXPECT_TRUE(same(problem.run("", threads, 64, 1, from))) << "decode, threads " << threads;
}

TEST(Walk, AWindowHidesWhatIsBeforeIt) {
  Problem problem;
  problem.window = 100;
  const int from = 1100;
  const auto exact = problem.exact(from);
  const auto expected = problem.run("scalar", 1, 64, 1200, from);
  for (size_t i = 0; i < exact.size(); ++i) ASSERT_NEAR(exact[i], static_cast<double>(expected[i]), 3e-6);
  for (const int chunk : {1, 97, 300}) {
    for (const int page : {3, 64}) {
      const auto got = problem.run("", 2, page, chunk, from);
      EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0) << chunk << " " << page;
    }
  }
}

TEST(SoftmaxState, MergeOfEmptyStatesStaysEmpty) {
  SoftmaxState a, b;
  float oa[2] = {0, 0}, ob[2] = {0, 0};
  merge(a, oa, b, ob, 2);
  EXPECT_TRUE(a.empty());
  b = {3.0f, 2.0f};
  ob[0] = 1.5f;
  merge(a, oa, b, ob, 2);
  EXPECT_EQ(a.m, 3.0f);
  EXPECT_EQ(a.l, 2.0f);
  EXPECT_EQ(oa[0], 1.5f);
}

}  // namespace
}  // namespace fieldprint
