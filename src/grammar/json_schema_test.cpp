// Which JSON texts a schema lets through, and which schemas it refuses; tests/json_schema_test.py asks a validator
// about what models write under hundreds of them.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "fieldprint/error.h"
#include "fieldprint/grammar.h"

namespace fieldprint {
namespace {

using std::string;

void expect(const string& schema, std::initializer_list<string> in, std::initializer_list<string> out,
            const JsonSchemaOptions& options = {}) {
  SCOPED_TRACE(schema);
  const auto grammar = Grammar::from_json_schema(schema, options);
  for (const string& text : in) EXPECT_TRUE(grammar->matches(text)) << text;
  for (const string& text : out) EXPECT_FALSE(grammar->matches(text)) << text;
}

void expect_error(const string& schema, ErrorKind kind, const string& says) {
  try {
    Grammar::from_json_schema(schema);
    ADD_FAILURE() << "no error: " << schema.substr(0, 200);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_NE(string(error.what()).find(says), string::npos) << error.what() << " does not say " << says;
  }
}

TEST(JsonSchema, AnyJson) {
  expect("{}", {"null", "true", "-1.5e+10", "\"\"", "[]", "{}", "[1, {\"a\": [\n  2\n]}]", "{\"a\":{\"b\":[null]}}"},
         {"", "nul", "01", "1.", "+1", "'a'", "[1,]", "{\"a\"}", "{a:1}", "[1 ]x", " 1", "1 ", "[1,\n\n2]", "[   1]"});
  expect("true", {"1"}, {});
  const auto object = Grammar::json_object();
  EXPECT_TRUE(object->matches("{\"a\": [1, {\"b\": null}]}"));
  EXPECT_FALSE(object->matches("[]"));
  EXPECT_TRUE(Grammar::json_object({.compact = true})->matches("{\"a\":1,\"b\":[1,2]}"));
  EXPECT_FALSE(Grammar::json_object({.compact = true})->matches("{\"a\": 1}"));
  EXPECT_TRUE(object->matches(string("{\"a\": ") + string(90, '[') + string(90, ']') + "}"));
  EXPECT_FALSE(object->matches(string("{\"a\": ") + string(300, '[') + string(300, ']') + "}"))
      << "deeper than readers go";
}

TEST(JsonSchema, StringsAreValidInEveryByte) {
  expect(R"({"type":"string"})",
         {"\"a\u00e9\U0001F600\"", R"("\"\\\/\b\f\n\r\t")", R"("\u00e9\uABCD\uD83D\uDE00")", "\"\x7f\""},
         {"\"\n\"", "\"\x01\"", "\"\xC3\"", "\"\xED\xA0\x80\"", R"("\x")", R"("\u12")", R"("\uD83D")", R"("\uDE00")",
          R"("\uD83Dx")", R"("\uD83D\u0041")", "\"a", "a"});
  // A pair of surrogates is one character.
  expect(R"({"type":"string","minLength":2,"maxLength":3})", {R"("a\uD83D\uDE00")", "\"\u00e9\U0001F600x\""},
         {R"("\uD83D\uDE00")", "\"a\"", "\"abcd\""});
  expect(R"({"pattern":"^a.c$"})", {"\"abc\"", "\"a\\\"c\"", "\"a\\u0001c\"", "\"a\\tc\""},
         {"\"ac\"", "\"abcd\"", "\"a\nc\"", "\"a\\nc\"", "1"});
  expect(R"({"pattern":"b","maxLength":3})", {"\"b\"", "\"abc\""}, {"\"abcd\"", "\"a\""});
  expect(R"({"format":"date"})", {"\"2024-02-28\"", "\"1999-12-31\""},
         {"\"2024-02-30\"", "\"2024-13-01\"", "\"2024-1-1\""});
  expect(R"({"format":"no such","type":"string"})", {"\"x\""}, {});
}

TEST(JsonSchema, Objects) {
  const string person = R"("properties":{"name":{"type":"string"},"age":{"type":"integer"}})";
  expect(R"({"type":"object",)" + person + R"(,"required":["name"],"additionalProperties":false})",
         {R"({"name":"a"})", R"({"name": "a", "age": 1})", "{\n  \"name\": \"a\"\n}"},
         {R"({})", R"({"age":1})", R"({"age":1,"name":"a"})", R"({"name":"a","x":1})", R"({"name":1})",
          R"({"name":"a",})", R"({"name":"a","name":"b"})"});
  expect(R"({"type":"object",)" + person + "}", {R"({})", R"({"age":1,"x":[1],"y":null})", R"({"nam":1,"names":2})"},
         {R"({"x":1,"age":1})", R"({"x":1,"name":2})", R"({"":1})", R"({"n\u0061me":1})"});
  expect(R"({"type":"object",)" + person + "}", {R"({"age":1})"}, {R"({"x":1})"}, {.additional_properties = false});
  expect(R"({"type":"object"})", {R"({"x":1})"}, {}, {.additional_properties = false});
  expect(R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"additionalProperties":false,"minProperties":2,
         "maxProperties":2})",
         {R"({"a":1,"b":1})", R"({"b":1,"c":1})"}, {R"({"a":1})", R"({"a":1,"b":1,"c":1})", "{}"});
  expect(R"({"patternProperties":{"^x":{"type":"integer"},"y$":{"type":"string"}},"additionalProperties":false})",
         {R"({"x1":1})", R"({"ay":"1","x":2})", "{}"}, {R"({"x":"1"})", R"({"xy":1})", R"({"xy":"1"})", R"({"z":1})"});
  expect(R"({"type":"object","propertyNames":{"enum":["a","b"]},"properties":{"c":{},"a":{}}})", {R"({"a":1,"b":2})"},
         {R"({"c":1})", R"({"d":1})"});
  expect(R"({"properties":{"a":{},"b":{}},"dependentRequired":{"a":["b"]},"additionalProperties":false})",
         {"{}", R"({"b":1})", R"({"a":1,"b":1})"}, {R"({"a":1})"});
  expect(R"({"type":"object","required":["z"],"additionalProperties":{"type":"null"}})", {R"({"z":null,"a":null})"},
         {"{}", R"({"z":1})"});
  expect(R"({"properties":{"a":false,"b":{}},"additionalProperties":false})", {"{}", R"({"b":1})"}, {R"({"a":1})"});
}

