// Answers whose sources are revoked: begun anew unseen, or ended where the client has read of them.
#include "server/answers.h"

#include <gtest/gtest.h>

#include <thread>

#include "fieldprint/error.h"
#include "support/labelled.h"

namespace fieldprint::server {
namespace {

struct NoClient final : HttpReply {
  void send(HttpResponse) override {}
  void begin(HttpResponse) override {}
  void write(std::string_view) override {}
  void end() override {}
  bool begun() const override { return false; }
  void on_disconnect(std::function<void()>) override {}
};

Request labelled(const Model& model, int max_tokens) {
  Request request;
  request.spans = conversation();
  request.sampling = unending(model, max_tokens, 3);
  return request;
}

TEST(Answers, OneThatNobodyHasReadBeginsAnewUnseen) {
  const auto model = tiny();
  for (const Watch watch : {Watch::kEnd, Watch::kTokens}) {
    Scheduler scheduler(model);
    Request request = labelled(*model, 3000);
    NoClient client;
    Answers answers(scheduler, request, client, watch);
    while (scheduler.stats().decode_tokens < 5) std::this_thread::yield();
    scheduler.revoke(std::vector<std::string>{"memory:1"});
    while (scheduler.stats().rollbacks == 0) std::this_thread::yield();
    std::string text;
    std::vector<TokenId> tokens;
    while (const auto part = answers.next()) {
      text += part->text;
      tokens.insert(tokens.end(), part->tokens.begin(), part->tokens.end());
    }
    const auto expected = expected_of(model, without(conversation(), "memory:1"), request.sampling);
    EXPECT_EQ(text, expected.generation.text);
    EXPECT_EQ(tokens, expected.generation.tokens);
    expect_same(answers.result(0), expected.generation);
  }
}

TEST(Answers, OneThatWasReadEndsAndSaysWhy) {
  const auto model = tiny();
  Scheduler scheduler(model);
  Request request = labelled(*model, 3000);
  NoClient client;
  Answers answers(scheduler, request, client, Watch::kTokens);
  EXPECT_FALSE(answers.next()->tokens.empty());
  scheduler.revoke(std::vector<std::string>{"memory:1"});
  try {
    while (answers.next()) {
    }
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("memory:1, which it had read, was revoked"), std::string::npos);
  }
}

}  // namespace
}  // namespace fieldprint::server
