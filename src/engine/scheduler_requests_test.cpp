// What requests may ask for beyond an answer: labels, log-probabilities, several answers, masks; each beside what a
// session gives alone, or a formula.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/rng.h"
#include "engine/logprobs.h"
#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"
#include "support/scheduled.h"

namespace fieldprint {
namespace {

void expect_same(const std::vector<TokenLogprobs>& a, const std::vector<TokenLogprobs>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].token, b[i].token);
    EXPECT_EQ(a[i].logprob, b[i].logprob);
    EXPECT_EQ(a[i].top, b[i].top);
  }
}

void expect_same(const Generation& together, const Generation& alone) {
  EXPECT_EQ(together.tokens, alone.tokens);
  EXPECT_EQ(together.text, alone.text);
  EXPECT_EQ(together.reason, alone.reason);
  EXPECT_EQ(together.stats.logits_hash, alone.stats.logits_hash);
  expect_same(together.logprobs, alone.logprobs);
  expect_same(together.prompt_logprobs, alone.prompt_logprobs);
}

TEST(Logprobs, FollowTheFormula) {
  Rng rng(3);
  for (const int vocabulary : {1, 7, 8, 9, 1000}) {
    for (const float spread : {0.0f, 1.0f, 30.0f, 5000.0f}) {
      std::vector<float> logits;
      for (int i = 0; i < vocabulary; ++i) logits.push_back(spread * rng.normal());
      long double sum = 0;
      const long double top = *std::max_element(logits.begin(), logits.end());
      for (const float l : logits) sum += std::exp(static_cast<long double>(l) - top);
      const auto expected = [&](TokenId t) {
        return static_cast<double>(static_cast<long double>(logits[static_cast<size_t>(t)]) - top - std::log(sum));
      };
      const auto close = [&](TokenId t, double got) {
        EXPECT_NEAR(got, expected(t), 1e-14 * (1 + std::abs(expected(t)) + std::abs(static_cast<double>(top))));
      };
      const TokenLogprobs got = token_logprobs(logits, vocabulary / 2, 5);
      EXPECT_EQ(got.token, vocabulary / 2);
      close(got.token, got.logprob);
      std::vector<TokenId> order(logits.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<TokenId>(i);
      std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
        return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
      });
      ASSERT_EQ(got.top.size(), std::min<size_t>(5, logits.size()));
      for (size_t i = 0; i < got.top.size(); ++i) {
        EXPECT_EQ(got.top[i].first, order[i]);
        close(got.top[i].first, got.top[i].second);
      }
      EXPECT_TRUE(token_logprobs(logits, 0, 0).top.empty());
      for (size_t i = 0; i < order.size(); i += 1 + order.size() / 7)
        EXPECT_EQ(token_logprobs(logits, order[i], 0).rank, static_cast<int>(i) + 1);
      std::vector<float> halves = logits;
      for (float& l : halves) l /= 2;
      const TokenLogprobs hot = token_logprobs(logits, order[0], 3, 2), same = token_logprobs(halves, order[0], 3);
      EXPECT_EQ(hot.top, same.top);
      EXPECT_EQ(hot.logprob, same.logprob);
    }
  }
}

