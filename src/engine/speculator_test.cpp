// Drafted tokens: the answer is the one without, whatever was drafted; what drafts may lose is bounded.
#include "engine/speculator.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "fieldprint/catalog.h"
#include "fieldprint/chat.h"
#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "support/files.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<const Model> tiny(unsigned seed = 1, int vocabulary = 288) {
  const TinyModelFile file({.vocabulary = vocabulary, .type = "Q8_0", .seed = seed});
  return Model::load(file.path(), {.threads = 2});  // mapped: the file may go
}

std::shared_ptr<const Model> synthetic(const char* preset) {
  const std::string path =
      (fs::temp_directory_path() / ("fieldprint-drafts-" + std::to_string(::getpid()) + ".gguf")).string();
  SynthOptions options;
  options.preset = preset;
  options.mix = "Q4_K";
  synth(path, options);
  auto model = Model::load(path, {.threads = 2});
  fs::remove(path);  // mapped
  return model;
}

// Repeats itself, with changes.
std::vector<TokenId> some_text(int count, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  std::vector<TokenId> tokens;
  while (static_cast<int>(tokens.size()) < count) {
    if (tokens.size() > 10 && random() % 2 == 0) {
      const size_t from = random() % (tokens.size() - 8);
      for (size_t i = from; i < from + 8; ++i) tokens.push_back(tokens[i]);
    } else {
      tokens.push_back(static_cast<TokenId>(random() % 256));
    }
  }
  tokens.resize(static_cast<size_t>(count));
  return tokens;
}

// Allows about half of the tokens, others for each length; sometimes it ends the answer.
class SomeTokens final : public TokenMask {
 public:
  void allow(std::span<const TokenId> answer, TokenSet& allowed) override {
    EXPECT_EQ(static_cast<int>(answer.size()), calls_++) << "asked once before each token";
    for (TokenId t = 0; t < allowed.vocabulary(); ++t) {
      if ((static_cast<size_t>(t) * 31 + answer.size()) % 2 == 0) allowed.add(t);
    }
    if (answer.size() == 45) allowed.clear();
  }

 private:
  int calls_ = 0;
};

std::vector<SamplingOptions> samplings() {
  std::vector<SamplingOptions> all;
  const auto add = [&](auto&& change) {
    SamplingOptions options;
    options.max_tokens = 60;
    options.seed = all.size() + 1;
    options.temperature = 0.3f;
    options.loop_check = false;
    change(options);
    all.push_back(options);
  };
  add([](SamplingOptions& o) { o.temperature = 0; });
  add([](SamplingOptions& o) { o.temperature = 0, o.max_tokens = 7, o.logprobs = 2; });
  add([](SamplingOptions&) {});
  add([](SamplingOptions& o) { o.repetition_penalty = 1.1f, o.frequency_penalty = 0.1f, o.logprobs = 3; });
  add([](SamplingOptions& o) { o.mirostat = 2, o.mirostat_tau = 2; });
  add([](SamplingOptions& o) { o.dry_multiplier = 0.5f, o.top_k = 3; });
  add([](SamplingOptions& o) { o.mask = [] { return std::make_unique<SomeTokens>(); }; });
  add([](SamplingOptions& o) { o.temperature = 0, o.mask = [] { return std::make_unique<SomeTokens>(); }; });
  add([](SamplingOptions& o) { o.temperature = 0, o.stop = {"e", "a", "\n"}; });
  add([](SamplingOptions& o) { o.temperature = 0, o.loop_check = true, o.max_tokens = 700; });
  return all;
}

void expect_same(const Generation& with, const Generation& without) {
  ASSERT_EQ(with.tokens, without.tokens);
  EXPECT_EQ(with.text, without.text);
  EXPECT_EQ(with.reason, without.reason);
  EXPECT_EQ(with.stats.logits_hash, without.stats.logits_hash);
  EXPECT_EQ(with.stats.decode_tokens, without.stats.decode_tokens);
  ASSERT_EQ(with.logprobs.size(), without.logprobs.size());
  for (size_t i = 0; i < with.logprobs.size(); ++i) {
    EXPECT_EQ(with.logprobs[i].logprob, without.logprobs[i].logprob);
    EXPECT_EQ(with.logprobs[i].top, without.logprobs[i].top);
  }
}

std::vector<TokenId> tokens_of(const Session& session) { return {session.tokens().begin(), session.tokens().end()}; }

