// Every ISA and slot against scalar, bit for bit; scalar against double.
#include "kernels/select.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/float16.h"
#include "fieldprint/error.h"
#include "quant/iq1_m.h"
#include "quant/nvfp4.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q6_k.h"
#include "quant/tq1_0.h"
#include "quant/tq2_0.h"
#include "support/kernels.h"

namespace fieldprint {
namespace {

// Calls next() for each half among a block's bytes: its scale, its minimum.
template <class Next>
void set_halves(const QuantType& type, std::byte* block, Next&& next) {
  size_t at = 0, count = 1;
  switch (type.ggml_id) {
    case kSlotQ4_1:
    case kSlotQ5_1:
    case kSlotQ4_K:
    case kSlotQ5_K:
      count = 2;
      break;
    case kSlotQ2_K:
      at = offsetof(BlockQ2_K, scale), count = 2;
      break;
    case kSlotQ3_K:
      at = offsetof(BlockQ3_K, scale);
      break;
    case kSlotQ6_K:
      at = offsetof(BlockQ6_K, scale);
      break;
    case kSlotTQ1_0:
      at = offsetof(BlockTQ1_0, scale);
      break;
    case kSlotTQ2_0:
      at = offsetof(BlockTQ2_0, scale);
      break;
    case kSlotIQ1_M: {
      auto* groups = reinterpret_cast<BlockIQ1_M*>(block)->groups;
      const uint16_t half = next();
      for (int i = 0; i < 4; ++i) groups[i] = static_cast<uint16_t>((groups[i] & 0xfff) | (half >> (4 * i)) << 12);
      return;
    }
    case kSlotMXFP4:
      *block = static_cast<std::byte>(118 + std::to_integer<int>(*block) % 12);
      return;
    default:
      break;
  }
  for (size_t i = 0; i < count; ++i) {
    const uint16_t half = next();
    std::memcpy(block + at + 2 * i, &half, 2);
  }
}

// Random blocks: any bytes, but scales that are sane numbers.
std::vector<std::byte> random_weights(Rng& rng, const QuantType& type, int rows, int k) {
  std::vector<std::byte> bytes(static_cast<size_t>(rows) * type.bytes(static_cast<uint64_t>(k)));
  for (std::byte& b : bytes) b = static_cast<std::byte>(rng.next());
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(type.block_bytes)) {
    const float value = rng.normal();
    if (type.ggml_id == kSlotF32) std::memcpy(bytes.data() + at, &value, 4);
    else
      set_halves(type, bytes.data() + at, [&] {
        return type.ggml_id == kSlotBF16 ? float_to_bfloat16(value) : float_to_half(rng.normal() * 0.1f);
      });
  }
  return bytes;
}

// `tokens` rows of activations, quantised by `kernels`.
struct Inputs {
  struct Part {
    std::vector<int8_t> q;
    std::vector<float> d, sum;
    std::vector<int16_t> half_sums, pair_sums;
    explicit Part(size_t n) : q(n), d(n / 32), sum(n / 32), half_sums(n / 16), pair_sums(n / 8) {}
    Quantized quantized() { return {q.data(), d.data(), half_sums.data(), pair_sums.data(), sum.data()}; }
    bool operator==(const Part&) const = default;
  };

  int k;
  std::vector<float> x;
  mutable Part high, residual;
  mutable std::vector<uint32_t> outliers;

  Inputs(const KernelTable& kernels, std::vector<float> values, int width)
      : k(width), x(std::move(values)), high(x.size()), residual(x.size()) {
    if (k % 32 != 0) return;
    const int tokens = static_cast<int>(x.size()) / k;
    outliers.resize(static_cast<size_t>(tokens * Activations::outlier_words(k)));
    for (int t = 0; t < tokens; ++t) kernels.quantize(x.data() + t * k, k, activations().from(t, k));
  }
  Inputs(Rng& rng, const KernelTable& kernels, int tokens, int width)
      : Inputs(kernels, with_outliers(random_floats(rng, static_cast<size_t>(tokens * width), 3)), width) {}

