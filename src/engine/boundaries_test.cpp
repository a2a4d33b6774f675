// Commit boundaries: what they hold, that nothing is dropped, and what the scheduler's thread does not do for them.
#include "fieldprint/boundaries.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

#include "base/sha256.h"
#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"
#include "support/labelled.h"

namespace fieldprint {
namespace {

using Of = std::pair<uint64_t, int>;  // stream, answer

// Takes boundaries on a thread of its own while it lives.
class Consumer {
 public:
  explicit Consumer(int places = 64) : ring(std::make_shared<BoundaryRing>(places)) {
    thread_ = std::thread([this] {
      Boundary next;
      while (ring->take(next)) {
        const std::lock_guard lock(mutex_);
        taken_.push_back(next);
      }
    });
  }
  ~Consumer() { join(); }
  // After the scheduler has ended.
  std::map<Of, std::vector<Boundary>> join() {
    if (thread_.joinable()) thread_.join();
    std::map<Of, std::vector<Boundary>> all;
    for (const Boundary& b : taken_) all[{b.stream, b.answer}].push_back(b);
    return all;
  }

  const std::shared_ptr<BoundaryRing> ring;

 private:
  std::mutex mutex_;
  std::vector<Boundary> taken_;
  std::thread thread_;
};

Request committed(const Model& model, const std::vector<LabelledTokens>& spans, int max_tokens, uint64_t seed) {
  Request request;
  request.spans = spans;
  request.sampling = unending(model, max_tokens, seed);
  request.boundaries = true;
  request.session = "session " + std::to_string(seed);
  return request;
}

// The boundaries of an answer, put together again: the positions follow each other and the tokens are all there.
std::vector<TokenId> joined(const std::vector<Boundary>& boundaries) {
  std::vector<TokenId> all;
  uint64_t number = 0;
  for (const Boundary& b : boundaries) {
    EXPECT_EQ(b.number, ++number);
    EXPECT_EQ(b.tokens.size(), static_cast<size_t>(b.end - b.begin));
    if (b.cause == BoundaryCause::kRollback || b.cause == BoundaryCause::kAnchorChange)
      all.resize(static_cast<size_t>(b.end));
    EXPECT_EQ(b.begin, static_cast<int>(all.size()));
    all.insert(all.end(), b.tokens.begin(), b.tokens.end());
    int at = b.begin;
    for (const PageRange& page : b.pages) {
      EXPECT_LE(page.begin, at);
      EXPECT_GT(page.end, at);
      at = page.end;
      EXPECT_LT(static_cast<size_t>(page.span), b.context->labels.size());
    }
    EXPECT_TRUE(b.pages.empty() || at == b.end);
  }
  if (!boundaries.empty() && boundaries.back().sampled != kNoToken) all.push_back(boundaries.back().sampled);
  return all;
}

TEST(Boundaries, ComeAtTheEndEvery256TokensAndWhenAsked) {
  const auto model = tiny();
  Consumer consumer;
  std::vector<Generation> got;
  std::vector<uint64_t> told;
  {
    SchedulerOptions options;
    options.boundaries = consumer.ring;
    Scheduler scheduler(model, options);
    Request request = committed(*model, conversation(), 600, 3);
    std::optional<Stream> stream;
    std::promise<void> submitted;
    request.on_token = [&, held = submitted.get_future().share()](int answer, const Generation& so_far) {
      held.wait();
      if (answer == 0) told.push_back(so_far.boundary);
      if (answer == 0 && so_far.tokens.size() == 10) stream->commit(0);
    };
    request.answers = 2;
    stream = scheduler.submit(request);
    submitted.set_value();
    for (int i = 0; i < 2; ++i) got.push_back(stream->wait(i));
    Request silent = committed(*model, conversation(1), 5, 1);
    silent.boundaries = false;
    (void)scheduler.submit(silent).wait();
  }
  auto all = consumer.join();
  ASSERT_EQ(all.size(), 2u);
  const auto causes = [&](int answer) {
    std::string names;
    for (const Boundary& b : all[{1, answer}]) names += std::string(boundary_cause_name(b.cause)) + " ";
    return names;
  };
  EXPECT_EQ(causes(0), "call tokens tokens turn ");
  EXPECT_EQ(causes(1), "tokens tokens turn ");
  std::vector<TokenId> prompt;
  for (const auto& span : conversation()) prompt.insert(prompt.end(), span.tokens.begin(), span.tokens.end());
  for (int answer = 0; answer < 2; ++answer) {
    auto expected = prompt;
    const auto& tokens = got[static_cast<size_t>(answer)].tokens;
    expected.insert(expected.end(), tokens.begin(), tokens.end());
    EXPECT_EQ(joined(all[{1, answer}]), expected);
  }
  const Boundary& call = all[{1, 0}][0];
  EXPECT_EQ(call.begin, 0);
  EXPECT_EQ(call.end, static_cast<int>(prompt.size()) + 9) << "the tenth token is sampled, not fed";
  EXPECT_EQ(call.sampled, got[0].tokens[9]);
  EXPECT_EQ(call.context->session, "session 3");
  ASSERT_EQ(call.context->labels.size(), 5u);
  EXPECT_EQ(call.context->labels[1].source, "memory:1");
  EXPECT_EQ(call.pages[1].span, 1);
  ASSERT_EQ(told.size(), 600u);
  EXPECT_EQ(told[9], 1u);
  EXPECT_EQ(told[10], 2u);
  EXPECT_EQ(told[10 + 256], 3u);
  EXPECT_EQ(got[0].boundary, 4u);
}

TEST(Boundaries, HoldTheStateThatTheLogitsAreMadeFromWithTheSameBitsHoweverItIsComputed) {
  for (const char* preset : {"tiny-llama", "tiny-lfm2moe", "tiny-granitehybrid", "tiny-gemma3"}) {
    SCOPED_TRACE(preset);
    std::vector<std::vector<float>> expected;
    for (const char* isa : {"scalar", "avx2"}) {
      std::shared_ptr<const Model> model;
      try {
        model = synthetic(preset, {.threads = isa[0] == 's' ? 1 : 2, .isa = isa});
      } catch (const Error&) {
        continue;  // not of this machine
      }
      for (const int page : {64, 5}) {
        for (const char* drafts : {"off", "ngram"}) {
          Consumer consumer;
          {
            SchedulerOptions options;
            options.session.page_size = page;
            options.session.chunk = page == 5 ? 7 : 0;
            options.session.speculation.drafts = drafts;
            options.boundaries = consumer.ring;
            Scheduler scheduler(model, options);
            std::vector<Stream> streams;
            for (int i = 0; i < (page == 5 ? 3 : 1); ++i) {
              Request request = committed(*model, conversation(), 24, static_cast<uint64_t>(i));
              std::shared_ptr<std::optional<Stream>> self = std::make_shared<std::optional<Stream>>();
              auto ready = std::make_shared<std::promise<void>>();
              request.on_token = [self, held = ready->get_future().share()](int, const Generation& so_far) {
                held.wait();
                if (so_far.tokens.size() % 8 == 3) (*self)->commit();
              };
              *self = scheduler.submit(request);
              ready->set_value();
              streams.push_back(**self);
            }
            for (const Stream& one : streams) (void)one.wait();
          }
          auto all = consumer.join();
          std::vector<std::vector<float>> hidden;
          for (const Boundary& b : all[{1, 0}]) hidden.push_back(b.hidden);
          ASSERT_EQ(hidden.size(), 4u);
          EXPECT_EQ(hidden[0].size(), static_cast<size_t>(model->info().width));
          EXPECT_NE(hidden[0], hidden[1]);
          if (expected.empty()) expected = hidden;
          EXPECT_EQ(hidden, expected) << isa << " " << page << " " << drafts;
        }
      }
    }
  }
}

// W u = logits: the reference executor's u, times the output matrix in double, gives its logits.
TEST(Boundaries, TheReferenceExecutorHasTheStateToo) {
  const auto model = synthetic("tiny-llama");
  std::vector<float> states[2];
  for (const char* executor : {"run", "reference"}) {
    Consumer consumer;
    {
      SchedulerOptions options;
      options.session.executor = executor;
      options.boundaries = consumer.ring;
      Scheduler scheduler(model, options);
      Request request = committed(*model, conversation(), 1, 1);
      request.sampling.temperature = 0;
      (void)scheduler.submit(request).wait();
    }
    states[executor[1] == 'e'] = consumer.join()[{1, 0}].at(0).hidden;
  }
  ASSERT_EQ(states[0].size(), states[1].size());
  ASSERT_FALSE(states[0].empty());
  double dot = 0, a = 0, b = 0;
  for (size_t i = 0; i < states[0].size(); ++i) {
    dot += double{states[0][i]} * states[1][i];
    a += double{states[0][i]} * states[0][i];
    b += double{states[1][i]} * states[1][i];
  }
  EXPECT_GT(dot / std::sqrt(a * b), 0.999);
}

TEST(Boundaries, ARollbackIsOneAndWhatFollowsBeginsWhereItStands) {
  const auto model = synthetic("tiny-lfm2moe");
  Consumer consumer;
  Generation got;
  {
    SchedulerOptions options;
    options.boundaries = consumer.ring;
    Scheduler scheduler(model, options);
    Request request = committed(*model, conversation(), 300, 3);
    bool revoked = false;
    request.on_token = [&](int, const Generation& so_far) {
      if (so_far.tokens.size() == 290 && !std::exchange(revoked, true))
        scheduler.revoke(std::vector<std::string>{"memory:1"});
    };
    got = scheduler.submit(request).wait();
  }
  const auto boundaries = consumer.join()[{1, 0}];
  std::string causes;
  for (const Boundary& b : boundaries) causes += std::string(boundary_cause_name(b.cause)) + " ";
  EXPECT_EQ(causes, "tokens rollback tokens turn ");
  EXPECT_EQ(boundaries[1].rollback.source, "memory:1");
  EXPECT_EQ(boundaries[1].rollback.tokens, 290);
  EXPECT_EQ(boundaries[1].end, 41);
  EXPECT_EQ(boundaries[2].context->labels.size(), 4u) << "without it";
  std::vector<TokenId> expected;
  for (const auto& span : without(conversation(), "memory:1"))
    expected.insert(expected.end(), span.tokens.begin(), span.tokens.end());
  expected.insert(expected.end(), got.tokens.begin(), got.tokens.end());
  EXPECT_EQ(joined(boundaries), expected);
}

// What an answer had said before it was withdrawn for good is withdrawn from the record too.
TEST(Boundaries, AnAnswerOfWhichNothingIsLeftEndsWithNothing) {
  const auto model = tiny();
  Consumer consumer;
  {
    SchedulerOptions options;
    options.boundaries = consumer.ring;
    Scheduler scheduler(model, options);
    Request request = committed(*model, {recalled(1, 40)}, 300, 3);
    request.on_token = [&](int, const Generation& so_far) {
      if (so_far.tokens.size() == 270) scheduler.revoke(std::vector<std::string>{"memory:1"});
    };
    EXPECT_THROW((void)scheduler.submit(request).wait(), Error);
  }
  const auto boundaries = consumer.join()[{1, 0}];
  ASSERT_EQ(boundaries.size(), 3u);
  EXPECT_EQ(boundaries[0].end, 40 + 255);
  EXPECT_EQ(boundaries[1].cause, BoundaryCause::kRollback);
  EXPECT_EQ(boundaries[1].end, 0);
  EXPECT_EQ(boundaries[2].cause, BoundaryCause::kEnd);
  EXPECT_EQ(boundaries[2].end, 0);
  EXPECT_TRUE(boundaries[2].tokens.empty());
  EXPECT_TRUE(boundaries[2].hidden.empty());
  EXPECT_EQ(boundaries[2].sampled, kNoToken);
}

// Nobody takes: an answer goes on for 512 tokens beyond its first boundary that found no place. Others go on.
TEST(Boundaries, AFullRingStallsAnswersAndDropsNothing) {
  const auto model = tiny();
  const auto ring = std::make_shared<BoundaryRing>(1);
  std::vector<Boundary> taken;
  std::atomic<int> given{0};
  Generation got, free;
  std::thread consumer;
  {
    SchedulerOptions options;
    options.boundaries = ring;
    Scheduler scheduler(model, options);
    Request request = committed(*model, conversation(), 1500, 3);
    request.on_token = [&](int, const Generation&) { ++given; };
    const Stream stream = scheduler.submit(request);
    // The boundary at 256 finds the place, that at 512 none: 512 more.
    while (given < 512 + kUncommittedTokens) std::this_thread::yield();
    Request other = committed(*model, conversation(1), 40, 1);
    Request held = committed(*model, conversation(2), 4, 2);
    other.boundaries = false;
    const Stream later = scheduler.submit(held);
    free = scheduler.submit(other).wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(given, 512 + kUncommittedTokens);
    EXPECT_FALSE(later.done()) << "nobody begins who would add to it";
    EXPECT_EQ(free.tokens.size(), 40u);
    consumer = std::thread([&] {
      Boundary next;
      while (ring->take(next)) taken.push_back(next);
    });
    got = stream.wait();
    EXPECT_EQ(later.wait().tokens.size(), 4u);
    scheduler.submit(committed(*model, conversation(3), 30, 3)).cancel();
  }
  consumer.join();
  std::map<uint64_t, std::vector<Boundary>> all;
  for (const Boundary& b : taken) all[b.stream].push_back(b);
  EXPECT_EQ(all[1].size(), 6u) << "five of 256 tokens, and the end";
  std::vector<TokenId> expected;
  for (const auto& span : conversation()) expected.insert(expected.end(), span.tokens.begin(), span.tokens.end());
  expected.insert(expected.end(), got.tokens.begin(), got.tokens.end());
  EXPECT_EQ(joined(all[1]), expected);
  EXPECT_EQ(all[2].size(), 1u);
}

TEST(Boundaries, WhoTakesNoMoreEndsThem) {
  const auto model = tiny();
  const auto ring = std::make_shared<BoundaryRing>(1);
  SchedulerOptions options;
  options.boundaries = ring;
  Scheduler scheduler(model, options);
  const Stream stream = scheduler.submit(committed(*model, conversation(), 3000, 1));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ring->abandon();
  EXPECT_THROW((void)stream.wait(), Error);
  Boundary next;
  while (ring->try_take(next)) {
  }
  EXPECT_FALSE(ring->take(next));
  Scheduler without_ring(model);
  EXPECT_THROW(without_ring.submit(committed(*model, conversation(), 3, 1)), Error);
  EXPECT_THROW(BoundaryRing(0), Error);
}

// Everything on, looked at from the scheduler's thread itself.
TEST(Boundaries, TheSchedulersThreadHashesNothing) {
  const auto model = tiny();
  const auto folder = std::filesystem::temp_directory_path() / ("fieldprint-no-hash-" + std::to_string(::getpid()));
  Consumer consumer;
  uint64_t hashes = 0;
  int looked = 0;
  const auto look = [&] {  // on the scheduler's thread
    hashes += sha256_calls();
    ++looked;
  };
  {
    SchedulerOptions options;
    options.boundaries = consumer.ring;
    options.cache_directory = folder.string();
    Scheduler scheduler(model, options);
    const std::vector<LabelledTokens> anchored = {{{SpanKind::kAnchor, "memory:9", 0}, some_tokens(50, 9)}};
    const AnchorInfo anchor = scheduler.compile_anchor(anchored);
    scheduler.pin_anchor(anchor.id, anchor.kv_digest);
    for (int i = 0; i < 3; ++i) {
      auto spans = anchored;
      for (const auto& span : conversation(i)) spans.push_back(span);
      Request request = committed(*model, spans, 300, static_cast<uint64_t>(i));
      bool revoked = false;
      request.on_token = [&](int, const Generation& so_far) {
        if (i == 1 && so_far.tokens.size() == 30 && !std::exchange(revoked, true))
          scheduler.revoke(std::vector<std::string>{"memory:2"});
        look();
      };
      std::promise<void> ended;
      request.on_done = [&] {
        look();
        ended.set_value();
      };
      (void)scheduler.submit(request).wait();
      ended.get_future().wait();
    }
  }
  EXPECT_EQ(hashes, 0u);
  EXPECT_EQ(looked, 3 * 301 + 30);
  EXPECT_GT(sha256_calls(), 0u) << "this thread has asked for digests";
  std::filesystem::remove_all(folder);
}

TEST(Boundaries, ARingHandsOverInOrderBetweenTwoThreads) {
  constexpr int kCount = 200000;
  BoundaryRing ring(7);
  std::thread producer([&] {
    for (int i = 0; i < kCount;) {
      Boundary* place = ring.place();
      if (place == nullptr) {
        std::this_thread::yield();
        continue;
      }
      place->number = static_cast<uint64_t>(++i);
      place->tokens.assign(static_cast<size_t>(i % 5), i);
      ring.publish();
    }
    ring.close();
  });
  Boundary next;
  uint64_t expected = 0;
  int64_t wrong = 0;
  while (ring.take(next)) {
    ++expected;
    wrong += next.number != expected || next.tokens.size() != expected % 5;
  }
  producer.join();
  EXPECT_EQ(expected, static_cast<uint64_t>(kCount));
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace fieldprint
