// The slots of attention: every ISA against scalar, bit for bit; scalar against double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/float16.h"
#include "support/kernels.h"

namespace fieldprint {
namespace {

// Queries, a tile of keys and values in Q8_0 and weights, some of them at the limits of their range.
struct ByteTile {
  int m, d, stride;
  std::vector<float> q, weights;
  std::vector<int8_t> bytes;  // keys, values
  std::vector<uint16_t> scales;
  std::vector<int> seen;

  ByteTile(int rows, int head_dim)
      : m(rows),
        d(head_dim),
        stride(rows % 2 == 0 ? kTileKeys : 100),
        bytes(static_cast<size_t>(stride * d)),
        scales(static_cast<size_t>(stride * d / 32)),
        seen(static_cast<size_t>(m)) {
    Rng rng(static_cast<uint64_t>(m * 1000 + d));
    q = random_floats(rng, static_cast<size_t>(m * d), 5);
    weights = random_floats(rng, static_cast<size_t>(m * kTileKeys));
    for (float& w : weights) w = w * w;
    for (int8_t& b : bytes) b = static_cast<int8_t>(m % 3 == 0 ? (rng.next() % 2 != 0 ? 127 : -127) : rng.next());
    for (uint16_t& s : scales) s = float_to_half(std::fabs(rng.normal()));
    for (int i = 0; i < m; ++i) seen[static_cast<size_t>(i)] = m % 3 == 0 ? kTileKeys : (i * 23 + d) % (kTileKeys + 1);
    weights[1] = NAN;
    std::fill_n(q.begin(), 32, m % 3 == 0 ? 7.0f : 0.0f);
    if (m > 2) std::fill_n(weights.begin() + kTileKeys, kTileKeys, m % 3 == 0 ? 1.0f : 1e-38f);
  }

  std::vector<float> scores(const KernelTable& kernels) const {
    std::vector<int8_t> q8(q.size());
    std::vector<float> q_scales(q.size() / 32), c(static_cast<size_t>(m * kTileKeys), -1.0f);
    std::vector<int32_t> sums(q_scales.size());
    kernels.quantize_bytes(q.data(), m * d, q8.data(), q_scales.data(), sums.data());
    kernels.score_bytes({.q = q8.data(),
                         .q_scales = q_scales.data(),
                         .q_sums = sums.data(),
                         .keys = bytes.data(),
                         .key_scales = scales.data(),
                         .stride = stride,
                         .c = c.data(),
                         .m = m,
                         .d = d,
                         .prefetch = prefetch()});
    return c;
  }

  std::vector<float> values(const KernelTable& kernels) const {
    std::vector<float> c(static_cast<size_t>(m * d), 0.25f);
    kernels.add_byte_values({.weights = weights.data(),
                             .seen = seen.data(),
                             .values = bytes.data(),
                             .scales = scales.data(),
                             .stride = stride,
                             .c = c.data(),
                             .m = m,
                             .d = d,
                             .prefetch = prefetch()});
    return c;
  }