TEST(JsonSchema, Arrays) {
  expect(R"({"items":{"type":"integer"},"minItems":1,"maxItems":3})", {"[1]", "[1, 2,3]"},
         {"[]", "[1,2,3,4]", "[\"a\"]"});
  expect(R"({"prefixItems":[{"const":1},{"const":2}],"items":{"const":3}})", {"[]", "[1]", "[1,2]", "[1,2,3,3]"},
         {"[2]", "[1,2,4]"});
  expect(R"({"prefixItems":[{"const":1},{"const":2}],"items":false,"minItems":2})", {"[1,2]"}, {"[1]", "[1,2,3]"});
  expect(R"({"items":[{"const":1}],"additionalItems":{"const":2}})", {"[1,2,2]"}, {"[2]", "[1,1]"});
  expect(R"({"items":{"enum":[1,2,3]},"uniqueItems":true,"maxItems":2})", {"[]", "[1,3]", "[2]"}, {"[1,1]", "[1,2,3]"});
  expect(R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"});
}

TEST(JsonSchema, ValuesAndTypes) {
  expect(R"({"enum":[1,"a",null,[1,2],{"b":true}]})", {"1", "\"a\"", "null", "[1, 2]", "{\"b\": true}"},
         {"2", "true", "[2,1]"});
  expect(R"({"enum":[1,"a",2.5],"type":"number"})", {"1", "2.5"}, {"\"a\""});
  expect(R"({"type":["integer","null"]})", {"1", "null"}, {"1.5", "\"\""});
  expect(R"({"type":"string","nullable":true})", {"null", "\"a\""}, {"1"});
  expect(R"({"type":"integer","multipleOf":25,"minimum":30,"maximum":101})", {"50", "75", "100"}, {"25", "60", "125"});
  expect(R"({"type":"number","minimum":0,"maximum":1})", {"0", "1", "0.5"}, {"1.1", "-0.1", "2"});
}

TEST(JsonSchema, Combinations) {
  expect(R"({"anyOf":[{"type":"string"},{"minimum":5,"type":"integer"}]})", {"\"a\"", "7"}, {"4"});
  expect(R"({"allOf":[{"minimum":1},{"maximum":3},{"type":"integer"}]})", {"1", "3"}, {"0", "4"});
  expect(
      R"({"oneOf":[{"required":["a"]},{"required":["b"]}],"properties":{"a":{},"b":{}},"additionalProperties":false})",
      {R"({"a":1})", R"({"b":1})"}, {"{}", R"({"a":1,"b":1})"});
  expect(R"({"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}}}]})",
         {R"({"a":1})", "{}"}, {R"({"b":1})", R"({"c":1})"});
  expect(R"({"properties":{"a":{"type":"integer"}},"allOf":[{"properties":{"a":{"minimum":3}}},{"required":["a"]}]})",
         {R"({"a":3})"}, {R"({"a":2})", "{}"});
  expect(R"({"$defs":{"t":{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/t"},{"const":1}]}}},"$ref":"#/$defs/t"})",
         {"[]", "[1,[1,[]]]"}, {"1", "[2]"});
}

