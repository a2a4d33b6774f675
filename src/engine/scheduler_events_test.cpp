// What a scheduler tells while requests are under way: tokens, progress, influence, streams, whether it still moves.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"
#include "support/scheduled.h"

namespace fieldprint {
namespace {

TEST(SchedulerEvents, EachTokenIsToldAfterItsText) {
  const auto model = tiny();
  Scheduler scheduler(model);
  Request request{some_tokens(20, 1), sampled(12, 3), {}, {}};
  request.sampling.logprobs = 2;
  request.answers = 2;
  std::vector<TokenId> told[2];
  std::string texts[2];
  request.on_text = [&](int answer, std::string_view piece) { texts[answer] += piece; };
  request.on_token = [&](int answer, const Generation& so_far) {
    told[answer].push_back(so_far.tokens.back());
    EXPECT_EQ(so_far.tokens, told[answer]);
    EXPECT_EQ(so_far.logprobs.size(), told[answer].size());
    EXPECT_EQ(so_far.text, texts[answer]);
  };
  const Stream stream = scheduler.submit(request);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(stream.wait(i).tokens, told[i]);
  EXPECT_EQ(told[0].size(), 12u);

  request.answers = 1;
  request.on_token = [](int, const Generation& so_far) {
    if (so_far.tokens.size() == 3) throw std::runtime_error("nobody listens");
  };
  EXPECT_THROW((void)scheduler.submit(request).wait(), std::runtime_error);
}

TEST(SchedulerEvents, ProgressOfAPromptIsToldStepByStep) {
  const auto model = tiny();
  SchedulerOptions options;
  options.session.chunk = 40;
  Scheduler scheduler(model, options);
  const auto progress_of = [&](std::vector<TokenId> prompt) {
    std::vector<std::vector<int>> told;
    Request request{std::move(prompt), sampled(2, 1), {}, {}};
    request.on_progress = [&](int done, int total, int reused) { told.push_back({done, total, reused}); };
    (void)scheduler.submit(request).wait();
    return told;
  };
  using Told = std::vector<std::vector<int>>;
  EXPECT_EQ(progress_of(some_tokens(100, 1)), (Told{{0, 100, 0}, {40, 100, 0}, {80, 100, 0}, {100, 100, 0}}));
  auto longer = some_tokens(100, 1);
  longer.insert(longer.end(), 10, 7);
  EXPECT_EQ(progress_of(longer), (Told{{100, 110, 100}, {110, 110, 100}}));
  Request broken{some_tokens(90, 5), sampled(2, 1), {}, {}};
  broken.on_progress = [](int done, int, int) {
    if (done == 40) throw std::runtime_error("nobody listens");
  };
  EXPECT_THROW((void)scheduler.submit(broken).wait(), std::runtime_error);
}

TEST(SchedulerEvents, ALongPromptIsCancelledAfterTheStepThatItIsIn) {
  const auto model = tiny();
  SchedulerOptions options;
  options.session.chunk = 16;
  Scheduler scheduler(model, options);
  std::optional<Stream> stream;
  std::promise<void> submitted;
  int last = -1;
  Request request{some_tokens(2000, 1), sampled(5, 1), {}, {}};
  request.on_progress = [&, held = submitted.get_future().share()](int done, int, int) {
    held.wait();
    last = done;
    if (done == 16) stream->cancel();
  };
  stream = scheduler.submit(request);
  submitted.set_value();
  const Generation cut = stream->wait();
  EXPECT_EQ(cut.reason, FinishReason::kCancelled);
  EXPECT_EQ(last, 16);
  EXPECT_EQ(scheduler.stats().prefill_tokens, 16u);
}

std::vector<LabelledTokens> conversation(int words = 33) {
  return {{{SpanKind::kSystem, "", 0}, some_tokens(41, 1)},
          {{SpanKind::kRetrieved, "report.txt", 0}, some_tokens(70, 2)},
          {{SpanKind::kUser, "", 0}, some_tokens(words, 4)}};
}

TEST(SchedulerEvents, InfluenceIsThatOfASession) {
  const auto model = tiny();
  Scheduler scheduler(model);
  const auto compare = [&](Request request, int reused) {
    request.influence = true;
    std::vector<std::vector<float>> rows;  // as told
    request.on_token = [&](int answer, const Generation& so_far) {
      if (answer == 0) rows.push_back(so_far.influence.back());
    };
    const Stream stream = scheduler.submit(request);
    for (int i = 0; i < request.answers; ++i) {
      const Generation answer = stream.wait(i);
      Session session(model, {.influence = true});
      SamplingOptions sampling = request.sampling;
      sampling.seed += static_cast<uint64_t>(i);
      const Generation alone = request.spans.empty()
                                   ? session.generate(std::span<const TokenId>(request.prompt), sampling)
                                   : session.generate(std::span<const LabelledTokens>(request.spans), sampling);
      EXPECT_EQ(answer.tokens, alone.tokens);
      ASSERT_EQ(answer.influence.size(), answer.tokens.size());
      EXPECT_EQ(answer.influence, alone.influence);
      if (i > 0) continue;
      EXPECT_EQ(answer.stats.reused_tokens, reused);
      ASSERT_EQ(rows.size(), alone.influence.size());
      EXPECT_EQ(rows.front().size() + 1, alone.influence.front().size());
      for (size_t t = 1; t < rows.size(); ++t) EXPECT_EQ(rows[t], alone.influence[t]);
    }
  };
  Request request{{}, sampled(6, 3), {}, {}};
  request.spans = conversation();
  compare(request, 0);
  request.spans = conversation(50);  // what it begins with was computed with influence
  request.answers = 3;
  compare(request, 144);
  Request plain{{}, sampled(6, 3), {}, {}};
  plain.spans = conversation(60);
  EXPECT_TRUE(scheduler.submit(plain).wait().influence.empty());
  request.spans = conversation(70);  // and this without
  compare(request, 171);
  Request tokens{{}, sampled(6, 3), {}, {}};
  for (const auto& span : conversation(80))
    tokens.prompt.insert(tokens.prompt.end(), span.tokens.begin(), span.tokens.end());
  compare(tokens, 0);  // its spans are not those of the others
  Request one{some_tokens(50, 9), sampled(1, 1), {}, {}};
  one.influence = true;
  EXPECT_EQ(scheduler.submit(one).wait().influence.front().size(), 2u) << "nothing of the answer was ever fed";
}

TEST(SchedulerEvents, StreamsUnderWayAndAStuckLoopAreSeen) {
  const auto model = tiny();
  Scheduler scheduler(model);
  EXPECT_TRUE(scheduler.streams().empty());
  EXPECT_EQ(scheduler.stats().last_step, 0);
  std::promise<void> reached, opened;
  Request request{some_tokens(20, 1), sampled(12, 3), {}, {}};
  request.on_token = [&](int, const Generation& so_far) {
    if (so_far.tokens.size() != 4) return;
    reached.set_value();
    opened.get_future().wait();
  };
  const Stream stream = scheduler.submit(request);
  reached.get_future().wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto streams = scheduler.streams();
  ASSERT_EQ(streams.size(), 1u);
  EXPECT_EQ(streams[0].id, stream.id());
  EXPECT_EQ(streams[0].prompt_tokens, 20);
  EXPECT_EQ(streams[0].done_tokens, 20);
  EXPECT_EQ(streams[0].generated_tokens, 3);
  EXPECT_GT(streams[0].seconds, 0.02);
  EXPECT_GT(scheduler.stats().last_step, 0.02);
  opened.set_value();
  (void)stream.wait();
  const Stream next = scheduler.submit({{1}, sampled(1, 1), {}, {}});
  EXPECT_EQ(next.id(), stream.id() + 1);
  (void)next.wait();
}

}  // namespace
}  // namespace fieldprint
