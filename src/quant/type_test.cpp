#include "quant/type.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <vector>

#include "support/paths.h"

namespace fieldprint {
namespace {

template <typename T>
std::vector<T> read_golden(const std::string& name) {
  std::ifstream file(golden_dir() / "dequant" / name, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

// 0 for the same bits, the same number or two NaNs.
double relative_error(float value, float expected) {
  if (value == expected || (std::isnan(value) && std::isnan(expected))) return 0;
  const double error = std::abs((static_cast<double>(value) - expected) / expected);
  return std::isnan(error) ? HUGE_VAL : error;
}

TEST(QuantTypes, EveryTypeDecodesItsGoldenBlocks) {
  std::ifstream file(golden_dir() / "dequant" / "manifest.json");
  const nlohmann::json manifest = nlohmann::json::parse(file);
  EXPECT_EQ(manifest.size(), 25u);
  std::set<std::string> untested;
  for (const auto& [name, about] : manifest.items()) untested.insert(name);

  double worst = 0;
  std::string worst_name = "none";
  for (const QuantType& type : quant_types()) {
    const std::string name(type.name);
    if (name == "F32") continue;  // its own test below
    SCOPED_TRACE(name);
    ASSERT_EQ(untested.erase(name), 1u) << "no golden data";
    const nlohmann::json& about = manifest[name];
    EXPECT_EQ(type.ggml_id, about["ggml_type"]);
    EXPECT_EQ(type.block_elements, about["block_elements"]);
    EXPECT_EQ(type.block_bytes, about["block_bytes"]);

    const auto blocks = read_golden<uint16_t>(name + ".bin");  // 16 bit words: the alignment that decode asks for
    const auto expected = read_golden<float>(name + ".f32");
    ASSERT_EQ(type.bytes(expected.size()), blocks.size() * 2);
    std::vector<float> values(expected.size(), 12345.0f);
    type.decode(blocks.data(), values.data(), static_cast<int64_t>(values.size()));
    double error = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double here = relative_error(values[i], expected[i]);
      if (here > error || i == 0) error = here;
      ASSERT_LE(here, 1e-6) << "value " << i << " is " << values[i] << ", not " << expected[i];
    }
    if (error >= worst && error > 0) worst = error, worst_name = name;
  }
  EXPECT_TRUE(untested.empty()) << "no row in types.def for " << *untested.begin();
  std::printf("worst relative error over 25 types: %.3g (%s)\n", worst, worst_name.c_str());
}

TEST(QuantTypes, AnyBytesAreBlocksAndNothingElseIsTouched) {
  std::mt19937 random(1);
  for (const QuantType& type : quant_types()) {
    SCOPED_TRACE(type.name);
    const size_t n = static_cast<size_t>(type.block_elements) * 3;
    for (int round = 0; round < 50; ++round) {
      std::vector<uint32_t> blocks(type.bytes(n) / 4 + 1);
      for (uint32_t& word : blocks) word = round == 0 ? 0xffffffff : static_cast<uint32_t>(random());
      std::vector<float> values(n + 1, 12345.0f);
      type.decode(blocks.data(), values.data(), static_cast<int64_t>(n));
      ASSERT_EQ(values[n], 12345.0f);
      std::vector<float> one(n, 0.0f);  // a block stands for the same values wherever it lies
      std::vector<uint32_t> last(static_cast<size_t>(type.block_bytes) / 4 + 1);
      std::memcpy(last.data(), reinterpret_cast<const char*>(blocks.data()) + 2 * type.block_bytes,
                  static_cast<size_t>(type.block_bytes));
      type.decode(last.data(), one.data(), type.block_elements);
      ASSERT_EQ(std::memcmp(one.data(), &values[2 * n / 3], n / 3 * sizeof(float)), 0);
    }
    type.decode(nullptr, nullptr, 0);
  }
}

TEST(QuantTypes, F32IsTheValueItself) {
  const std::vector<float> values = {0.0f, -1.5f, 1e-45f, HUGE_VALF};
  std::vector<float> decoded(values.size());
  find_quant_type("F32")->decode(values.data(), decoded.data(), 4);
  EXPECT_EQ(decoded, values);
}

TEST(QuantTypes, AreFoundByNameAndNumber) {
  for (const QuantType& type : quant_types()) {
    EXPECT_EQ(find_quant_type(type.name), &type);
    EXPECT_EQ(find_quant_type(type.ggml_id), &type);
    std::string lower(type.name);
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(find_quant_type(lower), &type);
  }
  EXPECT_EQ(quant_types().size(), 26u);
  EXPECT_EQ(find_quant_type("Q4"), nullptr);
  EXPECT_EQ(find_quant_type("Q4_00"), nullptr);
  EXPECT_EQ(find_quant_type(""), nullptr);
  for (uint32_t id : {4u, 5u, 9u, 15u, 24u, 28u, 31u, 41u, 0xffffffffu}) EXPECT_EQ(find_quant_type(id), nullptr) << id;
}

}  // namespace
}  // namespace fieldprint
