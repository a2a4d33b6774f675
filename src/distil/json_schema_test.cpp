#include "distil/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "fieldprint/error.h"

namespace fieldprint::distil {
namespace {

using std::string;

void expect(const string& schema, std::initializer_list<string> in, std::initializer_list<string> out) {
  SCOPED_TRACE(schema);
  const JsonSchema checked(schema);
  for (const string& text : in) EXPECT_TRUE(checked.valid(text)) << text;
  for (const string& text : out) EXPECT_FALSE(checked.valid(text)) << text;
}

std::optional<ErrorKind> error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

TEST(DistilJsonSchema, PropertiesComeInAnyOrder) {
  expect(R"({"type":"object","properties":{
         "x":{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"]},
         "y":{"type":"object","properties":{"b":{"type":"integer"},"a":{"type":"integer"}},"additionalProperties":false}
         }})",
         {R"({"x":{"a":1,"b":2},"y":{"b":1,"a":2}})", R"({"y":{"a":2,"b":1},"x":{"b":2,"a":1}})"},
         {R"({"x":{"a":1}})", R"({"y":{"a":1,"c":1}})"});
}

TEST(DistilJsonSchema, NumbersAreWhatTheyMean) {
  expect(R"({"type":"integer"})", {"1", "1.0", "1e2", "-0", "0.0e5", "12345678901234567890123", "1e400", "1500e-2"},
         {"1.5", "1e-1", "\"1\"", "0.1e0"});
  expect(R"({"type":"number"})", {"1e400", "-1e-400", "1E+2"}, {"null"});
  expect(R"({"enum":[1.0, 12345678901234567890123, {"a":[2]}]})",
         {"1", "10e-1", "12345678901234567890123", R"({"a": [2.0]})"},
         {"12345678901234567890124", "1.2345678901234568e22", "true"});
  expect(R"({"const":0})", {"-0.0", "0e9"}, {"false", "1e-400"});
  expect(R"({"minimum":-1.5,"exclusiveMaximum":1e400})", {"-1.5", "9e399", "\"text\""}, {"-1.50001", "1e400"});
  expect(R"({"minimum":1,"exclusiveMinimum":true})", {"2"}, {"1.0"});
  expect(R"({"multipleOf":0.01})", {"19.99", "1e300", "0", "-0.07"}, {"0.001", "19.995"});
  expect(R"({"multipleOf":7})", {"49", "7e99", "700000000000000000000000"}, {"50", "1e99", "7.5"});
  expect(R"({"uniqueItems":true})", {"[1,2,true]"}, {"[1,1.0]", R"([{"a":1,"b":2},{"b":2.0,"a":1}])"});
}

TEST(DistilJsonSchema, HoldsToKeywords) {
  expect(R"({"not":{"type":"string"}})", {"1"}, {"\"\""});
  expect(R"({"oneOf":[{"minimum":3},{"maximum":5}]})", {"2", "6"}, {"4"});
  expect(R"({"if":{"type":"string"},"then":{"minLength":2},"else":{"type":"null"}})", {R"("äö")", "null"},
         {R"("ä")", "1"});
  expect(R"({"contains":{"const":1},"maxContains":2})", {"[1]", "[2,1,1]"}, {"[]", "[1,1,1]"});
  expect(R"({"prefixItems":[{"const":1}],"items":false})", {"[]", "[1]"}, {"[1,2]", "[2]"});
  expect(R"({"$defs":{"t":{"type":["array","null"],"items":{"$ref":"#/$defs/t"}}},"$ref":"#/$defs/t"})",
         {"[[null],[]]"}, {"[1]"});
  expect(R"({"allOf":[{"properties":{"a":{}}}],"properties":{"b":{}},"unevaluatedProperties":false})",
         {R"({"b":1,"a":2})"}, {R"({"c":1})"});
  expect(R"({"pattern":"^[\\u00e9a]+$"})", {R"("éa")", R"("\u00e9")", "3"}, {R"("e")"});
  expect(R"({"format":"date"})", {R"("2024-02-29")"}, {R"("2023-02-29")", R"("today")"});
  expect(R"({"format":"ipv6"})", {R"("::1")", R"("::ffff:1.2.3.4")"}, {R"("1.2.3.4")"});
  expect(R"({"format":"ipv4"})", {R"("127.0.0.1")"}, {R"("1.2.3")", R"("256.1.1.1")", R"("1.2.3.4.")"});
  expect("true", {"{}"}, {});
  expect("false", {}, {"{}"});
}

TEST(DistilJsonSchema, RefusesWhatIsNoJson) {
  const JsonSchema any("true");
  for (const char* text : {"01", "1.", "-", "+1", "1 2", ".5", "1e", "0x10", "NaN", "[1,]", "[0 1]", "1-2", "00", "",
                           R"({"a":1,"a":1})", "\"\x01\""})
    EXPECT_EQ(error_of([&] { any.valid(text); }), ErrorKind::kBadInput) << text;
  EXPECT_TRUE(any.valid(R"(["-1.5e3 \" 12", "\\", 3])"));
}

TEST(DistilJsonSchema, RefusesWhatIsNoSchema) {
  for (const char* schema :
       {"3", R"({"type":"strnig"})", R"({"minimum":"3"})", R"({"minLength":-1})", R"({"minItems":1.5})",
        R"({"properties":[]})", R"({"anyOf":[]})", R"({"$ref":"#/nowhere"})", R"({"pattern":"("})",
        R"({"multipleOf":0})", R"({"required":"a"})", R"({"items":{"properties":{"a":3}}})", "{"})
    EXPECT_EQ(error_of([&] { JsonSchema checked(schema); }), ErrorKind::kBadInput) << schema;
  EXPECT_EQ(error_of([] { JsonSchema(R"({"unevaluatedItems":false})"); }), ErrorKind::kUnsupported);
  EXPECT_EQ(error_of([] { JsonSchema(R"({"$ref":"http://a.b/c.json"})"); }), ErrorKind::kUnsupported);
  // Without an end, and with too many of them.
  EXPECT_EQ(error_of([] { JsonSchema(R"({"$ref":"#"})").valid("1"); }), ErrorKind::kLimit);
  EXPECT_EQ(error_of([] { JsonSchema(R"({"pattern":"^(a+)+$"})").valid('"' + string(60, 'a') + "b\""); }),
            ErrorKind::kLimit);
}

// tests/json_schema_test.py asks another validator about the same.
TEST(DistilJsonSchema, SaysOfEachTextWhetherItIsValid) {
  const char *cases = std::getenv("FIELDPRINT_SCHEMA_CASES"), *found = std::getenv("FIELDPRINT_SCHEMA_FOUND");
  if (cases == nullptr || found == nullptr) GTEST_SKIP() << "run by tests/json_schema_test.py";
  std::ifstream in(cases);
  std::ofstream out(found);
  for (string line; std::getline(in, line);) {
    const auto each = parse_ordered_json(line, cases);
    const JsonSchema schema(each["schema"].dump());
    auto valid = nlohmann::ordered_json::array();
    for (const auto& text : each["texts"]) valid.push_back(schema.valid(text.get<string>()));
    out << valid.dump() << '\n';
  }
}

}  // namespace
}  // namespace fieldprint::distil
