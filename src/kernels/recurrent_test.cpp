// The slots of layers with recurrent state: every ISA against scalar, bit for bit; scalar against double.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "support/kernels.h"

namespace fieldprint {
namespace {

// A head's numbers for some tokens, and what a table makes of them.
struct Head {
  int tokens, keys, columns;
  bool corrects;
  std::vector<float> state, q, k, v, decay, beta;

  Head(Rng& rng, int count, int key_size, int value_size, bool delta)
      : tokens(count), keys(key_size), columns(value_size), corrects(delta) {
    const auto size = [&](int n) { return static_cast<size_t>(tokens * n); };
    state = random_floats(rng, static_cast<size_t>(keys * (columns + 3)));
    q = random_floats(rng, size(keys), 1 / std::sqrt(static_cast<float>(keys)));
    k = random_floats(rng, size(keys), 1 / std::sqrt(static_cast<float>(keys)));
    v = random_floats(rng, size(columns));
    for (int t = 0; t < tokens; ++t) {
      decay.push_back(0.5f + 0.5f * static_cast<float>(rng.below(1000)) / 1000);
      beta.push_back(static_cast<float>(rng.below(1000)) / 1000);
    }
  }

  // Output, then the state. Tokens come in steps of `step`.
  std::vector<float> scan(const KernelTable& kernels, int step) const {
    std::vector<float> m = state, o(static_cast<size_t>(tokens * columns));
    for (int first = 0; first < tokens; first += step) {
      StateScan s;
      s.state = m.data(), s.state_stride = columns + 3;
      s.q = q.data() + first * keys, s.k = k.data() + first * keys, s.key_stride = keys;
      s.v = v.data() + first * columns, s.value_stride = columns;
      s.decay = decay.data() + first, s.beta = corrects ? beta.data() + first : nullptr, s.gate_stride = 1;
      s.o = o.data() + first * columns, s.output_stride = columns;
      s.tokens = std::min(step, tokens - first), s.keys = keys, s.columns = columns;
      kernels.scan_state(s);
    }
    o.insert(o.end(), m.begin(), m.end());
    return o;
  }
};

TEST(Kernels, StatesAreTheSameBitsOnEveryIsaInAnySteps) {
  for_each_isa([&](const KernelTable& kernels) {
    Rng rng(5);
    for (const auto& [keys, columns] : {std::pair(128, 128), {64, 32}, {16, 16}, {8, 5}, {4, 1}, {12, 57}}) {
      for (const bool delta : {true, false}) {
        const Head head(rng, 9, keys, columns, delta);
        const auto expected = head.scan(select_kernels("scalar"), 9);
        for (const int step : {1, 4, 9})
          EXPECT_TRUE(same_bits(head.scan(kernels, step), expected)) << keys << " x " << columns << ", step " << step;
      }
    }
  });
}

TEST(Kernels, StatesAgreeWithTheFormulaInDouble) {
  Rng rng(6);
  for (const bool delta : {true, false}) {
    const Head head(rng, 50, 32, 24, delta);
    const auto got = head.scan(select_kernels(""), 50);
    const auto keys = static_cast<size_t>(head.keys), columns = static_cast<size_t>(head.columns);
    std::vector<double> m(keys * columns);
    for (size_t i = 0; i < keys; ++i) {
      for (size_t j = 0; j < columns; ++j) m[i * columns + j] = static_cast<double>(head.state[i * (columns + 3) + j]);
    }
    double error = 0;
    for (size_t t = 0; t < 50; ++t) {
      for (double& value : m) value *= static_cast<double>(head.decay[t]);
      for (size_t j = 0; j < columns; ++j) {
        double d = static_cast<double>(head.v[t * columns + j]), o = 0;
        if (delta) {
          for (size_t i = 0; i < keys; ++i) d -= m[i * columns + j] * static_cast<double>(head.k[t * keys + i]);
          d *= static_cast<double>(head.beta[t]);
        }
        for (size_t i = 0; i < keys; ++i) {
          m[i * columns + j] += static_cast<double>(head.k[t * keys + i]) * d;
          o += m[i * columns + j] * static_cast<double>(head.q[t * keys + i]);
        }
        error = std::max(error, std::fabs(o - static_cast<double>(got[t * columns + j])));
      }
    }
    EXPECT_LT(error, 3e-6) << delta;
  }
}

TEST(Kernels, ConvolutionsAndGatesAreTheSameBitsOnEveryIsa) {
  const KernelTable& scalar = select_kernels("scalar");
  for_each_isa([&](const KernelTable& kernels) {
    Rng rng(7);
    for (const int n : {1, 31, 64, 200}) {
      const auto size = static_cast<size_t>(n);
      for (const int taps : {1, 3, 4}) {
        const auto x = random_floats(rng, size * static_cast<size_t>(taps), 3);
        const auto kernel = random_floats(rng, x.size()), bias = random_floats(rng, size);
        std::vector<const float*> rows;
        for (int j = 0; j < taps; ++j) rows.push_back(x.data() + j * n);
        for (const float* b : {bias.data(), static_cast<const float*>(nullptr)}) {
          std::vector<float> expected(size), got(size);
          scalar.convolve_silu({rows.data(), kernel.data(), b, expected.data(), taps, n, 0, n});
          for (const auto& [begin, end] : {std::pair(0, n / 3), {n / 3, n}})
            kernels.convolve_silu({rows.data(), kernel.data(), b, got.data(), taps, n, begin, end});
          EXPECT_TRUE(same_bits(got, expected)) << n << ", " << taps << " taps";
          double sum = b != nullptr ? static_cast<double>(b[n - 1]) : 0;
          for (int j = 0; j < taps; ++j)
            sum +=
                static_cast<double>(x[static_cast<size_t>(j * n + n - 1)] * kernel[static_cast<size_t>(j * n + n - 1)]);
          EXPECT_NEAR(static_cast<double>(got.back()), sum / (1 + std::exp(-sum)), 1e-5);
        }
      }
      auto gate = random_floats(rng, size, 20);
      const auto x = random_floats(rng, size);
      gate[0] = -INFINITY;
      std::vector<float> expected(size), got(size);
      scalar.sigmoid_mul(gate.data(), x.data(), n, expected.data());
      kernels.sigmoid_mul(gate.data(), x.data(), n, got.data());
      EXPECT_TRUE(same_bits(got, expected)) << "sigmoid_mul " << n;
    }
  });
}

}  // namespace
}  // namespace fieldprint
