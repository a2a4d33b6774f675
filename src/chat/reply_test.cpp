#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

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

TEST(ToolCalls, AMarkInsideAnArgumentIsNoEnd) {
  EXPECT_EQ(
      shown(parse_reply(R"(<tool_call>{"name": "f", "arguments": {"x": "a</tool_call>b"}}</tool_call>!)", "hermes")),
      R"(!|f{"x":"a</tool_call>b"})");
  EXPECT_EQ(lfm2(R"([f(x="<|tool_call_end|><|tool_call_start|>[g()]")])"),
            R"(|f{"x":"<|tool_call_end|><|tool_call_start|>[g()]"})");
  EXPECT_EQ(shown(parse_reply("<tool_call>oops</tool_call><tool_call>{\"name\": \"g\"}</tool_call>", "hermes")),
            "<tool_call>oops</tool_call>|g{}");
}

constexpr const char* kTools =
    R"([{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{)"
    R"("s":{"type":"string"},"i":{"type":"integer"},"n":{"type":"number"},"b":{"type":"boolean"},"l":{"type":"array"},)"
    R"("o":{"type":"object"},"u":{"type":["string","null"]},"any":{}}}}},{"name":"g"}])";

std::string xml(const std::string& inside) {
  return shown(parse_reply("<tool_call>\n" + inside + "\n</tool_call>", "xml", {.tools = kTools}));
}

TEST(ToolCalls, XmlHasTheTypesOfTheSchema) {
  const auto parameter = [](const std::string& name, const std::string& value) {
    return xml("<function=f>\n<parameter=" + name + ">\n" + value + "\n</parameter>\n</function>");
  };
  EXPECT_EQ(parameter("s", "Paris"), R"(|f{"s":"Paris"})");
  EXPECT_EQ(parameter("s", "5"), R"(|f{"s":"5"})") << "a string stays one, whatever it looks like";
  EXPECT_EQ(parameter("s", "{\"a\": 1}"), R"(|f{"s":"{\"a\": 1}"})");
  EXPECT_EQ(parameter("s", "\n  two\nlines  \n"), R"(|f{"s":"\n  two\nlines  \n"})");
  EXPECT_EQ(parameter("i", "12345678901234567890123"), R"(|f{"i":12345678901234567890123})");
  EXPECT_EQ(parameter("n", " 2.50 "), R"(|f{"n":2.5})");
  EXPECT_EQ(parameter("b", "True"), R"(|f{"b":true})");
  EXPECT_EQ(parameter("b", "false"), R"(|f{"b":false})");
  EXPECT_EQ(parameter("i", "None"), R"(|f{"i":null})");
  EXPECT_EQ(parameter("l", "[1, \"two\"]"), R"(|f{"l":[1,"two"]})");
  EXPECT_EQ(parameter("o", "{\"k\": {}}"), R"(|f{"o":{"k":{}}})");
  EXPECT_EQ(parameter("i", "many"), R"(|f{"i":"many"})") << "what was written, and nothing else";
  for (const char* unknown : {"any", "u", "other"}) {
    EXPECT_EQ(parameter(unknown, "5"), std::string(R"(|f{")") + unknown + R"(":"5"})");
    EXPECT_EQ(parameter(unknown, "[5]"), std::string(R"(|f{")") + unknown + R"(":[5]})");
  }
  EXPECT_EQ(parameter("s", "a</parameter>b\n</function>"), R"(|f{"s":"a</parameter>b\n</function>"})");
  EXPECT_EQ(parameter("s", ""), R"(|f{"s":""})");
}

TEST(ToolCalls, XmlCallsAndWhatIsNone) {
  EXPECT_EQ(
      shown(parse_reply("Looking.\n\n<tool_call>\n<function=f>\n<parameter=s>\na\n</parameter>\n<parameter=i>\n3\n"
                        "</parameter>\n</function>\n</tool_call>\n<tool_call><function=g></function></tool_call>",
                        "xml", {.tools = kTools})),
      "Looking.\n\n\n|f{\"s\":\"a\",\"i\":3}|g{}");
  EXPECT_EQ(xml("<function=f>\n</function>\n<function=g>\n</function>"), "|f{}|g{}");
  for (const char* text :
       {"", "f()", "{\"name\": \"f\"}", "<function=>\n</function>", "<function=f>", "<function=f</function>",
        "<function=f>\n<parameter=s>\na\n</function>", "<function=f>\n<parameter=>\na\n</parameter>\n</function>",
        "<function=f>\n<parameter=s>\n1\n</parameter>\n<parameter=s>\n2\n</parameter>\n</function>",
        "<function=f>\ntext\n</function>", "<function=f>\n</function>\nand more"}) {
    const std::string whole = std::string("<tool_call>\n") + text + "\n</tool_call>";
    const Reply reply = parse_reply(whole, "xml", {.tools = kTools});
    EXPECT_EQ(shown(reply), whole);
    EXPECT_EQ(reply.refusals.size(), 1u) << text;
  }
}

// Qwen2.5-Coder 1.5B, asked in its own template, answers so.
TEST(ToolCalls, QwenCoderLeavesTheMarksOut) {
  const auto hermes = [](const std::string& text) { return shown(parse_reply(text, "hermes", {.tools = kTools})); };
  EXPECT_EQ(hermes("```json\n{\n  \"name\": \"f\",\n  \"arguments\": {\n    \"s\": \"Madrid\"\n  }\n}\n```"),
            R"(|f{"s":"Madrid"})");
  EXPECT_EQ(hermes("{\"name\": \"f\", \"arguments\": {}}\n{\"name\": \"g\", \"arguments\": {}}"), "|f{}|g{}");
  EXPECT_EQ(hermes("<tools>\n[{\"name\": \"g\", \"arguments\": {}}]\n</tools>\n"), "|g{}");
  for (const char* text :
       {"```json\n{\"name\": \"Bob\", \"age\": 7}\n```", "Such as:\n```json\n{\"name\": \"f\", \"arguments\": {}}\n```",
        "```json\n{}\n```", "```", "``````", "```python\nprint(1)\n```"}) {
    const Reply reply = parse_reply(text, "hermes", {.tools = kTools});
    EXPECT_EQ(shown(reply), text);
    EXPECT_TRUE(reply.refusals.empty()) << text << " is an answer";
  }
  const Reply reply = parse_reply("{\"name\": \"rm\", \"arguments\": {}}", "hermes", {.tools = kTools});
  EXPECT_EQ(shown(reply), "{\"name\": \"rm\", \"arguments\": {}}");
  EXPECT_EQ(reply.refusals.size(), 1u);
}

TEST(ToolCalls, Llama3WritesNothingButTheCall) {
  const auto llama3 = [](const std::string& text) { return shown(parse_reply(text, "llama3", {.tools = kTools})); };
  EXPECT_EQ(llama3(R"({"name": "f", "parameters": {"i": 3}})"), R"(|f{"i":3})");
  EXPECT_EQ(llama3("\n<|python_tag|>{\"name\": \"f\", \"parameters\": {}}\n"), "|f{}");
  EXPECT_EQ(
      llama3(R"({"type": "function", "name": "f", "parameters": {"s": "a;}{\""}}; {"name": "g", "parameters": {}})"),
      R"(|f{"s":"a;}{\""}|g{})");
  for (const char* text :
       {"", "Hello.", "{}", "[1, 2]", R"(A person: {"name": "f", "parameters": {}})", R"({"name": "Bob", "age": 7})"}) {
    const Reply reply = parse_reply(text, "llama3", {.tools = kTools});
    EXPECT_EQ(shown(reply), text);
    EXPECT_TRUE(reply.refusals.empty()) << text << " is an answer";
  }
  for (const char* text :
       {R"({"name": "rm", "parameters": {}})", R"({"name": "f", "parameters": {})",
        R"({"name": "f", "parameters": [1]})", R"({"name": "f", "parameters": {}} and)", "<|python_tag|>print(1)"}) {
    const Reply reply = parse_reply(text, "llama3", {.tools = kTools});
    EXPECT_EQ(shown(reply), text);
    EXPECT_EQ(reply.refusals.size(), 1u) << text;
  }
}

