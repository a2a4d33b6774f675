#include <gtest/gtest.h>

#include <map>
#include <random>

#include "chat/tool_format.h"
#include "fieldprint/chat.h"
#include "support/tiny_vocabulary.h"

namespace fieldprint {
namespace {

using Kind = ReplyPiece::Kind;

constexpr const char* kTools =
    R"([{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"integer"},"s":{"type":"string"},"l":{"type":"array"}}}}},)"
    R"({"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{}}}}])";

// A template of each format; what makes it one stands in a comment.
std::string template_of(std::string_view format, bool thinks) {
  const std::map<std::string_view, std::string> marks = {
      {"lfm2", "<|tool_call_start|>"},
      {"xml", "<tool_call><function=<parameter="},
      {"harmony", "<|start|><|channel|><|message|>"},
      {"granite", "<|tool_call|>"},
      {"hermes", "<tool_call>"},
      {"llama3", R"({"name": function name, "parameters": dictionary)"},
      {"", ""}};
  return "{% for m in messages %}{{ m.content }}{% endfor %}{# tools tool_calls " + marks.at(format) +
         (thinks ? "</think>" : "") + " #}";
}

// Answers of each format, whole and broken.
const std::multimap<std::string_view, std::string> kAnswers = {
    {"", "No call <tool_call>{}</tool_call> at all."},
    {"lfm2",
     R"(Let me see.<|tool_call_start|>[f(x=12, s="a, b) \"c\" \u00fc", l=[1, {"a": None}]), now()]<|tool_call_end|>Done <|tool)"},
    {"lfm2", R"(<|tool_call_start|>[{"name": "f", "arguments": {"x": 1, "s": "é\n"}}]<|tool_call_end|>)"},
    {"lfm2",
     R"(<|tool_call_start|>[f(s="<|tool_call_end|>")]<|tool_call_end|> and <|tool_call_start|>[now()]<|tool_call_end|>)"},
    {"lfm2", R"(<|tool_call_start|>[f(x=)]<|tool_call_end|>!)"},
    {"lfm2", R"(<|tool_call_start|>[f(x=1)])"},
    {"hermes",
     "One.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": -1.50e3, \"s\": \"</tool_call> \\ud83d\\ude00 "
     "ü\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\"}\n</tool_call>"},
    {"hermes",
     "<tool_call>\n{\"function\": {\"name\": \"f\", \"arguments\": {\"l\": [[], {}, [1, true, null]]}}}\n</tool_call>"},
    {"hermes", "<tool_call>\n{\"name\": \"f\", \"arguments\": \"{\\\"x\\\": 1}\"}\n</tool_call>"},
    {"hermes", "<tool_call>\n{\"name\": f}\n</tool_call> what"},
    {"hermes", "```json\n{\"name\": \"f\", \"arguments\": {\"x\": 3}}\n```"},
    {"hermes", "{\"answer\": 42}"},
    {"hermes", "  {\"name\": \"now\", \"arguments\": {}}"},
    {"hermes", "a < b <tool_ca and <tool_calls> no"},
    {"granite",
     "Well <|tool_call|>[{\"name\": \"f\", \"arguments\": {\"s\": \"tab\\t\"}}, {\"name\": \"now\", \"arguments\": "
     "{}}]"},
    {"xml",
     "<tool_call>\n<function=f>\n<parameter=x>\n5\n</parameter>\n<parameter=s>\nline 1\n</parameter> not "
     "yet\n\n</parameter>\n</function>\n</tool_call> end"},
    {"xml",
     "Text\n<tool_call>\n<function=now>\n</function>\n</tool_call>\n<tool_call>\n<function=f>\n<parameter=l>\n[1, "
     "2]\n</parameter>\n</function>\n</tool_call>"},
    {"xml", "<tool_call>\n<function=f>\n<parameter=x>\n"},
    {"llama3",
     "{\"name\": \"f\", \"parameters\": {\"x\": 1, \"s\": \"a\\\"b\"}}; {\"name\": \"now\", \"parameters\": {}}"},
    {"llama3", "<|python_tag|>{\"name\": \"now\", \"parameters\": {}}"},
    {"llama3", "Plain {text}."},
    {"llama3", "{\"name\": \"g\", \"parameters\": {}}"},
    {"harmony",
     "<|channel|>analysis<|message|>Think a "
     "<|bit.<|end|><|start|>assistant<|channel|>analysis<|message|>More.<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.f <|constrain|>json<|message|>{\"x\": 1, \"s\": \"<|\"}<|call|>"},
    {"harmony", "<|channel|>final<|message|>Hello <b>you</b>.<|return|>"},
    {"harmony", "<|channel|>final<|message|>Cut <|e"},
    {"harmony", "Without marks."},
    {"harmony", "<|channel|>commentary to=browser.open<|message|>{}<|call|>"},
};

