#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/cpu_time.h"

namespace fieldprint {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string refusal(std::string_view text, const JsonRules& rules = {}) {
  try {
    parse_json(text, "it", rules);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), rules.kind);
    return error.what();
  }
  return "accepted";
}

std::string nested(size_t depth, const std::string& open, const std::string& close) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += open;
  text += "1";
  for (size_t i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(Json, IsReadAsTheLibraryReadsIt) {
  for (const char* text :
       {"null", "true", " 1 ", "-0", "-0.0", "1e5", "18446744073709551615", "-9223372036854775808", "1e-400",
        "123456789012345678901234567890", R"("a\u00e9\ud83d\ude00\n\/")", "[]", "{}", R"([1, [2, {"a": []}], {}])",
        R"({"b": 1, "a": {"c": [null, false, "x"]}, "b": 2})", "\xef\xbb\xbf[1]"}) {
    EXPECT_EQ(parse_json(text, ""), json::parse(text)) << text;
    EXPECT_EQ(parse_ordered_json(text, "").dump(), ordered_json::parse(text).dump()) << text;
  }
  std::string large = "{";
  for (int i = 0; i < 300; ++i) large += "\"k" + std::to_string(i * 7919 % 100) + "\": " + std::to_string(i) + ", ";
  large += "\"end\": {\"x\": 1}}";
  EXPECT_EQ(parse_ordered_json(large, "").dump(), ordered_json::parse(large).dump()) << "names that come again";
  EXPECT_EQ(parse_json(large, ""), json::parse(large));
}

TEST(Json, WhatIsNoneIsRefusedWithItsPlace) {
  EXPECT_EQ(refusal("{\n \"a\": nul}"), "it: this is not valid JSON (line 2, column 10)");
  EXPECT_EQ(refusal(""), "it: this is not valid JSON (line 1, column 1)");
  EXPECT_EQ(refusal("[1] 2", {.kind = ErrorKind::kBadFile}), "it: this is not valid JSON (line 1, column 5)");
  EXPECT_EQ(refusal("[1e999]"), "it: a number is too large (line 1, column 6)");
  EXPECT_EQ(refusal("[1, 2]", {.max_bytes = 5}), "it: 6 bytes of JSON, at most 5 are read");
  for (const char* text : {"[1,]", "{'a': 1}", "[", "{\"a\"}", "\"\\ud83d\"", "\"\xff\"", "NaN", "[Infinity]", "01",
                           "// x\n1", "{\"a\": 1,}", "\"a\nb\"", "1 2"})
    EXPECT_NE(refusal(text).find("not valid JSON"), std::string::npos) << text;
}

// The library reads any depth, and overflows the stack when the value is printed or copied.
TEST(Json, DepthHasOneLimit) {
  for (const auto& [open, close] : {std::pair("[", "]"), std::pair("{\"a\":", "}"), std::pair("[{\"a\":", "}]")}) {
    const size_t levels = open == std::string("[{\"a\":") ? 2 : 1;
    const std::string most = nested(kMaxJsonDepth / levels, open, close);
    EXPECT_EQ(parse_json(most, "").dump(), json::parse(most).dump());
    EXPECT_EQ(parse_ordered_json(most, "").dump(), json::parse(most).dump());
    for (const size_t depth : {kMaxJsonDepth / levels + 1, size_t{80'000}, size_t{2'000'000}}) {
      EXPECT_EQ(refusal(nested(depth, open, close)), "it: the JSON is nested more than 500 levels deep");
      EXPECT_THROW(parse_ordered_json(nested(depth, open, ""), ""), Error);
    }
  }
}

TEST(Json, NumbersAsPythonWritesThemWhereAsked) {
  const JsonRules python = {.python = true};
  const json all = parse_json(R"({"a": NaN, "b": [Infinity,-Infinity], "c": "NaN \" Infinity", "d":NaN})", "", python);
  EXPECT_TRUE(std::isnan(all["a"].get<double>()));
  EXPECT_TRUE(std::isnan(all["d"].get<double>()));
  EXPECT_EQ(all["b"][0], std::numeric_limits<double>::infinity());
  EXPECT_EQ(all["b"][1], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(all["c"], "NaN \" Infinity");
  EXPECT_EQ(parse_json("Infinity", "", python), std::numeric_limits<double>::infinity());
  for (const char* text : {"-NaN", "1NaN", "[NaN1]", "[Infinity5]", "NaNNaN", "[-Infinity2]", "--Infinity", "nan",
                           "+Infinity", "{NaN: 1}", "\"NaN"})
    EXPECT_NE(refusal(text, python).find("not valid JSON"), std::string::npos) << text;
}

TEST(Json, EqualNamesAreAnErrorWhereAsked) {
  const JsonRules unique = {.unique_names = true};
  EXPECT_EQ(refusal(R"({"a": {"x": 1, "y": 2}, "b": {"x": 1}})", unique), "accepted");
  EXPECT_EQ(refusal(R"({"a": {"x": 1, "\u0078": 2}})", unique), "it: two members of one object are named 'x'");
  EXPECT_THROW(parse_ordered_json(R"({"a": {"x": 1, "x": 2}})", "", unique), Error);
  EXPECT_EQ(refusal("{\"\\u001b[31m\": 1, \"\\u001b[31m\": 2}", unique),
            "it: two members of one object are named '?[31m'");
}

// Objects of many members, and long ones inside one another, cost what they are long.
TEST(Json, TakesTimeByItsLength) {
  std::string members = "{", chain;
  for (int i = 0; i < 200'000; ++i) members += "\"" + std::to_string(i) + "\":0,";
  members += "\"\":0}";
  std::string inner = "[";
  for (int i = 0; i < 50'000; ++i) inner += "\"some text\",";
  inner += "0]";
  for (size_t i = 0; i + 2 < kMaxJsonDepth; ++i) chain += "{\"a\":";
  chain += inner;
  for (size_t i = 0; i + 2 < kMaxJsonDepth; ++i) chain += ",\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0}";
  const double start = cpu_seconds();
  EXPECT_EQ(parse_ordered_json(members, "").size(), 200'001u);
  EXPECT_EQ(parse_ordered_json(chain, "").size(), 6u);
  EXPECT_LT(cpu_seconds() - start, 10);  // sanitizers included; 0.2 s in a release build
}

}  // namespace
}  // namespace fieldprint