TEST(Logprobs, OfASessionAreThoseOfItsLogits) {
  const auto model = tiny();
  const auto prompt = some_tokens(50, 1);
  SamplingOptions sampling = sampled(12, 5);
  sampling.logprobs = 3;
  sampling.prompt_logprobs = 2;
  sampling.logit_bias = {{70, 5.0f}};  // these are before any bias
  Session session(model, {.chunk = 16});
  (void)session.generate(std::span<const TokenId>(some_tokens(30, 1)), sampled(1, 0));  // what it has does not matter
  const Generation answer = session.generate(std::span<const TokenId>(prompt), sampling);
  ASSERT_EQ(answer.logprobs.size(), answer.tokens.size());
  ASSERT_EQ(answer.prompt_logprobs.size(), prompt.size() - 1);
  EXPECT_EQ(answer.stats.reused_tokens, 0);

  std::vector<TokenId> all = prompt;
  all.insert(all.end(), answer.tokens.begin(), answer.tokens.end());
  std::vector<TokenLogprobs> expected;
  Session other(model);
  other.append(all, [&](int i, std::span<const float> logits) {
    const auto next = static_cast<size_t>(i) + 1;
    if (next < all.size()) expected.push_back(token_logprobs(logits, all[next], next < prompt.size() ? 2 : 3));
  });
  expect_same(answer.prompt_logprobs, {expected.begin(), expected.begin() + 49});
  expect_same(answer.logprobs, {expected.begin() + 49, expected.end()});

  const Generation plain = other.generate(std::span<const TokenId>(prompt), [&] {
    SamplingOptions without = sampling;
    without.logprobs = without.prompt_logprobs = -1;
    return without;
  }());
  EXPECT_EQ(plain.tokens, answer.tokens) << "asking changes nothing";
  EXPECT_TRUE(plain.logprobs.empty());
  EXPECT_TRUE(plain.prompt_logprobs.empty());
}

TEST(Scheduler, LogprobsAreThoseOfASession) {
  const auto model = tiny();
  SchedulerOptions options;
  options.session.chunk = 24;
  options.chunk_with_decode = 10;
  Scheduler scheduler(model, options);
  std::vector<Request> requests;
  for (int i = 0; i < 6; ++i) {
    Request request{some_tokens(20 + 17 * i, 1), sampled(i == 2 ? 0 : 8, static_cast<uint64_t>(i)), {}, {}};
    request.sampling.logprobs = i % 3 - 1;
    request.sampling.prompt_logprobs = i < 4 ? i : -1;
    requests.push_back(request);
  }
  std::vector<Stream> streams;
  for (const Request& request : requests) streams.push_back(scheduler.submit(request));
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    Session session(model);
    expect_same(streams[i].wait(),
                session.generate(std::span<const TokenId>(requests[i].prompt), requests[i].sampling));
  }
  const Generation score_only = streams[2].wait();
  EXPECT_TRUE(score_only.tokens.empty());
  EXPECT_EQ(score_only.reason, FinishReason::kLength);
  EXPECT_EQ(score_only.prompt_logprobs.size(), requests[2].prompt.size() - 1);
  EXPECT_EQ(score_only.stats.decode_tokens, 0);
  EXPECT_GT(streams[5].wait().stats.reused_tokens, 0) << "who wants no rows shares as ever";
}

TEST(Scheduler, SeveralAnswersOfAPromptAreThoseOfTheirSeeds) {
  const auto model = tiny();
  SchedulerOptions options;
  options.streams = 5;
  options.session.chunk = 30;
  Scheduler scheduler(model, options);
  Request request{some_tokens(70, 2), sampled(20, 11), {}, {}};
  request.sampling.logprobs = 1;
  request.answers = 4;
  std::vector<std::string> texts(4);
  request.on_text = [&](int answer, std::string_view piece) { texts[static_cast<size_t>(answer)] += piece; };
  int told = 0;
  request.on_done = [&] { ++told; };
  const Stream stream = scheduler.submit(request);
  const Stream other = scheduler.submit({some_tokens(40, 3), sampled(30, 1), {}, {}});
  std::set<std::vector<TokenId>> different;
  for (int i = 0; i < 4; ++i) {
    SCOPED_TRACE(i);
    SamplingOptions sampling = request.sampling;
    sampling.seed = 11 + static_cast<uint64_t>(i);
    Session session(model);
    const Generation answer = stream.wait(i);
    expect_same(answer, session.generate(std::span<const TokenId>(request.prompt), sampling));
    EXPECT_EQ(answer.text, texts[static_cast<size_t>(i)]);
    EXPECT_EQ(answer.stats.prefill_tokens, i == 0 ? 70 : 0);
    EXPECT_EQ(answer.stats.reused_tokens, i == 0 ? 0 : 70);
    different.insert(answer.tokens);
  }
  EXPECT_GT(different.size(), 1u);
  EXPECT_EQ(stream.answers(), 4);
  EXPECT_THROW((void)stream.wait(4), Error);
  Session session(model);
  expect_same(other.wait(), session.generate(std::span<const TokenId>(some_tokens(40, 3)), sampled(30, 1)));
  (void)scheduler.submit({{3}, sampled(1, 0), {}, {}}).wait();  // on_done comes after done
  EXPECT_EQ(told, 1);
  EXPECT_EQ(scheduler.stats().prefill_tokens, 70u + 40u + 1u) << "the prompt is computed once";
  for (const int answers : {0, 6}) {
    request.answers = answers;
    EXPECT_THROW(scheduler.submit(request), Error);
  }
}

