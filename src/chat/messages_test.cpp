#include <gtest/gtest.h>

#include "fieldprint/chat.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

TEST(Messages, ComeBackFromJsonToTheLastDigit) {
  std::vector<Message> messages = {{"user", "caf\u00e9 \"quoted\"\n"}, {"assistant", ""}, {"tool", "12"}};
  messages[1].calls = {{"f", R"({"x":12345678901234567890123,"y":[1.5,-0.0,null]})"}, {"g", "{}"}};
  const auto back = messages_from_json(to_json(messages));
  ASSERT_EQ(back.size(), 3u);
  for (size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].role, messages[i].role);
    EXPECT_EQ(back[i].content, messages[i].content);
    ASSERT_EQ(back[i].calls.size(), messages[i].calls.size());
    for (size_t k = 0; k < back[i].calls.size(); ++k) {
      EXPECT_EQ(back[i].calls[k].name, messages[i].calls[k].name);
      EXPECT_EQ(back[i].calls[k].arguments, messages[i].calls[k].arguments);
    }
  }
  EXPECT_TRUE(messages_from_json(to_json({})).empty());
}

TEST(Messages, OfAnotherFormAreRefused) {
  const std::string deep(100'000, '[');
  for (
      const std::string text :
      {"", "[]", "{}", R"({"messages": {}})", R"({"messages": [1]})", R"({"messages": [{"role": "user"}]})",
       R"({"messages": [{"role": "user", "content": 1}]})",
       R"({"messages": [{"role": "user", "content": "", "tool_calls": {"a": {"function": {"name": "f", "arguments": {}}}}}]})",
       R"({"messages": [{"role": "user", "content": "", "tool_calls": [{"function": {"name": "f"}}]}]})",
       R"({"messages": [{"role": "user", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": 1}}]}]})"}) {
    EXPECT_THROW(messages_from_json(text), Error) << text;
  }
  EXPECT_THROW(messages_from_json("{\"messages\": " + deep), Error);
  EXPECT_THROW(messages_from_json("{\"messages\": [], \"n\": " + std::string(5000, '1') + "}"), Error);
}

}  // namespace
}  // namespace fieldprint