  Prefetch prefetch() const {
    const auto* somewhere = reinterpret_cast<const std::byte*>(bytes.data());
    return {somewhere, static_cast<int64_t>(bytes.size()), m % 2 == 0 ? somewhere : nullptr};
  }
};

TEST(Kernels, AttentionInBytesIsTheSameBitsOnEveryIsa) {
  const KernelTable& scalar = select_kernels("scalar");
  for_each_isa([&](const KernelTable& kernels) {
    for (const int m : {1, 2, 3, 4, 5, 6, 8, 9, 17}) {
      for (const int d : {32, 64, 96, 128}) {
        const ByteTile tile(m, d);
        EXPECT_TRUE(same_bits(tile.scores(scalar), tile.scores(kernels))) << m << " x " << d;
        EXPECT_TRUE(same_bits(tile.values(scalar), tile.values(kernels))) << m << " x " << d;
      }
    }
  });
}

// Against what the bytes stand for, in double: the rounding of q and of the weights is all that is lost.
TEST(Kernels, AttentionInBytesIsAsCloseAsItsSteps) {
  const ByteTile tile(5, 64);
  const KernelTable& scalar = select_kernels("scalar");
  const auto scores = tile.scores(scalar), values = tile.values(scalar);
  const auto scale = [&](int b, int j) { return half_to_float(tile.scales[static_cast<size_t>(b * tile.stride + j)]); };
  for (int row = 0; row < tile.m; ++row) {
    for (int j = 0; j < kTileKeys; ++j) {
      double exact = 0, slack = 0;
      for (int i = 0; i < tile.d; ++i) {
        const float* block = tile.q.data() + row * tile.d + i / 32 * 32;
        float largest = 0;
        for (int n = 0; n < 32; ++n) largest = std::max(largest, std::fabs(block[n]));
        const float k = scale(i / 32, j) * tile.bytes[static_cast<size_t>((i / 4 * tile.stride + j) * 4 + i % 4)];
        exact += static_cast<double>(k * block[i % 32]);
        slack += static_cast<double>(std::fabs(k) * largest / 253);
      }
      EXPECT_NEAR(scores[static_cast<size_t>(row * kTileKeys + j)], exact, slack + 1e-4);
    }
    for (int i = 0; i < tile.d; ++i) {
      double exact = 0.25, slack = 0, largest = 0;
      const auto weight = [&](int j) {
        return row == 0 && j == 1
                   ? 0.0
                   : static_cast<double>(tile.weights[static_cast<size_t>(row * kTileKeys + j)] * scale(i / 32, j));
      };
      for (int j = 0; j < tile.seen[static_cast<size_t>(row)]; ++j) largest = std::max(largest, weight(j));
      for (int j = 0; j < tile.seen[static_cast<size_t>(row)]; ++j) {
        const int v = tile.bytes[static_cast<size_t>((j / 4 * tile.d + i) * 4 + j % 4)];
        exact += weight(j) * v;
        slack += largest / 509 * std::abs(v);
      }
      EXPECT_NEAR(values[static_cast<size_t>(row * tile.d + i)], exact, slack + 1e-4);
    }
  }
}

TEST(Kernels, AttentionSlotsAreTheSameBitsOnEveryIsa) {
  const KernelTable& scalar = select_kernels("scalar");
  for_each_isa([&](const KernelTable& kernels) {
    for (const int m : {1, 2, 3, 4, 5, 6, 8, 9, 17}) {
      for (const int n : {8, 24, 64, 80, 128}) {
        Rng rng(static_cast<uint64_t>(m * 1000 + n));
        const int inner = 40, stride = n + 8;
        const auto a = random_floats(rng, static_cast<size_t>(m * inner));
        const auto b = random_floats(rng, static_cast<size_t>(stride * inner));
        std::vector<uint16_t> halves, bf16;
        for (const float x : b) halves.push_back(float_to_half(x)), bf16.push_back(float_to_bfloat16(x));
        const auto start = random_floats(rng, static_cast<size_t>(m * n));
        const auto check = [&](auto slot, const std::vector<uint16_t>& numbers, const char* what) {
          HalfProduct product{.a = a.data(), .a_stride = inner, .b = numbers.data(), .b_stride = stride};
          product.c_stride = n;
          product.m = m, product.inner = inner, product.n = n;
          for (const bool fresh : {false, true}) {
            product.fresh = fresh;
            auto c = start, d = start;
            product.c = c.data();
            (scalar.*slot)(product);
            product.c = d.data();
            const auto* somewhere = reinterpret_cast<const std::byte*>(a.data());
            product.prefetch = {somewhere, static_cast<int64_t>(a.size() * 4), m % 2 == 0 ? somewhere : nullptr};
            (kernels.*slot)(product);
            EXPECT_TRUE(same_bits(c, d)) << m << " x " << n << " " << what << fresh;
            EXPECT_NE(c, start);
          }
        };
        check(&KernelTable::accumulate_f16, halves, "F16");
        check(&KernelTable::accumulate_bf16, bf16, "BF16");
      }
    }
    for (const int rows : {1, 7, 8, 70}) {
      Rng rng(static_cast<uint64_t>(rows));
      const int d = 24;
      auto s = random_floats(rng, static_cast<size_t>(rows * kTileKeys), 20), t = s;
      auto o = random_floats(rng, static_cast<size_t>(rows * d)), p = o;
      const auto scale = random_floats(rng, static_cast<size_t>(rows));
      std::vector<int> seen(scale.size());
      std::vector<SoftmaxState> left(scale.size()), right;
      for (int r = 0; r < rows; ++r) {
        seen[static_cast<size_t>(r)] = rows == 70 ? std::min(r + 1, kTileKeys) : kTileKeys;
        if (r % 3 > 0) left[static_cast<size_t>(r)] = {r % 3 == 1 ? 1.5f : 1000.0f, 3.0f};
      }
      right = left;
      SoftmaxRows args{.scores = s.data(),
                       .seen = seen.data(),
                       .scale = scale.data(),
                       .state = left.data(),
                       .o = o.data(),
                       .rows = rows,
                       .d = d};
      scalar.softmax_rows(args);
      args.scores = t.data(), args.state = right.data(), args.o = p.data();
      kernels.softmax_rows(args);
      EXPECT_TRUE(same_bits(s, t) && same_bits(o, p)) << rows;
      for (int r = 0; r < rows; ++r) {
        EXPECT_EQ(left[static_cast<size_t>(r)].m, right[static_cast<size_t>(r)].m);
        EXPECT_EQ(left[static_cast<size_t>(r)].l, right[static_cast<size_t>(r)].l);
        EXPECT_GT(left[static_cast<size_t>(r)].l, 0);
      }
      // Into these states, and into empty ones, others of which each third is empty.
      auto others = left;
      for (int r = 0; r < rows; ++r) {
        others[static_cast<size_t>(r)] = r % 3 == 0 ? SoftmaxState() : SoftmaxState{0.5f * static_cast<float>(r), 2};
        if (r % 4 == 1) left[static_cast<size_t>(r)] = right[static_cast<size_t>(r)] = SoftmaxState();
      }
      const auto more = random_floats(rng, o.size());
      MergeRows merge{
          .state = left.data(), .o = o.data(), .other = others.data(), .other_o = more.data(), .rows = rows, .d = d};
      const auto before = o;
      scalar.merge_rows(merge);
      merge.state = right.data(), merge.o = p.data();
      kernels.merge_rows(merge);
      EXPECT_TRUE(same_bits(o, p)) << rows;
      EXPECT_EQ(o == before, rows == 1);
      EXPECT_EQ(std::memcmp(left.data(), right.data(), left.size() * sizeof(SoftmaxState)), 0);
    }
  });
}

// Any shape, and either way round: what the formula says.
TEST(Kernels, ProductsInFloatAreTheSameBitsOnEveryIsa) {
  for_each_isa([&](const KernelTable& kernels) {
    for (const int m : {1, 2, 3, 4, 5, 6, 7, 12, 13, 64}) {
      for (const int n : {1, 5, 7, 8, 9, 15, 16, 17, 31, 40, 63, 64, 65, 95, 130}) {
        Rng rng(static_cast<uint64_t>(m * 1000 + n));
        const int inner = 1 + (m * n) % 37, b_stride = n + 3, c_stride = n + 2;
        const auto a = random_floats(rng, static_cast<size_t>((m + 1) * (inner + 1)));
        const auto b = random_floats(rng, static_cast<size_t>(b_stride * inner));
        const auto start = random_floats(rng, static_cast<size_t>(m * c_stride));
        for (const bool transposed : {false, true}) {
          for (const bool fresh : {false, true}) {
            FloatProduct product{.a = a.data(),
                                 .a_stride = transposed ? 1 : inner + 1,
                                 .a_step = transposed ? m + 1 : 1,
                                 .b = b.data(),
                                 .b_stride = b_stride};
            product.c_stride = c_stride;
            product.m = m, product.inner = inner, product.n = n, product.fresh = fresh;
            auto expected = start, got = start;
            for (int i = 0; i < m; ++i) {
              for (int j = 0; j < n; ++j) {
                float& sum = expected[static_cast<size_t>(i * c_stride + j)];
                if (fresh) sum = 0;
                for (int k = 0; k < inner; ++k)
                  sum = std::fma(a[static_cast<size_t>(i * product.a_stride + k * product.a_step)],
                                 b[static_cast<size_t>(k * b_stride + j)], sum);
              }
            }
            product.c = got.data();
            kernels.accumulate_f32(product);
            EXPECT_TRUE(same_bits(expected, got)) << m << " x " << inner << " x " << n << " " << transposed << fresh;
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace fieldprint
