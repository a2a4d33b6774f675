#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/sha256.h"
#include "fieldprint/error.h"
#include "quant/type.h"

namespace fieldprint {
namespace {

constexpr int64_t kColumns = 1024;

// The most relative root mean square error: of normal rows, and of rows with heavy tails, normal numbers cubed.
// 1 % above what was measured.
struct Bounds {
  double normal, heavy;
};
const std::map<std::string, Bounds> kBounds = {
    // clang-format off
    {"F32", {0, 0}}, {"F16", {0.000211, 0.000212}}, {"Q4_0", {0.0796, 0.11}},
    {"Q4_1", {0.0691, 0.086}}, {"Q5_0", {0.0398, 0.0593}}, {"Q5_1", {0.0336, 0.0442}},
    {"Q8_0", {0.00497, 0.00875}}, {"Q2_K", {0.262, 0.244}}, {"Q3_K", {0.143, 0.148}},
    {"Q4_K", {0.0696, 0.0875}}, {"Q5_K", {0.034, 0.0457}}, {"Q6_K", {0.0169, 0.0242}},
    {"IQ2_XXS", {0.328, 0.527}}, {"IQ2_XS", {0.287, 0.451}}, {"IQ3_XXS", {0.176, 0.268}},
    {"IQ1_S", {0.447, 0.518}}, {"IQ4_NL", {0.0736, 0.0895}}, {"IQ3_S", {0.128, 0.232}},
    {"IQ2_S", {0.239, 0.45}}, {"IQ4_XS", {0.0739, 0.0905}}, {"IQ1_M", {0.415, 0.42}},
    {"BF16", {0.00169, 0.00165}}, {"TQ1_0", {0.433, 0.586}}, {"TQ2_0", {0.433, 0.586}},
    {"MXFP4", {0.113, 0.136}}, {"NVFP4", {0.096, 0.074}},
    // clang-format on
};

std::vector<float> rows_of(Rng* random, int64_t rows, bool heavy) {
  std::vector<float> values;
  for (int64_t i = 0; i < rows * kColumns; ++i) {
    const float value = random->normal() * 0.02f;
    values.push_back(heavy ? value * value * value * 2500.0f : value);
  }
  return values;
}

std::vector<char> encoded(const QuantType& type, const std::vector<float>& values, const float* importance) {
  const auto n = static_cast<int64_t>(values.size());
  std::vector<char> blocks(type.bytes(values.size()));
  encode_rows(type, values.data(), importance, blocks.data(), n / kColumns, kColumns, "test");
  return blocks;
}

std::vector<float> decoded(const QuantType& type, const std::vector<char>& blocks, size_t n) {
  std::vector<float> values(n);
  type.decode(blocks.data(), values.data(), static_cast<int64_t>(n));
  return values;
}

// sqrt(sum(w (x - y)^2) / sum(w x^2)), columns weighted.
double error_between(const std::vector<float>& x, const std::vector<float>& y, const float* importance = nullptr) {
  double off = 0, all = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double weight = importance == nullptr ? 1.0 : importance[i % kColumns];
    const double difference = static_cast<double>(x[i]) - y[i];
    off += weight * difference * difference;
    all += weight * x[i] * x[i];
  }
  return all > 0 ? std::sqrt(off / all) : std::sqrt(off);
}

TEST(Encode, RoundTripErrorsAreWithinTheirBounds) {
  Rng random(11);
  const std::vector<float> normal = rows_of(&random, 6, false), heavy = rows_of(&random, 6, true);
  for (const QuantType& type : quant_types()) {
    SCOPED_TRACE(type.name);
    const auto bounds = kBounds.find(std::string(type.name));
    const double of_normal = error_between(normal, decoded(type, encoded(type, normal, nullptr), normal.size()));
    const double of_heavy = error_between(heavy, decoded(type, encoded(type, heavy, nullptr), heavy.size()));
    std::printf("%-8s %.3g %.3g\n", std::string(type.name).c_str(), of_normal, of_heavy);
    if (bounds == kBounds.end()) {
      ADD_FAILURE() << "no bounds";
      continue;
    }
    EXPECT_LE(of_normal, bounds->second.normal);
    EXPECT_LE(of_heavy, bounds->second.heavy);
  }
}

TEST(Encode, EncodingWhatWasDecodedAddsLittle) {
  Rng random(12);
  const std::vector<float> values = rows_of(&random, 2, false);
  double worst = 0;
  for (const QuantType& type : quant_types()) {
    SCOPED_TRACE(type.name);
    const std::vector<float> once = decoded(type, encoded(type, values, nullptr), values.size());
    const std::vector<float> twice = decoded(type, encoded(type, once, nullptr), values.size());
    const double first = error_between(values, once), second = error_between(values, twice);
    if (first > 0) worst = std::max(worst, second / first);
    EXPECT_LE(second, first * 1.05);
  }
  std::printf("the second time adds at most %.2f %%\n", (worst - 1) * 100);
}

TEST(Encode, ImportanceLowersTheWeightedError) {
  Rng random(13);
  const std::vector<float> values = rows_of(&random, 2, false);
  std::vector<float> importance;
  for (int64_t i = 0; i < kColumns; ++i) {
    const double weight = random.normal();
    importance.push_back(static_cast<float>(weight * weight * weight * weight));
  }
  for (const QuantType& type : quant_types()) {
    if (type.block_elements == 1) continue;
    SCOPED_TRACE(type.name);
    const auto plain = decoded(type, encoded(type, values, nullptr), values.size());
    const auto weighted = decoded(type, encoded(type, values, importance.data()), values.size());
    // Powers of two leave MXFP4 little to choose.
    EXPECT_LT(error_between(values, weighted, importance.data()),
              error_between(values, plain, importance.data()) * (type.name == "MXFP4" ? 1.0 : 0.98));
  }
}

TEST(Encode, EqualWeightsAreNoWeights) {
  Rng random(14);
  const std::vector<float> values = rows_of(&random, 1, true);
  for (const QuantType& type : quant_types()) {
    SCOPED_TRACE(type.name);
    const std::vector<char> plain = encoded(type, values, nullptr);
    for (const float weight : {0.0f, 0.25f, 1e-30f, 1e30f}) {
      const std::vector<float> importance(kColumns, weight);
      EXPECT_EQ(encoded(type, values, importance.data()), plain) << weight;
    }
  }
}

TEST(Encode, HardRowsGiveFiniteValuesAndTouchNothingElse) {
  const std::vector<std::pair<const char*, std::function<float(int64_t)>>> rows = {
      {"zero", [](int64_t) { return 0.0f; }},
      {"minus zero", [](int64_t) { return -0.0f; }},
      {"one", [](int64_t) { return 1.0f; }},
      {"minus a third", [](int64_t) { return -1.0f / 3; }},
      {"one outlier", [](int64_t i) { return i == 77 ? -1000.0f : 0.001f * static_cast<float>(i % 7 - 3); }},
      {"one value", [](int64_t i) { return i == 200 ? 0.5f : 0.0f; }},
      {"tiny", [](int64_t i) { return 1e-30f * static_cast<float>(i % 17 - 8); }},
      {"subnormal", [](int64_t i) { return 1e-42f * static_cast<float>(i % 17 - 8); }},
      {"small", [](int64_t i) { return 1e-7f * static_cast<float>(i % 17 - 8); }},
      {"huge", [](int64_t i) { return 1e30f * static_cast<float>(i % 17 - 8); }},
      {"largest", [](int64_t i) { return i % 2 == 0 ? 3.4e38f : -3.4e38f; }},
      {"tiny beside huge", [](int64_t i) { return i % 2 == 0 ? 1e-38f : 1e38f; }},
      {"infinite", [](int64_t i) { return i % 5 == 0   ? HUGE_VALF
                                          : i % 5 == 1 ? -HUGE_VALF
                                                       : 0.1f; }},
      {"not a number", [](int64_t i) { return i % 5 == 0 ? std::nanf("") : 0.1f; }},
  };
  Rng random(15);
  std::vector<float> wild(kColumns);
  for (float& weight : wild) {
    const float odd[] = {std::nanf(""), HUGE_VALF, -1.0f, 0.0f, 1e-38f, 1e38f, 1.0f};
    weight = odd[random.below(7)];
  }
  for (const QuantType& type : quant_types()) {
    for (const auto& [name, value] : rows) {
      SCOPED_TRACE(std::string(type.name) + ", " + name);
      std::vector<float> values(kColumns);
      for (int64_t i = 0; i < kColumns; ++i) values[static_cast<size_t>(i)] = value(i);
      const size_t bytes = type.bytes(kColumns);
      for (const float* importance : {static_cast<const float*>(nullptr), static_cast<const float*>(wild.data())}) {
        std::vector<char> blocks(bytes + 64, 0x5a);
        type.encode(values.data(), importance, blocks.data(), kColumns);
        for (size_t i = bytes; i < blocks.size(); ++i) ASSERT_EQ(blocks[i], 0x5a);
        if (type.block_elements == 1) continue;  // keep what is not finite
        blocks.resize(bytes);
        double most = 0, off = 0;
        const std::vector<float> after = decoded(type, blocks, values.size());
        for (size_t i = 0; i < after.size(); ++i) {
          ASSERT_TRUE(std::isfinite(after[i])) << "value " << i;
          most = std::max(most, std::abs(static_cast<double>(values[i])));
          off = std::max(off, std::abs(static_cast<double>(after[i]) - values[i]));
        }
        if (importance == nullptr && most > 1e-3 && most < 1e5) {
          EXPECT_LE(off, most);
        }
        if (most == 0) {
          EXPECT_EQ(off, 0);
        }
      }
    }
    type.encode(nullptr, nullptr, nullptr, 0);
  }
}

TEST(Encode, TernaryRowsStayExact) {
  Rng random(16);
  std::vector<float> values;
  for (int64_t i = 0; i < kColumns; ++i) values.push_back(0.125f * static_cast<float>(random.below(3) - 1));
  for (const char* name : {"TQ1_0", "TQ2_0", "MXFP4", "NVFP4"}) {
    const QuantType& type = *find_quant_type(name);
    EXPECT_EQ(decoded(type, encoded(type, values, nullptr), values.size()), values) << name;
  }
}

// The promise of the same bytes on every machine and from every compiler.
TEST(Encode, TheBytesAreTheseAndNoOthers) {
  Rng random(17);
  const std::vector<float> values = rows_of(&random, 1, false);
  std::vector<float> importance;
  for (int64_t i = 0; i < kColumns; ++i) importance.push_back(static_cast<float>(random.uniform()));
  std::string all;
  for (const QuantType& type : quant_types()) {
    for (const float* weights : {static_cast<const float*>(nullptr), static_cast<const float*>(importance.data())}) {
      const std::vector<char> blocks = encoded(type, values, weights);
      ASSERT_EQ(encoded(type, values, weights), blocks);
      all.append(blocks.begin(), blocks.end());
    }
  }
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(all))),
            "92292510d1496361820da6e210996456b15d46dbb60549953e8ae8d5f65e7087");
}

TEST(Encode, RowsThatCannotBeWrittenAreRefused) {
  const QuantType& type = *find_quant_type("Q4_0");
  std::vector<float> values(64, 1.0f), importance(32, 1.0f);
  std::vector<char> blocks(type.bytes(64));
  const auto refusal = [&]() -> std::string {
    try {
      encode_rows(type, values.data(), importance.data(), blocks.data(), 2, 32, "blk.0");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(), "");
  values[33] = HUGE_VALF;
  EXPECT_EQ(refusal(), "blk.0: value 1 of row 1 is not a number");
  values[33] = 1e6f;
  EXPECT_EQ(refusal(), "blk.0: value 1 of row 1 is beyond 65504, the range of Q4_0");
  values[33] = 0.0f;
  importance[31] = -1.0f;
  EXPECT_EQ(refusal(), "blk.0: the importance of column 31 is not a number from 0 up");
}

}  // namespace
}  // namespace fieldprint