TEST(Speculation, AnswersOfASessionAreTheSameWithAndWithout) {
  for (const char* preset : {"tiny-llama", "tiny-lfm2", "tiny-lfm2-8b-a1b", "tiny-qwen35", "tiny-gemma3",
                             "tiny-gpt-oss", "tiny-granitehybrid"}) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset);
    int drafted = 0, accepted = 0, number = 0;
    for (const SamplingOptions& sampling : samplings()) {
      SCOPED_TRACE(number++);
      Session without(model), with(model, {.speculation = {.drafts = "ngram"}});
      std::string pieces;
      auto prompt = some_text(90, number);
      for (int turn = 0; turn < 2; ++turn) {
        const Generation expected = without.generate(std::span<const TokenId>(prompt), sampling);
        const Generation answer =
            with.generate(std::span<const TokenId>(prompt), sampling, [&](std::string_view piece) { pieces += piece; });
        expect_same(answer, expected);
        EXPECT_EQ(tokens_of(with), tokens_of(without));
        EXPECT_TRUE(
            std::equal(with.logits().begin(), with.logits().end(), without.logits().begin(), without.logits().end()));
        drafted += answer.stats.drafted_tokens;
        accepted += answer.stats.accepted_tokens;
        EXPECT_EQ(expected.stats.drafted_tokens, 0);
        prompt = tokens_of(with);
        prompt.push_back(9);
      }
    }
    EXPECT_GT(accepted, 50) << "of " << drafted;
    EXPECT_LT(accepted, drafted);
  }
}

TEST(Speculation, AModelMayDraftForAnother) {
  const auto model = tiny(1), other = tiny(2);
  for (const auto& draft : {model, other}) {
    int drafted = 0, accepted = 0;
    for (const SamplingOptions& sampling : samplings()) {
      Session without(model), with(model, {.speculation = {.drafts = "model", .max_tokens = 5, .model = draft}});
      const auto prompt = some_text(300, 5);
      const Generation answer = with.generate(std::span<const TokenId>(prompt), sampling);
      expect_same(answer, without.generate(std::span<const TokenId>(prompt), sampling));
      drafted += answer.stats.drafted_tokens;
      accepted += answer.stats.accepted_tokens;
    }
    if (draft == model) {
      EXPECT_GT(accepted, 0);
    }
    EXPECT_LE(accepted, drafted);
  }
}

TEST(Speculation, AnswersOfASchedulerAreTheSameWithAndWithout) {
  for (const char* preset : {"tiny-llama", "tiny-lfm2-8b-a1b", "tiny-qwen35moe"}) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset);
    SchedulerOptions options;
    options.session.chunk = 50;
    options.session.speculation.drafts = "ngram";
    Scheduler scheduler(model, options);
    for (const int together : {1, 2, 4, 7}) {
      std::vector<Request> requests;
      std::vector<Stream> streams;
      const auto all = samplings();
      for (int i = 0; i < together; ++i) {
        Request request{
            some_text(60 + 20 * i, together + i), all[static_cast<size_t>(i + together) % all.size()], {}, {}};
        request.answers = i == 1 ? 2 : 1;
        requests.push_back(request);
      }
      for (const Request& request : requests) streams.push_back(scheduler.submit(request));
      for (size_t i = 0; i < requests.size(); ++i) {
        for (int a = 0; a < requests[i].answers; ++a) {
          SCOPED_TRACE(testing::Message() << together << " together, request " << i << " answer " << a);
          SamplingOptions sampling = requests[i].sampling;
          sampling.seed += static_cast<uint64_t>(a);
          Session session(model);
          expect_same(streams[i].wait(a), session.generate(std::span<const TokenId>(requests[i].prompt), sampling));
        }
      }
    }
    const SchedulerStats stats = scheduler.stats();
    EXPECT_GT(stats.accepted_tokens, 20u);
    EXPECT_LT(stats.accepted_tokens, stats.drafted_tokens);
  }
}

// Real answers: 200 prompts to the default model, half of them greedy.
TEST(Speculation, TwoHundredAnswersOfTheDefaultModelAreTheSame) {
  std::shared_ptr<const Model> model;
  try {
    model = Model::load(resolve_model(std::string(kDefaultModel)), {.threads = 2});
  } catch (const Error&) {
    GTEST_SKIP() << "the default model has not been pulled";
  }
  const ChatFormat format(model->tokenizer(), *model->chat_template());
  const std::vector<std::string> verbs = {"Repeat this: ", "Explain: ", "Make a list of words in: ", "Continue: "};
  const std::vector<std::string> texts = {
      "The cat sat on the mat and the dog sat on the cat.", "int main() { int i = 0; for (i = 0; i < 3; ++i) f(i); }",
      "one two three four five six seven eight nine ten", "Rivers run to the sea, and the sea is never full.",
      "A, B, C, A, B, C, A, B"};
  Session without(model), with(model, {.speculation = {.drafts = "ngram"}});
  int drafted = 0, accepted = 0;
  for (int i = 0; i < 200; ++i) {
    SCOPED_TRACE(i);
    std::string text = verbs[static_cast<size_t>(i) % verbs.size()] + texts[static_cast<size_t>(i / 4) % texts.size()];
    text += " (" + std::to_string(i) + ")";
    const auto prompt = format.spans({{"user", text}});
    SamplingOptions sampling;
    sampling.max_tokens = 16;
    sampling.seed = static_cast<uint64_t>(i);
    sampling.temperature = i % 2 == 0 ? 0.0f : 0.7f;
    const Generation answer = with.generate(std::span<const LabelledTokens>(prompt), sampling);
    expect_same(answer, without.generate(std::span<const LabelledTokens>(prompt), sampling));
    drafted += answer.stats.drafted_tokens;
    accepted += answer.stats.accepted_tokens;
  }
  EXPECT_GT(accepted, 200);
  EXPECT_LT(accepted, drafted);
}

