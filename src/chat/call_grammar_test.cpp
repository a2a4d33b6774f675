#include "chat/call_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

constexpr const char* kTools = R"([
  {"type": "function", "function": {"name": "weather", "parameters": {"type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"], "type": "string"},
                   "full": {"type": "boolean"}, "place": {"$ref": "#/$defs/place"}},
    "required": ["city"], "$defs": {"place": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}}}}},
  {"type": "function", "function": {"name": "now"}}])";

struct Case {
  std::string_view format, text;
  bool good;
};

constexpr Case kCases[] = {
    {"hermes", "Just text.", true},
    {"hermes", "", true},
    {"hermes", "Hm <tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\", \"days\": 3}}\n</tool_call>",
     true},
    {"hermes",
     "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", "
     "\"arguments\": {}}\n</tool_call> ok",
     true},
    {"hermes", "<tool_call>\n{\"name\": \"later\", \"arguments\": {}}\n</tool_call>", false},
    {"hermes", "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"days\": 3}}\n</tool_call>", false},
    {"hermes", "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\", \"sky\": 1}}\n</tool_call>",
     false},
    {"hermes", "<tool_call>\n{\"name\": \"now\"", false},
    {"lfm2", "<|tool_call_start|>[weather(city=\"Ulm (Donau)\", days=-3, full=True)]<|tool_call_end|>", true},
    {"lfm2", "<|tool_call_start|>[weather(city=\"Ulm\", place={\"x\": 1.5}), now()]<|tool_call_end|>Well.", true},
    {"lfm2", "<|tool_call_start|>[weather(days=3)]<|tool_call_end|>", false},
    {"lfm2", "<|tool_call_start|>[weather(city=\"Ulm\", unit=\"K\")]<|tool_call_end|>", false},
    {"lfm2", "<|tool_call_start|>[now(x=1)]<|tool_call_end|>", false},
    {"granite", "<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"now\", \"arguments\": {}}]", true},
    {"granite", "<|tool_call|>{\"name\": \"now\", \"arguments\": {}}", false},
    {"xml",
     "Text <tool_call>\n<function=weather>\n<parameter=city>\nUlm\nan der "
     "Donau\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
     true},
    {"xml",
     "<tool_call>\n<function=weather>\n<parameter=city>\nUlm\n</parameter>\n<parameter=unit>\nC\n</parameter>\n</"
     "function>\n</tool_call>",
     true},
    {"xml",
     "<tool_call>\n<function=weather>\n<parameter=city>\nUlm\n</parameter>\n<parameter=unit>\nK\n</parameter>\n</"
     "function>\n</tool_call>",
     false},
    {"xml",
     "<tool_call>\n<function=weather>\n<parameter=city>\nUlm\n</parameter>\n<parameter=days>\nfew\n</parameter>\n</"
     "function>\n</tool_call>",
     false},
    {"xml", "<tool_call>\n<function=now>\n</function>\n</tool_call>", true},
    {"llama3", "{\"name\": \"now\", \"parameters\": {}}; {\"name\": \"now\", \"parameters\": {}}", true},
    {"llama3", "It is {late}.", true},
    {"llama3", "{\"late\": true}", false},
    {"harmony",
     "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.weather "
     "<|constrain|>json<|message|>{\"city\": \"Ulm\"}",
     true},
    {"harmony", "<|channel|>commentary to=functions.never <|constrain|>json<|message|>{}", false},
    {"harmony", "<|channel|>final<|message|>Hello.", true},
};

TEST(CallGrammar, LetsWholeCallsThroughAndNoOthers) {
  for (const auto& [format, text, good] : kCases)
    EXPECT_EQ(call_grammar(kTools, format)->matches(text), good) << format << ": " << text;
}

TEST(CallGrammar, RequiredOnesOfOneFunctionAndOneAtATime) {
  const std::string call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  const auto required = call_grammar(kTools, "hermes", {.required = true});
  EXPECT_TRUE(required->matches(call));
  EXPECT_TRUE(required->matches(call + "\n" + call));
  EXPECT_FALSE(required->matches("Well. " + call));
  EXPECT_FALSE(required->matches("Well."));
  const auto only = call_grammar(kTools, "hermes", {.required = true, .only = "weather"});
  EXPECT_FALSE(only->matches(call));
  const auto single = call_grammar(kTools, "hermes", {.parallel = false});
  EXPECT_TRUE(single->matches("a < b <tool_box> << <tool_calls"));
  EXPECT_TRUE(single->matches("First: " + call));
  EXPECT_FALSE(single->matches(call + "\n" + call));
  EXPECT_FALSE(single->matches(call + " and more"));
  EXPECT_FALSE(single->matches("<tool_call>"));
  for (const char* format : {"lfm2", "xml", "granite"}) {
    const auto one = call_grammar(kTools, format, {.parallel = false});
    EXPECT_TRUE(one->matches("Plain <text>.")) << format;
  }
}

// Arguments of a schema that cannot be held to are any object, unless the function says that it wants no less.
TEST(CallGrammar, SchemasThatCannotBeHeldTo) {
  const auto tools = [](const std::string& strict) {
    return R"([{"type": "function", "function": {"name": "f", )" + strict +
           R"("parameters": {"type": "object", "properties": {"n": {"type": "number", "multipleOf": 0.37}}}}}])";
  };
  EXPECT_TRUE(call_grammar(tools(""), "hermes")
                  ->matches("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call>"));
  try {
    call_grammar(tools("\"strict\": true, "), "hermes");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_THAT(error.what(), HasSubstr("multipleOf"));
    EXPECT_THAT(error.what(), HasSubstr("function f"));
  }
  EXPECT_THROW(call_grammar(tools(""), "hermes", {.only = "g"}), Error);
}

}  // namespace
}  // namespace fieldprint