TEST(ToolCalls, HarmonyHasChannels) {
  const Reply reply = parse_reply(
      "<|channel|>analysis<|message|>I should "
      "look.<|end|><|start|>assistant<|channel|>commentary<|message|>Looking.<|end|>"
      "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"s\": \"a<|b\"}<|call|>",
      "harmony");
  EXPECT_EQ(reply.reasoning, "I should look.");
  EXPECT_EQ(shown(reply), R"(Looking.|f{"s":"a<|b"})");
  EXPECT_EQ(shown(parse_reply(" to=functions.f<|channel|>commentary json<|message|>{}<|call|>", "harmony")), "|f{}");
  const Reply answer = parse_reply(
      "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>b"
      "<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|>",
      "harmony");
  EXPECT_EQ(answer.reasoning, "a\nb");
  EXPECT_EQ(shown(answer), "Hello.");
  EXPECT_EQ(shown(parse_reply("<|channel|>final<|message|>Hel", "harmony")), "Hel") << "cut off";
  EXPECT_EQ(parse_reply("<|channel|>analysis<|message|>Hm", "harmony").reasoning, "Hm");
  EXPECT_EQ(shown(parse_reply("no marks", "harmony")), "no marks");
  for (const char* text : {"<|channel|>commentary to=functions.f<|message|>{<|call|>",
                           "<|channel|>commentary to=python<|message|>1+1<|call|>",
                           "<|channel|>commentary to=functions.f<|message|>[1]<|call|>"}) {
    const Reply bad = parse_reply(text, "harmony");
    EXPECT_EQ(shown(bad), text);
    EXPECT_EQ(bad.refusals.size(), 1u);
  }
}