TEST(Speculation, ACallbackThatThrowsLeavesTheSessionAsFed) {
  const auto model = tiny();
  SamplingOptions sampling = samplings()[0];
  for (const int after : {1, 5, 20}) {
    std::vector<TokenId> held[2];
    for (const bool drafts : {false, true}) {
      Session session(model, {.speculation = {.drafts = drafts ? "ngram" : "off"}});
      int pieces = 0;
      EXPECT_THROW((void)session.generate(std::span<const TokenId>(some_text(50, 3)), sampling,
                                          [&](std::string_view) {
                                            if (++pieces == after) throw std::runtime_error("gone");
                                          }),
                   std::runtime_error);
      held[drafts] = tokens_of(session);
    }
    EXPECT_EQ(held[1], held[0]);
  }
}

TEST(Speculation, WrongOptionsAreRefused) {
  const auto model = tiny(), larger = tiny(1, 300);
  const auto made = [&](const Speculation& speculation) {
    return refusal([&] { Session(model, {.speculation = speculation}); });
  };
  EXPECT_NE(made({.drafts = "guess"}).find("there are no drafts 'guess'"), std::string::npos);
  EXPECT_NE(made({.drafts = "model"}).find("need a draft model"), std::string::npos);
  EXPECT_NE(made({.drafts = "auto", .model = larger}).find("another vocabulary: 300 tokens, not 288"),
            std::string::npos);
  EXPECT_NE(made({.drafts = "ngram", .max_tokens = 0}), "");
  EXPECT_EQ(made({.drafts = "off", .max_tokens = 0}), "");
}

// The account of `auto`, with steps that take what they are said to: a plain one 10 ms, a row more `row` of that.
struct Simulation {
  double with = 0, plain = 0;  // seconds
  int drafted = 0;
  double gain() const { return plain / with; }
};

Simulation simulate(Speculator& speculator, double row, double right, int tokens, int answers = 1) {
  std::mt19937 random(3);
  Simulation all;
  int length = 4;
  for (int done = 0; done < tokens;) {
    const int most = std::min(speculator.most(answers), length);
    StepOutcome outcome{.answers = answers, .drafted = most * answers};
    for (int a = 0; a < answers; ++a) {
      int accepted = 0;
      while (accepted < most && static_cast<double>(random() % 1000) < right * 1000) ++accepted;
      length = accepted == most ? std::max(length, 2 * most) : accepted + 1;
      outcome.accepted += accepted;
    }
    outcome.seconds = 0.01 * (1 + row * outcome.drafted);
    speculator.judged(outcome);
    all.with += outcome.seconds;
    all.plain += 0.01 * (answers + outcome.accepted) / answers;
    all.drafted += outcome.drafted;
    done += answers + outcome.accepted;
  }
  return all;
}

TEST(Speculation, WhatAutoMayLoseIsBounded) {
  const auto model = tiny();
  const auto stepper = std::make_shared<Stepper>(loaded(model), SessionOptions{.speculation = {.drafts = "auto"}});
  for (const double row : {0.05, 0.3, 0.9}) {
    for (const double right : {0.0, 0.1, 0.3}) {
      Speculator speculator(*stepper);
      EXPECT_GT(simulate(speculator, row, right, 300).gain(), 0.98) << row << " " << right;
    }
  }
  Speculator speculator(*stepper);
  EXPECT_GT(simulate(speculator, 0.2, 0.95, 1000).gain(), 1.8);
  EXPECT_GT(simulate(speculator, 0.2, 0.0, 500).gain(), 0.96) << "what was gained may be lost, up to a few steps";
  EXPECT_GT(simulate(speculator, 0.2, 0.95, 1000).gain(), 1.8) << "and it is tried again";
  EXPECT_GT(simulate(speculator, 0.2, 0.95, 1000, 3).gain(), 1.0);
  EXPECT_EQ(speculator.most(5), 0) << "with many answers a step has rows enough";
}

}  // namespace
}  // namespace fieldprint