TEST(Scheduler, AnswersThatWaitForPlacesAreAllAnswered) {
  const auto model = tiny();
  SchedulerOptions options;
  options.streams = 3;
  Scheduler scheduler(model, options);
  std::vector<Stream> streams;
  for (int i = 0; i < 8; ++i) {
    Request request{some_tokens(10 + i, i), sampled(3 + i, 1), {}, {}};
    request.answers = 1 + i % 3;
    streams.push_back(scheduler.submit(request));
  }
  Stream cancelled = streams[7];
  cancelled.cancel();
  for (int i = 0; i < 7; ++i) {
    for (int a = 0; a < 1 + i % 3; ++a) {
      Session session(model);
      expect_same(streams[static_cast<size_t>(i)].wait(a),
                  session.generate(std::span<const TokenId>(some_tokens(10 + i, i)),
                                   sampled(3 + i, 1u + static_cast<unsigned>(a))));
    }
  }
  EXPECT_EQ(cancelled.wait(1).reason, FinishReason::kCancelled);
  EXPECT_TRUE(cancelled.done());
  EXPECT_EQ(scheduler.stats().running, 0);
}

std::vector<LabelledTokens> conversation(const char* document = "report.txt") {
  return {{{SpanKind::kSystem, "", 0}, some_tokens(41, 1)},
          {{SpanKind::kRetrieved, document, 2}, some_tokens(70, 2)},
          {{SpanKind::kTool, "clock", 1}, some_tokens(9, 3)},
          {{SpanKind::kUser, "", 0}, some_tokens(33, 4)}};
}

TEST(Scheduler, LabelledPromptsAreSeenUnderTheirClearance) {
  const auto model = tiny();
  SchedulerOptions options;
  options.session.clearance = 2;
  Scheduler scheduler(model, options);
  for (const int clearance : {0, 1, 2, 7}) {
    SCOPED_TRACE(clearance);
    Request request{{}, sampled(15, 3), {}, {}};
    request.spans = conversation();
    request.clearance = clearance;
    Session session(model, {.clearance = clearance});
    expect_same(scheduler.submit(request).wait(),
                session.generate(std::span<const LabelledTokens>(conversation()), request.sampling));
  }
  Request unseen{{}, sampled(1, 0), {}, {}};
  unseen.spans = {{{SpanKind::kRetrieved, "x", 3}, {1, 2, 3}}};
  EXPECT_THROW(scheduler.submit(unseen), Error) << "nothing of it may be seen";
}