  static std::vector<float> with_outliers(std::vector<float> x) {
    for (size_t i = 0; i < x.size(); i += 131) x[i] *= 20;
    return x;
  }
  Activations activations() const { return {x.data(), high.quantized(), residual.quantized(), outliers.data()}; }
  bool has_outliers(size_t block) const {
    const size_t blocks = static_cast<size_t>(k) / 32,
                 word = block / blocks * static_cast<size_t>(Activations::outlier_words(k));
    return (outliers[word + block % blocks / 32] >> (block % blocks % 32) & 1) != 0;
  }
  // What a quantised product takes x[i] for.
  double value(size_t i) const {
    const double rest = has_outliers(i / 32) ? static_cast<double>(residual.d[i / 32]) * residual.q[i] : 0;
    return static_cast<double>(high.d[i / 32]) * high.q[i] + rest;
  }
};

std::vector<float> multiply(const KernelTable& kernels, const QuantType& type, const std::vector<std::byte>& w,
                            int rows, int k, const Inputs& in, int tokens, int begin, int end) {
  std::vector<float> y(static_cast<size_t>(rows * tokens), -1.0f);
  std::unique_ptr<std::byte, decltype(&std::free)> scratch(
      static_cast<std::byte*>(std::aligned_alloc(64, kScratchBytes)), &std::free);
  Matmul args;
  args.weights = w.data();
  args.row_bytes = static_cast<int64_t>(type.bytes(static_cast<uint64_t>(k)));
  args.k = k;
  args.row_begin = begin;
  args.row_end = end;
  args.x = in.activations();
  args.tokens = tokens;
  args.y = y.data();
  args.y_stride = rows;
  args.scratch = scratch.get();
  if (type.ggml_id < kMaxGgmlTypes && kernels.matmul[type.ggml_id] != nullptr) kernels.matmul[type.ggml_id](args);
  else matmul_decoded(kernels, type, args);
  return y;
}

TEST(Kernels, MatmulIsTheSameBitsOnEveryIsaForAnyTokensAndRows) {
  const KernelTable& scalar = select_kernels("scalar");
  for (const QuantType& type : quant_types()) {
    if (scalar.matmul[type.ggml_id] == nullptr) continue;
    SCOPED_TRACE(type.name);
    for (int k : {32, 96, 576, 1056 + 32}) {
      if (type.block_elements > 32) k = (k + 255) / 256 * 256;
      Rng rng(static_cast<uint64_t>(k) + type.ggml_id);
      const int rows = 37, max_tokens = 70;
      const auto w = random_weights(rng, type, rows, k);
      const Inputs in(rng, scalar, max_tokens, k);
      const auto expected = multiply(scalar, type, w, rows, k, in, max_tokens, 0, rows);
      for_each_isa([&](const KernelTable& kernels) {
        for (const int tokens : {1, 2, 3, 7, 12, 70}) {
          const std::vector<float> head(expected.begin(), expected.begin() + rows * tokens);
          EXPECT_TRUE(same_bits(multiply(kernels, type, w, rows, k, in, tokens, 0, rows), head))
              << "k " << k << " tokens " << tokens;
        }
        const auto part = multiply(kernels, type, w, rows, k, in, 3, 16, 29);
        for (int t = 0; t < 3; ++t) {
          for (int r = 0; r < rows; ++r) {
            const float want = r >= 16 && r < 29 ? expected[static_cast<size_t>(t * rows + r)] : -1.0f;
            EXPECT_EQ(part[static_cast<size_t>(t * rows + r)], want)
                << "row " << r << " written outside its range or wrong";
          }
        }
      });
    }
  }
}

// Extreme integers: every 8- and 16-bit intermediate at its limit, where a saturating instruction would show.
TEST(Kernels, MatmulDoesNotSaturate) {
  const KernelTable& scalar = select_kernels("scalar");
  for (const QuantType& type : quant_types()) {
    if (scalar.matmul[type.ggml_id] == nullptr || type.block_elements < 32) continue;
    SCOPED_TRACE(type.name);
    const int k = std::max(64, type.block_elements), rows = 16, tokens = 5;
    for (const int fill : {0x00, 0xff, 0x7f, 0x80}) {
      std::vector<std::byte> w(static_cast<size_t>(rows) * type.bytes(k), static_cast<std::byte>(fill));
      const uint16_t one = float_to_half(1.0f);
      for (size_t at = 0; at < w.size(); at += static_cast<size_t>(type.block_bytes)) {
        set_halves(type, w.data() + at, [&] { return one; });
      }
      Rng rng(1);
      Inputs in(rng, scalar, tokens, k);
      for (Inputs::Part* part : {&in.high, &in.residual}) {
        for (size_t i = 0; i < part->q.size(); ++i) part->q[i] = static_cast<int8_t>(i / k % 2 == 0 ? 127 : -127);
        for (size_t p = 0; p < part->half_sums.size(); ++p)
          part->half_sums[p] = static_cast<int16_t>(part->q[p * 16] * 16);
        for (size_t p = 0; p < part->pair_sums.size(); ++p)
          part->pair_sums[p] = static_cast<int16_t>(part->q[p * 8] * 8);
        for (size_t b = 0; b < part->d.size(); ++b) part->d[b] = 1, part->sum[b] = part->q[b * 32] * 32.0f;
      }
      std::fill(in.outliers.begin(), in.outliers.end(), 0x2u);
      const auto expected = multiply(scalar, type, w, rows, k, in, tokens, 0, rows);
      for_each_isa([&](const KernelTable& kernels) {
        for (int few = 1; few <= tokens; ++few) {
          const std::vector<float> head(expected.begin(), expected.begin() + rows * few);
          EXPECT_TRUE(same_bits(multiply(kernels, type, w, rows, k, in, few, 0, rows), head)) << fill << ", " << few;
        }
      });
    }
  }
}

// The scratch holds all residuals and, where weights are offset, the corrections that their sums begin with; of the
// longest rows it holds fewer tokens at a time. A kernel passes more than kTokenGroup in groups too.
TEST(Kernels, MatmulWhereEveryBlockHasOutliers) {
  const KernelTable& scalar = select_kernels("scalar");
  Rng rng(7);
  const int rows = 16;
  for (const char* name : {"Q4_K", "Q6_K"}) {
    const QuantType& type = *find_quant_type(name);
    for (const auto& [k, tokens] : {std::pair(512, 41), {512, kTokenGroup + 3}, {kMaxRow, 41}}) {
      const auto w = random_weights(rng, type, rows, k);
      Inputs in(rng, scalar, tokens, k);
      in.residual = in.high;
      std::fill(in.outliers.begin(), in.outliers.end(), 0xffffffffu);
      const auto expected = multiply(scalar, type, w, rows, k, in, tokens, 0, rows);
      for_each_isa([&](const KernelTable& kernels) {
        EXPECT_TRUE(same_bits(multiply(kernels, type, w, rows, k, in, tokens, 0, rows), expected))
            << name << " " << k << " " << tokens;
      });
    }
  }
}

TEST(Kernels, MatmulAgreesWithDouble) {
  const KernelTable& kernels = select_kernels("scalar");
  double worst = 0;
  for (const QuantType& type : quant_types()) {
    Rng rng(type.ggml_id);
    const int k = 512, rows = 9, tokens = 2;
    if (kernels.matmul[type.ggml_id] == nullptr) continue;
    const auto w = random_weights(rng, type, rows, k);
    const Inputs in(rng, kernels, tokens, k);
    const auto y = multiply(kernels, type, w, rows, k, in, tokens, 0, rows);
    std::vector<float> row(static_cast<size_t>(k));
    for (int r = 0; r < rows; ++r) {
      type.decode(w.data() + static_cast<size_t>(r) * type.bytes(static_cast<uint64_t>(k)), row.data(), k);
      for (int t = 0; t < tokens; ++t) {
        double sum = 0, size = 0;
        for (int i = 0; i < k; ++i) {
          const auto at = static_cast<size_t>(t * k + i);
          const double x = type.block_elements >= 32 ? in.value(at) : static_cast<double>(in.x[at]);
          sum += x * static_cast<double>(row[static_cast<size_t>(i)]);
          size += std::abs(x * static_cast<double>(row[static_cast<size_t>(i)]));
        }
        const double error = std::abs(sum - static_cast<double>(y[static_cast<size_t>(t * rows + r)])) / size;
        EXPECT_LT(error, 1e-6) << type.name;
        worst = std::max(worst, error);
      }
    }
  }
  RecordProperty("worst_relative_error", std::to_string(worst));
}

TEST(Kernels, TypesWithoutAKernelRunDecoded) {
  const KernelTable& kernels = select_kernels("");
  Rng rng(5);
  const QuantType& type = *find_quant_type("NVFP4");
  ASSERT_EQ(kernels.matmul[type.ggml_id], nullptr) << "take another type for this test";
  const int k = 512, rows = 300, tokens = 3;
  std::vector<std::byte> w(static_cast<size_t>(rows) * type.bytes(static_cast<uint64_t>(k)));
  for (std::byte& b : w) b = static_cast<std::byte>(rng.next());
  for (size_t i = 0; i < w.size(); ++i) {
    if (i % sizeof(BlockNVFP4) < sizeof BlockNVFP4::scales) w[i] = (w[i] & std::byte{7}) | std::byte{0x30};
  }
  const Inputs in(rng, kernels, tokens, k);
  const auto y = multiply(kernels, type, w, rows, k, in, tokens, 0, rows);
  std::vector<float> row(static_cast<size_t>(k));
  for (int r = 0; r < rows; ++r) {
    type.decode(w.data() + static_cast<size_t>(r) * type.bytes(static_cast<uint64_t>(k)), row.data(), k);
    double sum = 0, size = 0;
    for (int i = 0; i < k; ++i) {
      const double product =
          static_cast<double>(in.x[static_cast<size_t>(i)]) * static_cast<double>(row[static_cast<size_t>(i)]);
      sum += product;
      size += std::abs(product);
    }
    ASSERT_NEAR(y[static_cast<size_t>(r)], sum, 1e-6 * size);
  }
}

TEST(Kernels, ActivationsAreWithinHalfAStepAndOutliersHaveResiduals) {
  Rng rng(9);
  const Inputs in(rng, select_kernels(""), 1, 4096);
  size_t outliers = 0;
  for (size_t b = 0; b < in.high.d.size(); ++b) {
    const bool has_outliers = in.has_outliers(b);
    const auto step = static_cast<double>(has_outliers ? in.residual.d[b] : in.high.d[b]);
    int half_sums[2] = {}, residual_half_sums[2] = {}, pair_sums[4] = {}, residual_pair_sums[4] = {};
    for (size_t i = b * 32; i < b * 32 + 32; ++i) {
      ASSERT_LE(std::abs(static_cast<double>(in.x[i]) - in.value(i)), 0.51 * step) << i;
      half_sums[i / 16 % 2] += in.high.q[i];
      residual_half_sums[i / 16 % 2] += in.residual.q[i];
      pair_sums[i / 16 % 2 * 2 + i % 4 / 2] += in.high.q[i];
      residual_pair_sums[i / 16 % 2 * 2 + i % 4 / 2] += in.residual.q[i];
    }
    for (size_t p = 0; p < 2; ++p) ASSERT_EQ(half_sums[p], in.high.half_sums[2 * b + p]);
    for (size_t p = 0; p < 4; ++p) ASSERT_EQ(pair_sums[p], in.high.pair_sums[4 * b + p]);
    ASSERT_EQ(in.high.sum[b], in.high.d[b] * static_cast<float>(half_sums[0] + half_sums[1]));
    if (!has_outliers) continue;
    for (size_t p = 0; p < 2; ++p) ASSERT_EQ(residual_half_sums[p], in.residual.half_sums[2 * b + p]);
    for (size_t p = 0; p < 4; ++p) ASSERT_EQ(residual_pair_sums[p], in.residual.pair_sums[4 * b + p]);
    ASSERT_EQ(in.residual.sum[b], in.residual.d[b] * static_cast<float>(residual_half_sums[0] + residual_half_sums[1]));
    ++outliers;
  }
  EXPECT_GT(outliers, 0u);
  EXPECT_LT(outliers, in.high.d.size() / 2);
}

TEST(Kernels, GeluIsTheFormulaToTheLastBits) {
  const KernelTable& kernels = select_kernels("scalar");
  double worst = 0;
  for (float x = -14; x < 14; x += 0.0013f) {
    float y = 0;
    kernels.gelu_erf(&x, 1, &y);
    const auto z = static_cast<double>(x);
    worst = std::max(worst, std::abs(static_cast<double>(y) - 0.5 * z * std::erfc(-z / std::sqrt(2.0))) /
                                std::max(1.0, std::abs(z)));
  }
  EXPECT_LT(worst, 1.5e-7);
}

TEST(Kernels, VectorSlotsAreTheSameBitsOnEveryIsa) {
  const KernelTable& scalar = select_kernels("scalar");
  for_each_isa([&](const KernelTable& kernels) {
    for (const int n : {32, 64, 576, 1536, 2048}) {
      Rng rng(static_cast<uint64_t>(n));
      auto x = random_floats(rng, static_cast<size_t>(n), 5);
      x[3] = 0.5f * x[4];
      if (n == 64) std::fill(x.begin(), x.begin() + 32, 0.0f);
      const auto w = random_floats(rng, static_cast<size_t>(n));
      std::vector<float> a(x.size()), b(x.size());
      scalar.rms_norm(x.data(), w.data(), n, 1e-5f, a.data());
      kernels.rms_norm(x.data(), w.data(), n, 1e-5f, b.data());
      EXPECT_TRUE(same_bits(a, b)) << "rms_norm " << n;
      for (const int odd : {n, n - 3}) {
        scalar.layer_norm(x.data(), w.data(), w.data(), odd, 1e-12f, a.data());
        kernels.layer_norm(x.data(), w.data(), w.data(), odd, 1e-12f, b.data());
        EXPECT_TRUE(same_bits(a, b)) << "layer_norm " << odd;
        scalar.gelu_erf(x.data(), odd, a.data());
        kernels.gelu_erf(x.data(), odd, b.data());
        EXPECT_TRUE(same_bits(a, b)) << "gelu_erf " << odd;
        std::fill(a.begin(), a.end(), 0.0f);
        std::fill(b.begin(), b.end(), 0.0f);
        scalar.silu_mul(x.data(), w.data(), odd, a.data());
        kernels.silu_mul(x.data(), w.data(), odd, b.data());
        EXPECT_TRUE(same_bits(a, b)) << "silu_mul " << odd;
        for (const auto slot : {&KernelTable::gelu_mul, &KernelTable::swiglu_clamped}) {
          (scalar.*slot)(x.data(), w.data(), odd, a.data());
          (kernels.*slot)(x.data(), w.data(), odd, b.data());
          EXPECT_TRUE(same_bits(a, b)) << (slot == &KernelTable::gelu_mul ? "gelu_mul " : "swiglu_clamped ") << odd;
        }
        std::copy(x.begin(), x.end(), a.begin());
        std::copy(x.begin(), x.end(), b.begin());
        scalar.softcap(a.data(), odd, 3.0f, 50.0f);
        kernels.softcap(b.data(), odd, 3.0f, 50.0f);
        EXPECT_TRUE(same_bits(a, b)) << "softcap " << odd;
      }
      x[5] = NAN, x[n / 2 + 8] = INFINITY, x[n - 1] = 1e-38f;
      const Inputs left(scalar, x, n), right(kernels, x, n);
      EXPECT_EQ(left.high.q, right.high.q) << n;
      EXPECT_EQ(left.high.half_sums, right.high.half_sums) << n;
      EXPECT_EQ(left.high.pair_sums, right.high.pair_sums) << n;
      EXPECT_TRUE(same_bits(left.high.d, right.high.d)) << n;
      EXPECT_TRUE(same_bits(left.high.sum, right.high.sum)) << n;
      EXPECT_EQ(left.outliers, right.outliers) << n;
      EXPECT_TRUE(left.residual == right.residual) << n;
    }
  });
}

TEST(Kernels, AnIsaCanBeForced) {
  EXPECT_STREQ(select_kernels("scalar").name, "scalar");
  ::setenv("FIELDPRINT_ISA", "scalar", 1);
  EXPECT_STREQ(select_kernels("").name, "scalar");
  ::setenv("FIELDPRINT_ISA", "avx9", 1);
  EXPECT_THROW(select_kernels(""), Error);
  ::unsetenv("FIELDPRINT_ISA");
  EXPECT_THROW(select_kernels("sse"), Error);
  for (const IsaRow& row : isa_rows()) {
    if (row.supported()) EXPECT_EQ(select_kernels(row.name).name, row.name);
    else EXPECT_THROW(select_kernels(row.name), Error);
  }
  if (isa_rows().size() > 1 && isa_rows()[1].supported()) {  // and forcing means other code
    EXPECT_NE(select_kernels("avx2").matmul[kSlotQ8_0], select_kernels("scalar").matmul[kSlotQ8_0]);
  }
}

}  // namespace
}  // namespace fieldprint
