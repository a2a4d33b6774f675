#include <gtest/gtest.h>

#include <string>

#include "fieldprint/chat_template.h"

namespace fieldprint {
namespace {

std::string shown(const Reply& reply) {
  std::string text = reply.content;
  for (const ToolCall& call : reply.calls) text += "|" + call.name + call.arguments;
  return text;
}

std::string lfm2(const std::string& inside) {
  return shown(parse_reply("<|tool_call_start|>" + inside + "<|tool_call_end|>", "lfm2"));
}

TEST(ToolCalls, Lfm2WritesThemAsPython) {
  EXPECT_EQ(
      shown(parse_reply(R"(<|tool_call_start|>[get_status(candidate_id="12345")]<|tool_call_end|>Checking.)", "lfm2")),
      R"(Checking.|get_status{"candidate_id":"12345"})");
  EXPECT_EQ(lfm2("[now()]"), "|now{}");
  EXPECT_EQ(lfm2("[ a(x = 1,), b.c(y=\"it's\") ]"), R"(|a{"x":1}|b.c{"y":"it's"})");
  EXPECT_EQ(
      lfm2(
          R"([f(i=-3, x=2.5e3, yes=True, no=False, none=None, list=[1, "two", []], pair=(1, 2), map={"k": {'n': 0}})])"),
      R"(|f{"i":-3,"x":2500.0,"yes":true,"no":false,"none":null,"list":[1,"two",[]],"pair":[1,2],"map":{"k":{"n":0}}})");
  EXPECT_EQ(lfm2(R"([f(s="a\"b\n\u00fc \ud83d\ude00 \d", t='"')])"),
            "|f{\"s\":\"a\\\"b\\n\u00fc \U0001F600 \\\\d\",\"t\":\"\\\"\"}");
  EXPECT_EQ(lfm2(R"([{"name": "f", "arguments": {"x": 1}}])"), R"(|f{"x":1})") << "JSON where it was asked for";
  EXPECT_EQ(shown(parse_reply("<|tool_call_start|>[f(x=1)]", "lfm2")), R"(|f{"x":1})")
      << "the answer ended before the mark";
}

TEST(ToolCalls, WhatIsNoCallStaysTextWithAReason) {
  for (const char* text :
       {"", "f(x=1)", "[f(x=1)", "[f(1)]", "[f(x=)]", "[f(x=1]", "[f(x=open('a'))]", "[f(x='a)]", "[f(x=1)] and",
        "[(x=1)]", "{}", "[f(x=1e)]", R"([f(x="\ud83d")])", "[{\"name\": 1}]", R"({"name": "f", "arguments": [1]})",
        R"({"name": "f", "arguments": "[1]"})", R"({"name": "f", "arguments": "{"})",
        R"({"function": {"arguments": {}}})", R"([{"name": "f"}, 1])"}) {
    const std::string whole = std::string("<|tool_call_start|>") + text + "<|tool_call_end|>";
    const Reply reply = parse_reply(whole, "lfm2");
    EXPECT_EQ(shown(reply), whole);
    ASSERT_EQ(reply.refusals.size(), 1u) << text;
    EXPECT_NE(reply.refusals[0], "");
  }
  EXPECT_EQ(parse_reply("<|tool_call_start|>[f(a=1, x={1})]<|tool_call_end|>", "lfm2").refusals[0],
            "character 11: a set has no JSON");
  EXPECT_TRUE(parse_reply("<|tool_call_start|>[f(x=1)]<|tool_call_end|>", "lfm2").refusals.empty());
  EXPECT_EQ(shown(parse_reply("a <|tool_call_start|>[f()]<|tool_call_end|>", "")),
            "a <|tool_call_start|>[f()]<|tool_call_end|>");
}

// 80,000 levels in a model's own call once overflowed the stack.
TEST(ToolCalls, DeepOnesStayText) {
  for (const std::string open : {"[", "(", "{1:", "-(", "{\"a\":", "[{\"a\":"}) {
    for (const std::string begin : {"[f(x=", "[{\"name\": \"f\", \"arguments\": {\"a\": ", "[{\"function\": "}) {
      std::string deep = begin;
      for (int i = 0; i < 100'000; ++i) deep += open;
      EXPECT_EQ(lfm2(deep), "<|tool_call_start|>" + deep + "<|tool_call_end|>");
    }
  }
}

TEST(ToolCalls, JsonComesInSeveralShapes) {
  for (
      const char* text :
      {R"({"name": "f", "arguments": {"x": 12345678901234567890123}})",
       R"({"name": "f", "parameters": {"x": 12345678901234567890123}})",
       R"({"name": "f", "arguments": "{\"x\": 12345678901234567890123}"})",
       R"({"function": {"name": "f", "arguments": {"x": 12345678901234567890123}}})",
       R"([{"type": "function", "id": "1", "function": {"name": "f", "arguments": "{\"x\":12345678901234567890123}"}}])"}) {
    EXPECT_EQ(lfm2(text), R"(|f{"x":12345678901234567890123})") << text;
    EXPECT_EQ(shown(parse_reply(std::string("<tool_call>\n") + text + "\n</tool_call>", "hermes")),
              R"(|f{"x":12345678901234567890123})")
        << text;
  }
  EXPECT_EQ(lfm2(R"([{"name": "f"}, {"name": "g", "arguments": ""}, {"name": "h", "arguments": null}])"),
            "|f{}|g{}|h{}");
  EXPECT_EQ(lfm2(R"({"name": "f", "arguments": {"b": -0.0, "a": [1e5, "\u00fc\n", null, {}]}})"),
            "|f{\"b\":-0.0,\"a\":[100000.0,\"\u00fc\\n\",null,{}]}");
}

TEST(ToolCalls, HermesWritesJsonOneCallABlock) {
  EXPECT_EQ(shown(parse_reply("One.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": "
                              "1}}\n</tool_call>\n<tool_call>{\"name\": \"g\"}</tool_call>",
                              "hermes")),
            "One.\n\n|f{\"x\":1}|g{}");
  EXPECT_EQ(shown(parse_reply("<tool_call>oops</tool_call>!", "hermes")), "<tool_call>oops</tool_call>!");
}

TEST(ToolCalls, TheFormatIsFoundByTheTemplate) {
  EXPECT_EQ(tool_call_format(ChatTemplate("List of tools: <|tool_list_start|>[")), "lfm2");
  EXPECT_EQ(tool_call_format(ChatTemplate("<|tool_call_start|>")), "lfm2");
  EXPECT_EQ(tool_call_format(ChatTemplate("within <tool_call></tool_call> tags")), "hermes");
  EXPECT_EQ(tool_call_format(ChatTemplate("{{ messages }}")), "");
}

}  // namespace
}  // namespace fieldprint