struct Seen {
  std::string content, reasoning;
  std::vector<ToolCall> calls;
};

void take(Seen& seen, const std::vector<ReplyPiece>& pieces) {
  for (const ReplyPiece& piece : pieces) {
    switch (piece.kind) {
      case Kind::kContent:
        seen.content += piece.text;
        break;
      case Kind::kReasoning:
        seen.reasoning += piece.text;
        break;
      case Kind::kCall:
        EXPECT_EQ(piece.call, static_cast<int>(seen.calls.size()));
        seen.calls.push_back({piece.text, ""});
        break;
      case Kind::kArguments:
        ASSERT_EQ(piece.call + 1, static_cast<int>(seen.calls.size()));
        seen.calls.back().arguments += piece.text;
        break;
    }
  }
}

class ReplyStreamTest : public testing::Test {
 protected:
  ReplyStreamTest() : tokenizer_(tiny_byte_level("llama-bpe").load()) {}
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(ReplyStreamTest, GivesWhatTheWholeAnswerGivesHoweverItIsCut) {
  std::mt19937 random(1);
  for (const auto& [format, answer] : kAnswers) {
    for (const std::string thought : {"", "<think>\n Well,\nthen </thin \n</think>\n\n", "<think> never ends "}) {
      const bool thinks = format != "harmony" && format != "llama3";
      if (!thinks && !thought.empty()) continue;
      const std::string text = thought + answer;
      const ChatTemplate chat_template(template_of(format, thinks));
      const ChatFormat chat(*tokenizer_, chat_template, {.tools = format.empty() ? "" : kTools});
      EXPECT_EQ(chat.call_format(), format);
      const Message whole = chat.answer(text);
      for (int round = 0; round < 30; ++round) {
        ReplyStream stream(chat, false);
        Seen seen;
        for (size_t at = 0; at < text.size();) {
          const size_t n = round == 0 ? 1 : std::min<size_t>(1 + random() % 12, text.size() - at);
          take(seen, stream.push(text.substr(at, n)));
          at += n;
        }
        take(seen, stream.finish());
        ASSERT_EQ(seen.content, whole.content) << text;
        ASSERT_EQ(seen.reasoning, whole.reasoning) << text;
        ASSERT_EQ(stream.refusals(), whole.refusals) << text;
        ASSERT_EQ(seen.calls.size(), whole.calls.size()) << text;
        for (size_t i = 0; i < seen.calls.size(); ++i) {
          EXPECT_EQ(seen.calls[i].name, whole.calls[i].name) << text;
          EXPECT_EQ(seen.calls[i].arguments, whole.calls[i].arguments) << text;
        }
      }
    }
  }
}

const std::pair<std::string_view, std::string> kCalls[] = {
    {"lfm2", R"~(<|tool_call_start|>[f(x=1, s="a long text (with, commas)", l=[1, 2]), now()]<|tool_call_end|>)~"},
    {"hermes",
     "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"s\": \"a long \\\"text\\\" \\u00fc\", \"l\": [1, {\"a\": "
     "[]}]}}\n</tool_call>"},
    {"granite", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {\"s\": \"a long text\", \"x\": 12}}]"},
    {"llama3", "{\"name\": \"f\", \"parameters\": {\"x\": 1, \"s\": \"a long text\"}}"},
    {"xml",
     "<tool_call>\n<function=f>\n<parameter=x>\n5\n</parameter>\n<parameter=s>\na long "
     "text\n</parameter>\n</function>\n</tool_call>"},
    {"harmony",
     "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"s\": \"a long text\", \"x\": 1}<|call|>"},
};

// Where a grammar makes the calls, arguments go out while they are written.
TEST_F(ReplyStreamTest, ArgumentsGoOutWhileTheyAreWritten) {
  for (const auto& [format, text] : kCalls) {
    const ChatTemplate chat_template(template_of(format, false));
    const ChatFormat chat(*tokenizer_, chat_template, {.tools = kTools, .valid_calls = true});
    const Message whole = chat.answer(text);
    ASSERT_FALSE(whole.calls.empty()) << text;
    ReplyStream stream(chat, false);
    Seen seen;
    size_t first_call = 0, pieces = 0;
    for (size_t at = 0; at < text.size(); ++at) {
      const auto out = stream.push(text.substr(at, 1));
      for (const ReplyPiece& piece : out) {
        if (piece.kind == Kind::kCall && first_call == 0) first_call = at + 1;
        pieces += piece.kind == Kind::kArguments;
      }
      take(seen, out);
    }
    take(seen, stream.finish());
    ASSERT_EQ(seen.calls.size(), whole.calls.size()) << text;
    for (size_t i = 0; i < seen.calls.size(); ++i) {
      EXPECT_EQ(seen.calls[i].name, whole.calls[i].name);
      EXPECT_EQ(seen.calls[i].arguments, whole.calls[i].arguments) << text;
    }
    EXPECT_GT(first_call, 0u);
    EXPECT_LT(first_call, text.size() - 20) << text;
    EXPECT_GE(pieces, 2u) << text;
  }
}

// Of an answer that the token limit ends within a call, the call's text came as content once more.
TEST_F(ReplyStreamTest, ACallThatIsCutOffStaysACall) {
  for (const auto& [format, text] : kCalls) {
    const ChatTemplate chat_template(template_of(format, false));
    const ChatFormat chat(*tokenizer_, chat_template, {.tools = kTools, .valid_calls = true});
    const Message whole = chat.answer(text);
    size_t begun = 0;
    for (size_t length = 1; length < text.size(); ++length) {
      ReplyStream stream(chat, false);
      Seen seen;
      for (size_t at = 0; at < length; ++at) take(seen, stream.push(text.substr(at, 1)));
      const bool said = !seen.calls.empty();
      begun += said;
      take(seen, stream.finish());
      if (!said) continue;
      EXPECT_EQ(seen.content, "") << text.substr(0, length);
      ASSERT_LE(seen.calls.size(), whole.calls.size());
      for (size_t i = 0; i < seen.calls.size(); ++i) {
        EXPECT_EQ(seen.calls[i].name, whole.calls[i].name);
        const std::string& arguments = seen.calls[i].arguments;  // "{}": none were written yet
        EXPECT_TRUE(arguments == "{}" || whole.calls[i].arguments.starts_with(arguments)) << text.substr(0, length);
      }
    }
    EXPECT_GT(begun, 10u) << text;
  }
}

// Text that is certain does not wait for the end.
TEST_F(ReplyStreamTest, ContentGoesOutAtOnce) {
  const ChatTemplate chat_template(template_of("hermes", true));
  const ChatFormat chat(*tokenizer_, chat_template, {.tools = kTools});
  ReplyStream stream(chat, false);
  Seen seen;
  take(seen, stream.push("Hello"));
  EXPECT_EQ(seen.content, "Hello");
  take(seen, stream.push(" a < b <tool_"));
  EXPECT_EQ(seen.content, "Hello a < b ");
  take(seen, stream.push("box>"));
  EXPECT_EQ(seen.content, "Hello a < b <tool_box>");
}

}  // namespace
}  // namespace fieldprint
