#include "eval/requests.h"

#include <gtest/gtest.h>

#include "fieldprint/error.h"
#include "support/tiny_model.h"

namespace fieldprint {

namespace {

std::shared_ptr<const Model> tiny_text_model(bool bos) {
  TinyModelShape shape;
  if (bos) shape.more = [](GgufWriter& writer) { writer.set("tokenizer.ggml.add_bos_token", true); };
  const TinyModelFile file(shape);
  return Model::load(file.path(), {.threads = 1});
}

using Tokens = std::vector<TokenId>;

class EvalRequests : public testing::TestWithParam<bool> {
 protected:
  Tokens ids(const std::string& text, bool special = false) const {
    return tokenizer().encode(text, {.add_special = special, .parse_special = true});
  }
  const Tokenizer& tokenizer() const { return model_->tokenizer(); }
  ScoreRequest encode(EvalStyle style, const TextPair& pair, bool templated = false, int most = 1000) const {
    return encode_requests(style, tokenizer(), {&pair, 1}, templated, most)[0];
  }
  Tokens with_bos(Tokens tokens) const {
    if (GetParam()) tokens.insert(tokens.begin(), tokenizer().bos());
    return tokens;
  }
  std::shared_ptr<const Model> model_ = tiny_text_model(GetParam());
};

INSTANTIATE_TEST_SUITE_P(WithAndWithoutBos, EvalRequests, testing::Bool());

TEST_P(EvalRequests, OfTheHarnessMoveSpacesToTheContinuation) {
  const ScoreRequest plain = encode(EvalStyle::kLmEval, {"one", " the sea"});
  EXPECT_EQ(plain.context, with_bos(ids("one")));
  EXPECT_EQ(plain.continuation, ids(" the sea"));
  const ScoreRequest moved = encode(EvalStyle::kLmEval, {"one \n\u00a0", "sea"});
  EXPECT_EQ(moved.context, with_bos(ids("one")));
  EXPECT_EQ(moved.continuation, ids(" \n\u00a0sea"));
  const ScoreRequest kept = encode(EvalStyle::kMlx, {"one ", "the sea"});
  EXPECT_EQ(kept.context, with_bos(ids("one ")));
  // "one the sea" has one token fewer than its parts, and what lies behind the context's length is scored.
  const Tokens whole = with_bos(ids("one the sea"));
  EXPECT_EQ(kept.continuation, Tokens(whole.begin() + static_cast<ptrdiff_t>(kept.context.size()), whole.end()));
}

TEST_P(EvalRequests, NeverHaveTwoBos) {
  const std::string bos(tokenizer().piece(tokenizer().bos()));
  EXPECT_EQ(encode(EvalStyle::kLmEval, {bos + "one", " two"}).context, with_bos(ids(GetParam() ? "one" : bos + "one")));
  EXPECT_EQ(encode(EvalStyle::kMlx, {"one", " two"}, true).context, ids("one"));  // a template writes its own
}

TEST_P(EvalRequests, WithoutAContextStandBehindBos) {
  const ScoreRequest request = encode(EvalStyle::kLmEval, {"", " the sea"});
  EXPECT_EQ(request.context, Tokens{tokenizer().bos()});
  EXPECT_EQ(request.continuation, ids(" the sea"));
}

TEST_P(EvalRequests, LoseTheirBeginningWhereTheyAreTooLong) {
  const Tokens context = with_bos(ids("abcdefghij"));
  const ScoreRequest request = encode(EvalStyle::kLmEval, {"abcdefghij", "xyz"}, false, 6);
  EXPECT_EQ(request.continuation, ids("xyz"));
  EXPECT_EQ(request.context, Tokens(context.end() - 4, context.end()));  // 4 + 3 - 1 pass the model
  EXPECT_THROW(encode(EvalStyle::kLmEval, {"ab", "xyz"}, false, 2), Error);
  EXPECT_THROW(encode(EvalStyle::kLmEval, {"ab", ""}), Error);
}

TEST_P(EvalRequests, OfMlxLoseAsMuchForEachChoiceAsForTheLongest) {
  const std::vector<TextPair> pairs = {{"abcdefghij", "x"}, {"abcdefghij", "xyz"}};
  const Tokens context = with_bos(ids("abcdefghij"));
  const auto left = [&](EvalStyle style, size_t i) {
    return encode_requests(style, tokenizer(), pairs, false, 6)[i].context;
  };
  EXPECT_EQ(left(EvalStyle::kMlx, 0), Tokens(context.end() - 4, context.end()));
  EXPECT_EQ(left(EvalStyle::kMlx, 1), Tokens(context.end() - 4, context.end()));
  EXPECT_EQ(left(EvalStyle::kLmEval, 0), Tokens(context.end() - 6, context.end()));
  EXPECT_EQ(left(EvalStyle::kLmEval, 1), Tokens(context.end() - 4, context.end()));
}

TEST_P(EvalRequests, OfLlamaCppBeginWhereChoicesDiffer) {
  const std::vector<TextPair> pairs = {{"one", " sea bc"}, {"one", " sea b"}};
  const auto requests = llama_cpp_requests(tokenizer(), pairs, false, 100);
  EXPECT_EQ(requests[0].context, with_bos(ids("one sea ")));  // the second would have nothing of its own
  EXPECT_EQ(requests[0].continuation, ids("bc"));
  EXPECT_EQ(requests[1].continuation, ids("b"));
  // Nothing in common: the first token stands behind BOS.
  const std::vector<TextPair> apart = {{"", "bc"}, {"", "d"}};
  EXPECT_EQ(llama_cpp_requests(tokenizer(), apart, false, 100)[0].context, Tokens{tokenizer().bos()});
}

TEST_P(EvalRequests, OfLlamaCppScoreTailsWithoutTheLastToken) {
  const std::vector<TextPair> pairs = {{"so Kim", " fell ill."}, {"so Bob", " fell ill."}};
  const auto requests = llama_cpp_requests(tokenizer(), pairs, true, 100);
  const Tokens tail = ids(" fell ill.");
  EXPECT_EQ(requests[1].context, with_bos(ids("so Bob")));
  EXPECT_EQ(requests[1].continuation, Tokens(tail.begin(), tail.end() - 1));
  const std::vector<TextPair> few = {{"so K", "x."}, {"so Bob", " fell."}};  // 3 tokens of its own: the name counts
  EXPECT_EQ(llama_cpp_requests(tokenizer(), few, true, 100)[0].continuation, ids("Kx"));
}

TEST_P(EvalRequests, OfATextScoreEachTokenOnce) {
  const std::string text = "abcdefghijk";
  const Tokens all = with_bos(ids(text));
  for (const int most : {1, 3, 5, 50}) {
    Tokens scored;
    const auto windows = rolling_requests(tokenizer(), text, most);
    for (const ScoreRequest& window : windows) {
      scored.insert(scored.end(), window.continuation.begin(), window.continuation.end());
      EXPECT_LE(window.context.size() + window.continuation.size() - 1, static_cast<size_t>(most));
    }
    EXPECT_EQ(scored, all) << most;
    EXPECT_EQ(windows[0].context, Tokens{tokenizer().bos()});
    if (most < 50) {  // the last window is as long as the others
      EXPECT_EQ(windows.back().context.size() + windows.back().continuation.size(), static_cast<size_t>(most) + 1);
    }
  }
}

}  // namespace
}  // namespace fieldprint