TEST(Scheduler, WhatIsSharedAgreesInItsLabels) {
  const auto model = tiny();
  Scheduler scheduler(model);
  const auto reused = [&](std::vector<LabelledTokens> spans) {
    Request request{{}, sampled(4, 3), {}, {}};
    request.spans = std::move(spans);
    const Generation answer = scheduler.submit(request).wait();
    Session session(model);
    const Generation alone = session.generate(std::span<const LabelledTokens>(request.spans), request.sampling);
    EXPECT_EQ(answer.tokens, alone.tokens);
    EXPECT_EQ(answer.stats.logits_hash, alone.stats.logits_hash);
    return answer.stats.reused_tokens;
  };
  EXPECT_EQ(reused(conversation()), 0);
  EXPECT_EQ(reused(conversation()), 152);
  EXPECT_EQ(reused(conversation("another.txt")), 41) << "as far as the system's words";
  auto turn = conversation();
  turn.front().label.kind = SpanKind::kUser;
  EXPECT_EQ(reused(turn), 0);
  // Tokens without labels share whatever has the same tokens, as Session::assign does.
  std::vector<TokenId> tokens;
  for (const auto& span : conversation()) tokens.insert(tokens.end(), span.tokens.begin(), span.tokens.end());
  EXPECT_EQ(scheduler.submit({tokens, sampled(4, 3), {}, {}}).wait().stats.reused_tokens, 152);
  Request lower{tokens, sampled(4, 3), {}, {}};  // what it may not see it does not find either
  lower.clearance = 1;
  EXPECT_EQ(scheduler.submit(lower).wait().stats.reused_tokens, 41);
  // The next turn: the answer is the model's own, and labelled so.
  Request first{{}, sampled(8, 3), {}, {}};
  first.spans = {{{SpanKind::kUser, "", 0}, some_tokens(60, 9)}};
  const auto answer = scheduler.submit(first).wait().tokens;
  turn = first.spans;
  turn.push_back({{SpanKind::kGenerated, "", 0}, answer});
  turn.push_back({{SpanKind::kUser, "", 0}, {5, 6, 7}});
  EXPECT_EQ(reused(turn), 60 + static_cast<int>(answer.size()) - 1) << "the last token was never fed";
}

// Allows the tokens of a script one after the other.
class Script final : public TokenMask {
 public:
  explicit Script(std::vector<TokenId> script) : script_(std::move(script)) {}
  void allow(std::span<const TokenId> answer, TokenSet& allowed) override {
    EXPECT_EQ(allowed.vocabulary(), 288);
    EXPECT_TRUE(std::equal(answer.begin(), answer.end(), script_.begin()));
    if (answer.size() < script_.size()) allowed.add(script_[answer.size()]);
  }

 private:
  std::vector<TokenId> script_;
};

TEST(Scheduler, AMaskSaysWhatMayComeNext) {
  const auto model = tiny();
  Scheduler scheduler(model);
  const std::vector<TokenId> script = {104, 101, 108, 108, 111};
  for (const bool greedy : {false, true}) {
    SamplingOptions sampling = sampled(-1, 1);
    if (greedy) sampling.temperature = 0;
    sampling.logprobs = 0;
    sampling.mask = [&] { return std::make_unique<Script>(script); };
    Request request{some_tokens(10, 1), sampling, {}, {}};
    request.answers = 2;
    const Stream stream = scheduler.submit(request);
    for (int i = 0; i < 2; ++i) {
      const Generation answer = stream.wait(i);
      EXPECT_EQ(answer.tokens, script);
      EXPECT_EQ(answer.logprobs.size(), script.size());
      EXPECT_EQ(answer.reason, FinishReason::kNoneAllowed);
      Session session(model);
      expect_same(answer, session.generate(std::span<const TokenId>(request.prompt), sampling));
    }
  }
}

TEST(Scheduler, WhatAMaskThrowsEndsItsAnswerAlone) {
  class Broken final : public TokenMask {
    void allow(std::span<const TokenId> answer, TokenSet& allowed) override {
      if (answer.size() == 3) throw std::runtime_error("no such rule");
      allowed.add(70);
    }
  };
  const auto model = tiny();
  Scheduler scheduler(model);
  SamplingOptions sampling = sampled(10, 1);
  sampling.mask = [] { return std::make_unique<Broken>(); };
  const Stream broken = scheduler.submit({some_tokens(10, 1), sampling, {}, {}});
  const Stream good = scheduler.submit({some_tokens(10, 1), sampled(10, 1), {}, {}});
  EXPECT_THROW((void)broken.wait(), std::runtime_error);
  Session session(model);
  EXPECT_THROW((void)session.generate(std::span<const TokenId>(some_tokens(10, 1)), sampling), std::runtime_error);
  expect_same(good.wait(), session.generate(std::span<const TokenId>(some_tokens(10, 1)), sampled(10, 1)));
}

}  // namespace
}  // namespace fieldprint
