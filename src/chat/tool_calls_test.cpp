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

TEST(ToolCalls, WhatIsNoCallStaysText) {
  for (const char* text : {"", "f(x=1)", "[f(x=1)", "[f(1)]", "[f(x=)]", "[f(x=1]", "[f(x=open('a'))]", "[f(x='a)]",
                           "[f(x=1)] and", "[(x=1)]", "{}", "[f(x=1e)]", "[f(x={1: 2})]", R"([f(x="\ud83d")])"}) {
    const std::string whole = std::string("<|tool_call_start|>") + text + "<|tool_call_end|>";
    EXPECT_EQ(lfm2(text), whole);
  }
  std::string deep = "[f(x=";
  deep.append(100000, '[');
  EXPECT_EQ(lfm2(deep), "<|tool_call_start|>" + deep + "<|tool_call_end|>");
  EXPECT_EQ(shown(parse_reply("a <|tool_call_start|>[f()]<|tool_call_end|>", "")),
            "a <|tool_call_start|>[f()]<|tool_call_end|>");
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