TEST(JsonSchema, WhatCannotBeHeldToIsNamed) {
  const auto refused = [](const string& schema, const string& says) {
    expect_error(schema, ErrorKind::kUnsupported, says);
  };
  refused(R"({"properties":{"a/b":{"contains":{}}}})", "#/properties/a/b/contains: \"contains\" is not supported");
  refused(R"({"not":{}})", "#/not");
  refused(R"({"if":{}})", "#/if");
  refused(R"({"type":"array","uniqueItems":true})", "#/uniqueItems");
  refused(R"({"type":"number","multipleOf":0.5})", "#/multipleOf");
  refused(R"({"$ref":"other.json#/a"})", "#/$ref: 'other.json#/a' is in another document");
  refused(R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "#/oneOf");
  // A string is valid under both: what properties say is about objects alone.
  refused(R"({"oneOf":[{"type":"string"},{"properties":{"a":{}}}]})", "#/oneOf");
  refused(R"({"oneOf":[{"const":"x"},{"minimum":3}]})", "#/oneOf");
  refused(R"({"type":"object","minProperties":2})", "#/minProperties");
  refused(R"({"type":"number","exclusiveMinimum":1e18})", "digits");
  const auto bad = [](const string& schema, const string& says) { expect_error(schema, ErrorKind::kBadInput, says); };
  bad("{", "schema");
  bad("[]", "a schema is an object, true or false");
  bad(R"({"type":"nmber"})", "there is no type \"nmber\"");
  bad(R"({"properties":{"a":1}})", "#/properties/a: a schema is an object");
  bad(R"({"minLength":-1})", "#/minLength: \"minLength\" must be a whole number");
  bad(R"({"required":"a"})", "#/required");
  bad(R"({"anyOf":[]})", "#/anyOf");
  bad(R"({"$ref":"#/nowhere"})", "leads nowhere");
  bad(R"({"pattern":"("})", "#/pattern, column 1");
  bad(R"({"type":"string","minLength":3,"maxLength":2})", "no finite text matches");
  bad(R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", "no finite text matches");
  bad("false", "no finite text matches");
}

TEST(JsonSchema, HostileSchemasEndSoon) {
  const auto start = std::chrono::steady_clock::now();
  const auto ends = [&](const string& schema) {
    try {
      (void)Grammar::from_json_schema(schema)->matches("[1]");
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::kIo);
    }
  };
  string nested, choices = R"({"allOf":[)";
  for (int i = 0; i < 499; ++i) nested += R"({"items":)";
  ends(nested + "true" + string(499, '}'));
  for (int i = 0; i < 30; ++i)
    choices += string(i == 0 ? "" : ",") + R"({"anyOf":[{"minimum":)" + std::to_string(i) +
               R"(},{"type":"string"},{"maxLength":5}]})";
  ends(choices + "]}");
  ends(R"({"type":"string","maxLength":2000000000})");
  ends(R"({"type":"array","minItems":1000000000})");
  ends(
      R"({"type":"array","items":{"type":"array","maxItems":100000,"items":{"type":"array","maxItems":100000}},"maxItems":99999})");
  ends(R"({"type":"string","pattern":"^(a|b)*a(a|b){25}$","minLength":3})");
  ends(R"({"type":"string","pattern":"^((a{1,1000}){1,1000}){1,1000}$"})");
  ends(R"({"type":"string","pattern":"(((((a*)*)*)*)*)*x","maxLength":1000})");
  ends(R"({"type":"integer","minimum":-1e308,"maximum":1e308})");
  ends(R"({"type":"number","minimum":1e-300,"maximum":1e-299})");
  string names = R"({"type":"object","minProperties":3000,"properties":{)", values = R"({"enum":[)";
  for (int i = 0; i < 4000; ++i) names += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) + "\":{}";
  ends(names + "}}");
  for (int i = 0; i < 50'000; ++i) values += (i == 0 ? "\"v" : ",\"v") + std::to_string(i) + "\"";
  ends(values + "]}");
  string loops = R"({"$ref":"#/$defs/a0","$defs":{)";
  for (int i = 0; i < 60; ++i)
    loops += (i == 0 ? "\"a" : ",\"a") + std::to_string(i) + R"(":{"oneOf":[{"$ref":"#/$defs/a)" +
             std::to_string((i + 1) % 60) + R"("},{"$ref":"#/$defs/a)" + std::to_string((i + 7) % 60) + "\"}]}";
  ends(loops + "}}");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

}  // namespace
}  // namespace fieldprint
