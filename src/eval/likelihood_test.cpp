#include "eval/likelihood.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/logprobs.h"
#include "fieldprint/session.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

using Tokens = std::vector<TokenId>;
using Requests = std::vector<std::vector<ScoreRequest>>;

std::shared_ptr<const Model> tiny(int threads) {
  const TinyModelFile file({.context = 512});
  return Model::load(file.path(), {.threads = threads});
}

Tokens random_tokens(std::mt19937& random, size_t count) {
  Tokens tokens(count);
  for (TokenId& token : tokens) token = static_cast<TokenId>(random() % 256);
  return tokens;
}

Tokens joined(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Documents as tasks have them: one context and some choices, answers of one token, contexts that differ at their end,
// a text in windows, contexts without anything in common; behind a beginning that all share.
Requests documents(size_t shared) {
  std::mt19937 random(7);
  const Tokens head = random_tokens(random, shared);
  Requests all;
  for (int d = 0; d < 12; ++d) {
    std::vector<ScoreRequest>& requests = all.emplace_back();
    const Tokens context = joined(head, random_tokens(random, 3 + random() % 40));
    for (int i = 0; i < 4; ++i) {
      ScoreRequest request{context, random_tokens(random, d % 3 == 0 ? 1 : 1 + random() % 9)};
      if (d % 4 == 1) request.context = joined(context, random_tokens(random, 1 + random() % 14));
      requests.push_back(request);
    }
    if (d == 5) requests = {{{head.empty() ? 1 : head[0]}, random_tokens(random, 150)}};
    if (d == 6) requests[1].context = random_tokens(random, 20);
    if (d == 7) requests[2] = {context, joined(requests[1].continuation, {3})};  // one is the other's beginning
  }
  return all;
}

std::vector<std::vector<RequestScore>> score(int threads, int chunk, const Requests& requests,
                                             ScoreWork* work = nullptr) {
  SessionOptions options;
  options.chunk = chunk;
  LikelihoodScorer scorer(loaded(tiny(threads)), options);
  std::vector<std::vector<RequestScore>> scores;
  scorer.score(requests, [&](size_t document, std::span<const RequestScore> of) {
    EXPECT_EQ(document, scores.size());
    scores.emplace_back(of.begin(), of.end());
    return true;
  });
  if (work != nullptr) *work = scorer.work();
  return scores;
}

// The definition, straight: every request by itself, token by token.
RequestScore alone(const std::shared_ptr<const Model>& model, const ScoreRequest& request) {
  const Tokens whole = joined(request.context, request.continuation);
  Session session(model);
  RequestScore score;
  session.append(std::span(whole).first(whole.size() - 1), [&](int index, std::span<const float> logits) {
    const auto next = static_cast<size_t>(index) + 1;
    if (next < request.context.size()) return;
    score.log_likelihood += token_logprobs(logits, whole[next], 0).logprob;
    score.greedy = score.greedy && token_logprobs(logits, 0, 1).top[0].first == whole[next];
  });
  return score;
}

void expect_equal(const std::vector<std::vector<RequestScore>>& a, const std::vector<std::vector<RequestScore>>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t d = 0; d < a.size(); ++d) {
    ASSERT_EQ(a[d].size(), b[d].size());
    for (size_t r = 0; r < a[d].size(); ++r) {
      EXPECT_EQ(a[d][r].log_likelihood, b[d][r].log_likelihood) << d << " " << r;  // the same bits
      EXPECT_EQ(a[d][r].greedy, b[d][r].greedy) << d << " " << r;
    }
  }
}

TEST(LikelihoodScorer, GivesWhatEachRequestGivesAlone) {
  const auto model = tiny(1);
  for (const size_t shared : {0u, 40u}) {
    Requests requests = documents(shared);
    const RequestScore wrong = alone(model, requests[0][0]);
    // Choices that are what the model would say, so that `greedy` is not always false.
    Session session(model);
    session.append(requests[2][0].context);
    const auto logits = session.logits();
    requests[2][0].continuation = {
        static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin())};
    std::vector<std::vector<RequestScore>> expected;
    int greedy = 0;
    for (const auto& document : requests) {
      expected.emplace_back();
      for (const ScoreRequest& request : document) {
        expected.back().push_back(alone(model, request));
        greedy += expected.back().back().greedy;
      }
    }
    EXPECT_GE(greedy, 1);
    EXPECT_FALSE(wrong.greedy);
    expect_equal(score(1, 0, requests), expected);
  }
}

TEST(LikelihoodScorer, GivesTheSameBitsForAnyThreadsAndChunk) {
  for (const size_t shared : {0u, 40u}) {
    const Requests requests = documents(shared);
    const auto expected = score(1, 512, requests);
    for (const auto& [threads, chunk] : {std::pair(2, 0), std::pair(3, 7), std::pair(1, 1), std::pair(2, 64)})
      expect_equal(score(threads, chunk, requests), expected);
    Requests backwards(requests.rbegin(), requests.rend());
    auto turned = score(2, 100, backwards);
    expect_equal({turned.rbegin(), turned.rend()}, expected);
  }
}

TEST(LikelihoodScorer, ReadsAContextOnce) {
  const Tokens head(50, 7), context(30, 65);
  Requests requests;
  for (TokenId d = 0; d < 3; ++d) {
    const Tokens whole = joined(head, joined({d}, context));  // 81 tokens
    requests.push_back({{whole, {1}}, {whole, {2, 3}}, {whole, {4, 5, 6}}});
  }
  ScoreWork work;
  score(1, 0, requests, &work);
  EXPECT_EQ(work.tokens_computed, 50u + 3 * (31 + 0 + 1 + 2));
  EXPECT_EQ(work.tokens_read, 3u * (81 + 82 + 83));
}

TEST(LikelihoodScorer, EndsWhereItIsTold) {
  SessionOptions options;
  options.chunk = 20;
  LikelihoodScorer scorer(loaded(tiny(1)), options);
  int told = 0;
  scorer.score(documents(0), [&](size_t, std::span<const RequestScore>) { return ++told < 2; });
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace fieldprint