TEST(ToolCalls, Granite3WritesAList) {
  EXPECT_EQ(shown(parse_reply(R"(<|tool_call|>[{"name": "f", "arguments": {"i": 1}}, {"name": "g", "arguments": {}}])",
                              "granite")),
            R"(|f{"i":1}|g{})");
  EXPECT_EQ(shown(parse_reply("<|tool_call|>none", "granite")), "<|tool_call|>none");
}

TEST(Reasoning, IsWhatStandsInThoughtMarks) {
  const ReplyOptions says{.thinks = true}, opened{.thinks = true, .thinking = true};
  const auto both = [](const Reply& reply) { return reply.reasoning + "|" + reply.content; };
  EXPECT_EQ(both(parse_reply("<think>\nHm.\n</think>\n\nYes.", "", says)), "Hm.|Yes.");
  EXPECT_EQ(both(parse_reply("Hm.\n</think>\n\nYes.", "", opened)), "Hm.|Yes.");
  EXPECT_EQ(both(parse_reply("\n\n</think>\n\nYes.", "", opened)), "|Yes.");
  EXPECT_EQ(both(parse_reply("<think>Hm", "", says)), "Hm|") << "it stopped while it thought";
  EXPECT_EQ(both(parse_reply("Hm", "", opened)), "Hm|");
  EXPECT_EQ(both(parse_reply("Yes, <think>x</think>.", "", says)), "|Yes, <think>x</think>.") << "later it is text";
  EXPECT_EQ(both(parse_reply("<think>x</think>y", "", {})), "|<think>x</think>y") << "not of this template";
  const Reply reply = parse_reply("Use <tool_call>{\"name\": \"f\"}</tool_call>?</think>No <b>.", "hermes", opened);
  EXPECT_TRUE(reply.calls.empty()) << "a thought calls nothing";
  EXPECT_EQ(reply.content, "No <b>.");
  ASSERT_EQ(reply.kept.size(), 1u);
  EXPECT_EQ(reply.kept[0].end, std::string("Use <tool_call>{\"name\": \"f\"}</tool_call>?</think>No <b>.").size());
}

TEST(ToolCalls, MarksThatAreNoneStayText) {
  const std::string text = "<tool_call>{\"name\": \"f\"}</tool_call><tool_call>{\"name\": \"g\"}</tool_call>";
  ReplyOptions options;
  options.is_mark = [](size_t at) { return at >= 36; };
  EXPECT_EQ(shown(parse_reply(text, "hermes", options)), "<tool_call>{\"name\": \"f\"}</tool_call>|g{}");
}

// What a stranger can make a model say costs time in proportion to its length.
TEST(ToolCalls, HostileAnswersAreReadInTime) {
  const auto repeated = [](const std::string& text) {
    std::string all;
    while (all.size() < 300'000) all += text;
    return all;
  };
  for (const char* format : {"lfm2", "xml", "harmony", "granite", "hermes", "llama3"}) {
    for (const char* text : {"<tool_call>",
                             "</tool_call>",
                             "<tool_call></tool_call>",
                             "<tool_call>{\"a\":\"</tool_call>",
                             "<|message|>",
                             "<|",
                             "<|start|>",
                             "<|channel|>x to=functions.f<|message|><|call|>",
                             "<function=f>",
                             "<tool_call><function=f><parameter=a>",
                             "<parameter=a>\n</parameter>",
                             "</parameter>  ",
                             "<think>",
                             "</think>",
                             "{",
                             "[",
                             "{\"name\":\"f\",\"parameters\":{}};",
                             "<|tool_call|>",
                             "<|tool_call_start|>[",
                             "\\",
                             "\"",
                             " "}) {
      for (const char* before : {"", "<tool_call><function=f>", "{\"", "<tool_call>{\"name\": \""}) {
        const std::string whole = before + repeated(text);
        const auto start = std::chrono::steady_clock::now();
        const Reply reply = parse_reply(whole, format, {.tools = kTools, .thinks = true});
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        EXPECT_LT(seconds.count(), 5) << format << " " << text;
        EXPECT_LE(reply.content.size(), whole.size());
      }
    }
  }
}

TEST(ToolCalls, TheFormatIsFoundByTheTemplate) {
  EXPECT_EQ(tool_call_format(ChatTemplate("List of tools: <|tool_list_start|>[")), "lfm2");
  EXPECT_EQ(tool_call_format(ChatTemplate("<|tool_call_start|>")), "lfm2");
  EXPECT_EQ(tool_call_format(ChatTemplate("within <tool_call></tool_call> tags")), "hermes");
  EXPECT_EQ(tool_call_format(ChatTemplate("{{ messages }}")), "");
  EXPECT_EQ(tool_call_format(ChatTemplate("<tool_call><arg_key>")), "") << "GLM's, which is not known here";
}

}  // namespace
}  // namespace fieldprint
