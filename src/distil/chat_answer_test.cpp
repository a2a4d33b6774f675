#include "distil/chat_answer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fieldprint {
namespace {

TeacherAnswer whole(const std::string& content) {
  return read_chat_answer(R"({"choices": [{"message": {"content": ")" + content + R"("}, "finish_reason": "stop"}]})",
                          false, 0);
}

TEST(ChatAnswer, ThinkingIsTakenApartByItsMarks) {
  struct Row {
    const char* content;
    const char* reasoning;
    const char* answer;
    bool unclosed;
  };
  const Row rows[] = {
      {"Four.", "", "Four.", false},
      {"<think>\\nTwo and two.\\n</think>\\n\\nFour.", "Two and two.", "Four.", false},
      {"  <think></think>Four.", "", "Four.", false},
      {"<think>Two and", "Two and", "", true},
      {"[THINK]a[/THINK]b", "a", "b", false},
      {"The prompt opened it.\\n</think>\\nFour.", "The prompt opened it.", "Four.", false},
      {"The mark </think> ends a thought.", "", "The mark </think> ends a thought.", false},
      {"In <think>x</think>\\n it is text.", "", "In <think>x</think>\n it is text.", false},
  };
  for (const Row& row : rows) {
    const TeacherAnswer answer = whole(row.content);
    EXPECT_EQ(answer.failure, "") << row.content;
    EXPECT_EQ(answer.reasoning, row.reasoning) << row.content;
    EXPECT_EQ(answer.content, row.answer) << row.content;
    EXPECT_EQ(answer.unclosed, row.unclosed) << row.content;
  }
}

TEST(ChatAnswer, AStreamIsPutTogether) {
  const TeacherAnswer answer = read_chat_answer(
      ": a comment\n"
      "data: {\"prompt_token_ids\":[7,8],\"choices\":[{\"delta\":{\"reasoning\":\"Hm\"},\"token_ids\":[1]}]}\r\n\r\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"Fo\"},\"token_ids\":[2]}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"content\":\"ur\",\"tool_calls\":[{\"index\":0,\"id\":\"random\",\"function\":{"
      "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]},\"token_ids\":[3]}]}\n\n"
      "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]},"
      "\"finish_reason\":\"tool_calls\",\"token_ids\":[4]}]}\n\n"
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n",
      true, 0);
  EXPECT_EQ(answer.failure, "");
  EXPECT_EQ(answer.reasoning, "Hm");
  EXPECT_EQ(answer.content, "Four");
  EXPECT_EQ(answer.tool_calls,
            R"([{"id":"call_0","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}])");
  EXPECT_EQ(answer.prompt_ids, (std::vector<TokenId>{7, 8}));
  EXPECT_EQ(answer.token_ids, (std::vector<TokenId>{1, 2, 3, 4}));
  EXPECT_EQ(answer.completion_tokens, 4);
}

TEST(ChatAnswer, WhatIsNoAnswerSaysWhy) {
  const auto why = [](const char* body, bool events = true) { return read_chat_answer(body, events, 0).failure; };
  const char* begun = "data: {\"choices\":[{\"delta\":{\"content\":\"Fo\"}}]}\n\n";
  EXPECT_EQ(why(begun), "cut");
  EXPECT_EQ(why("data: {\"choices\":[{\"delta\":{\"content\":\"Fo\"}}]}\n\ndata: {\"choi"), "cut");
  EXPECT_EQ(why("data: {\"choices\":[{\"delta\":{\"content\":\"F\"},\"finish_reason\":\"stop\"}]}\n\n"), "cut")
      << "the usage has not come: a row would have other bytes";
  EXPECT_EQ(why("data: {\"choices\":[{\"delta\":\n\n"), "malformed");
  EXPECT_EQ(why("data: {\"error\":{\"message\":\"no memory\"}}\n\n"), "server");
  EXPECT_EQ(why("data: [DONE]\n\n"), "malformed");
  EXPECT_EQ(why("{\"choices\":[]}", false), "malformed");
  EXPECT_EQ(why("<html>", false), "malformed");
  EXPECT_EQ(why(R"({"choices":[{"message":{"content":" "},"finish_reason":"stop"}]})", false), "empty");
  EXPECT_EQ(why(R"({"choices":[{"message":{"content":""},"finish_reason":"length"}]})", false), "")
      << "all of it was a thought that the server keeps";
}

TEST(ChatAnswer, ProbabilitiesAreKeptWhereEveryTokenHasItsId) {
  const char* body = R"({"choices":[{"message":{"content":"ab"},"finish_reason":"stop","logprobs":{"content":[
    {"token":"token_id:5","logprob":-0.5,"top_logprobs":[{"token":"token_id:6","logprob":-2},{"token":"token_id:5","logprob":-0.5}]},
    {"token":"b","id":9,"logprob":0.001,"top_logprobs":[{"token":"b","id":9,"logprob":0.001}]}]}}]})";
  const TeacherAnswer answer = read_chat_answer(body, false, 2);
  EXPECT_EQ(answer.token_ids, (std::vector<TokenId>{5, 9}));
  ASSERT_EQ(answer.top.k, 2);
  EXPECT_EQ(answer.top.ids, (std::vector<TokenId>{5, 6, 9, kNoToken}));
  EXPECT_EQ(answer.top.logp[0], -0.5f);
  EXPECT_EQ(answer.top.logp[2], 0) << "no probability is above 1";
  EXPECT_NEAR(answer.top.tail[0], std::log(1 - std::exp(-0.5) - std::exp(-2)), 1e-3);
  EXPECT_TRUE(std::isinf(answer.top.tail[1]));
  const TeacherAnswer nameless = read_chat_answer(
      R"({"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-1,
         "top_logprobs":[{"token":"a","logprob":-1}]}]}}]})",
      false, 2);
  EXPECT_EQ(nameless.failure, "");
  EXPECT_EQ(nameless.top.k, 0);
  EXPECT_TRUE(nameless.token_ids.empty());
}

TEST(ChatAnswer, HostileBodiesAreFailuresAndNoMore) {
  for (
      const char* body :
      {"[]", "null", "7", R"({"choices":7})", R"({"choices":[7]})", R"({"choices":[{"message":[1]}]})",
       R"({"choices":[{"message":{"content":{"a":1},"tool_calls":[3,{"function":4}]}}]})",
       R"({"choices":[{"message":{"content":"x"},"token_ids":["a",-1e300],"logprobs":{"content":[3,{"token":4}]}}]})",
       R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-4,"completion_tokens":1e400}})",
       R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":18446744073709551615}})",
       R"({"error":{"message":{"error":{"detail":["deep"]}}}})"}) {
    for (const bool events : {false, true}) {
      const std::string sent = events ? "data: " + std::string(body) + "\n\ndata: [DONE]\n" : body;
      const TeacherAnswer answer = read_chat_answer(sent, events, 3);
      EXPECT_GE(answer.prompt_tokens, 0) << body;
      EXPECT_EQ(answer.completion_tokens, 0) << body;
      EXPECT_LE(answer.detail.size(), 400u) << body;
    }
  }
  EXPECT_EQ(error_sentence(R"({"error":{"message":"no such model"}})"), "no such model");
  EXPECT_EQ(error_sentence(R"({"detail":"no"})"), "no");
  EXPECT_EQ(error_sentence("  Bad\ngateway "), "Bad gateway");
}

}  // namespace
}  // namespace fieldprint
