#include "fieldprint/scheduler.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "fieldprint/error.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

std::vector<TokenId> some_tokens(int count, int seed) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + seed * 31 + i / 7) % 256);
  return tokens;
}

std::shared_ptr<const Model> tiny(const TinyModelShape& shape = {.type = "Q8_0"}) {
  const TinyModelFile file(shape);
  return Model::load(file.path(), {.threads = 2});  // mapped: the file may go
}

SamplingOptions sampled(int max_tokens, uint64_t seed = 0) {
  SamplingOptions options;
  options.max_tokens = max_tokens;
  options.seed = seed;
  options.temperature = seed == 0 ? 0.0f : 2.0f;
  return options;
}

void synth_file(const std::string& file, const char* preset) {
  SynthOptions options;
  options.preset = preset;
  options.mix = "Q4_K";
  synth(file, options);
}

// Only one token may come: an answer without an end.
SamplingOptions endless(const Model& model, int max_tokens = -1) {
  SamplingOptions options = sampled(max_tokens);
  options.loop_check = false;
  for (TokenId t = 0; t < model.info().vocabulary; ++t) {
    if (t != 70) options.logit_bias.emplace_back(t, -1e9f);
  }
  return options;
}

// A stream that holds the scheduler at its first piece of text until open(): what is submitted before that is
// scheduled together.
class Gate {
 public:
  explicit Gate(Scheduler& scheduler, const Model& model)
      : stream_(scheduler.submit({{1},
                                  endless(model, 1),
                                  [this](int, std::string_view) {
                                    reached_.set_value();
                                    opened_.get_future().wait();
                                  },
                                  {}})) {
    reached_.get_future().wait();
  }
  ~Gate() { (void)stream_.wait(); }
  void open() { opened_.set_value(); }

 private:
  std::promise<void> reached_, opened_;
  Stream stream_;
};

void expect_same(const Generation& together, const Generation& alone) {
  EXPECT_EQ(together.tokens, alone.tokens);
  EXPECT_EQ(together.text, alone.text);
  EXPECT_EQ(together.reason, alone.reason);
  EXPECT_EQ(together.stats.logits_hash, alone.stats.logits_hash);
  EXPECT_EQ(together.stats.decode_tokens, alone.stats.decode_tokens);
}

TEST(Scheduler, StreamsOfAnyLengthGetTheBitsThatTheyGetAlone) {
  const auto folder = std::filesystem::temp_directory_path() / ("fieldprint-streams-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string file = (folder / "model.gguf").string();
  for (const char* preset : {"tiny-lfm2-8b-a1b", "tiny-llama"}) {
    SCOPED_TRACE(preset);
    synth_file(file, preset);
    const auto model = Model::load(file, {.threads = 2});
    std::vector<Request> requests;
    for (const auto& [prompt, answer] : {std::pair(1, 40), {150, 3}, {7, 1}, {64, 20}, {33, 12}, {2, 30}, {90, 5}}) {
      const int i = static_cast<int>(requests.size());
      requests.push_back({some_tokens(prompt, i), sampled(answer, static_cast<uint64_t>(i)), {}, {}});
    }
    SchedulerOptions options;
    options.session.chunk = 48;
    options.streams = 4;
    options.chunk_with_decode = 11;
    Scheduler scheduler(model, options);
    std::vector<Stream> streams;
    std::vector<std::string> texts(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      Request request = requests[i];
      request.on_text = [&text = texts[i]](int, std::string_view piece) { text += piece; };
      streams.push_back(scheduler.submit(std::move(request)));
    }
    for (size_t i = 0; i < requests.size(); ++i) {
      SCOPED_TRACE(i);
      const Generation together = streams[i].wait();
      Session session(model);
      expect_same(together, session.generate(requests[i].prompt, requests[i].sampling));
      EXPECT_EQ(texts[i], together.text);
    }
  }
  std::filesystem::remove_all(folder);
}

TEST(Scheduler, PromptsThatBeginAlikeShareTheirBeginning) {
  const auto folder = std::filesystem::temp_directory_path() / ("fieldprint-shared-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string file = (folder / "model.gguf").string();
  synth_file(file, "tiny-lfm2-8b-a1b");
  const auto model = Model::load(file, {.threads = 2});
  SchedulerOptions options;
  options.session.chunk = 20;
  Scheduler scheduler(model, options);
  Gate gate(scheduler, *model);
  std::vector<Request> requests;
  for (int i = 0; i < 4; ++i) {
    std::vector<TokenId> prompt = some_tokens(70, 1);
    for (int more = 0; more < 5 * i; ++more) prompt.push_back(static_cast<TokenId>(10 * i + more));
    requests.push_back({prompt, sampled(6, 3), {}, {}});
  }
  std::vector<Stream> streams;
  for (const Request& request : requests) streams.push_back(scheduler.submit(request));
  gate.open();
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    Session session(model);
    expect_same(streams[i].wait(), session.generate(requests[i].prompt, requests[i].sampling));
    EXPECT_EQ(streams[i].wait().stats.reused_tokens, i == 0 ? 0 : 70);
  }
  // The next turn of a conversation that has ended.
  std::vector<TokenId> turn = requests[3].prompt;
  const auto answer = streams[3].wait().tokens;
  turn.insert(turn.end(), answer.begin(), answer.end());
  turn.push_back(5);
  const Generation second = scheduler.submit({turn, sampled(6), {}, {}}).wait();
  Session session(model);
  expect_same(second, session.generate(turn, sampled(6)));
  EXPECT_GE(second.stats.reused_tokens, 85);
  std::filesystem::remove_all(folder);
}

TEST(Scheduler, ALongPromptHoldsUpNeitherAnswersNorShortPrompts) {
  const auto model = tiny();
  SchedulerOptions options;
  options.session.chunk = 32;
  options.chunk_with_decode = 8;
  std::vector<std::string> order;  // of the scheduler's thread
  SchedulerStats stats;
  {
    Scheduler scheduler(model, options);
    const auto request = [&](const std::string& name, int prompt, int answer) {
      return Request{
          some_tokens(prompt, static_cast<int>(order.size()) + prompt), endless(*model, answer), {}, [&order, name] {
            order.push_back(name);
          }};
    };
    Gate gate(scheduler, *model);
    std::vector<Stream> streams;
    streams.push_back(scheduler.submit(request("long", 2000, 1)));
    streams.push_back(scheduler.submit(request("short", 20, 100)));
    streams.push_back(scheduler.submit(request("middle", 200, 20)));
    gate.open();
    for (const Stream& stream : streams) (void)stream.wait();
    stats = scheduler.stats();
  }
  EXPECT_EQ(order, (std::vector<std::string>{"middle", "short", "long"}));
  EXPECT_EQ(stats.decode_tokens, 118u);
  EXPECT_EQ(stats.prefill_tokens, 2221u);
}

TEST(Scheduler, MoreStreamsThanTokensInAChunkAllGetThrough) {
  const auto model = tiny();
  SchedulerOptions options;
  options.session.chunk = 2;
  options.chunk_with_decode = 1;
  options.streams = 8;
  Scheduler scheduler(model, options);
  std::vector<Stream> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(scheduler.submit({some_tokens(5 + i, i), sampled(4), {}, {}}));
  for (int i = 0; i < 20; ++i) {
    Session session(model);
    expect_same(streams[static_cast<size_t>(i)].wait(), session.generate(some_tokens(5 + i, i), sampled(4)));
  }
}

TEST(Scheduler, CancelEndsOneStreamWhereverItStands) {
  const auto model = tiny();
  SchedulerOptions options;
  options.streams = 2;
  Scheduler scheduler(model, options);
  Gate gate(scheduler, *model);
  std::optional<Stream> endless_one;
  int pieces = 0;
  endless_one = scheduler.submit({some_tokens(9, 1),
                                  endless(*model),
                                  [&](int, std::string_view) {
                                    if (++pieces == 5) endless_one->cancel();
                                  },
                                  {}});
  const Stream other = scheduler.submit({some_tokens(40, 2), sampled(30, 4), {}, {}});
  Stream never = scheduler.submit({some_tokens(3, 3), sampled(5), {}, {}});
  never.cancel();  // still waiting
  gate.open();
  const Generation cut = endless_one->wait();
  EXPECT_EQ(cut.reason, FinishReason::kCancelled);
  EXPECT_EQ(cut.tokens.size(), 5u);
  EXPECT_EQ(never.wait().reason, FinishReason::kCancelled);
  EXPECT_TRUE(never.wait().tokens.empty());
  Session session(model);
  expect_same(other.wait(), session.generate(some_tokens(40, 2), sampled(30, 4)));
}

TEST(Scheduler, OneStreamsFailureIsItsOwn) {
  const auto model = tiny({.type = "Q8_0", .context = 64});
  std::atomic<bool> told = false;
  Scheduler scheduler(model);
  const auto refused = [&](Request request, ErrorKind kind) {
    try {
      scheduler.submit(std::move(request));
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind) << e.what();
    }
  };
  const Stream good = scheduler.submit({some_tokens(10, 1), sampled(40, 7), {}, {}});
  refused({{}, {}, {}, {}}, ErrorKind::kBadInput);
  refused({{1, 288}, {}, {}, {}}, ErrorKind::kBadInput);
  refused({{-1}, {}, {}, {}}, ErrorKind::kBadInput);
  refused({some_tokens(65, 1), {}, {}, {}}, ErrorKind::kLimit);
  SamplingOptions wrong;
  wrong.top_p = 2;
  refused({{1}, wrong, {}, {}}, ErrorKind::kUsage);
  const Stream broken = scheduler.submit(
      {{1, 2}, endless(*model), [](int, std::string_view) { throw std::runtime_error("gone"); }, [&] { told = true; }});
  const Stream full = scheduler.submit({some_tokens(50, 1), endless(*model), {}, {}});
  EXPECT_THROW((void)broken.wait(), std::runtime_error);
  EXPECT_EQ(full.wait().reason, FinishReason::kContext);
  EXPECT_EQ(full.wait().tokens.size(), 64u - 50u + 1u);
  Session session(model);
  expect_same(good.wait(), session.generate(some_tokens(10, 1), sampled(40, 7)));
  (void)scheduler.submit({{3}, sampled(1), {}, {}}).wait();  // on_done comes after done
  EXPECT_TRUE(told);
}

TEST(Scheduler, TheQueueIsBounded) {
  const auto model = tiny();
  SchedulerOptions options;
  options.streams = 1;
  options.waiting = 2;
  Scheduler scheduler(model, options);
  Gate gate(scheduler, *model);
  const Stream first = scheduler.submit({{1}, sampled(1), {}, {}}),
               second = scheduler.submit({{2}, sampled(1), {}, {}});
  EXPECT_EQ(scheduler.stats().waiting, 2);
  EXPECT_EQ(scheduler.stats().running, 1);
  EXPECT_THROW(scheduler.submit({{3}, sampled(1), {}, {}}), Error);
  gate.open();
  EXPECT_EQ(first.wait().tokens.size(), 1u);
  EXPECT_EQ(second.wait().tokens.size(), 1u);
  EXPECT_GT(second.wait().stats.queue_seconds, 0);
  options.streams = 0;
  EXPECT_THROW(Scheduler(model, options), Error);
  options.streams = 1;
  options.chunk_with_decode = -1;
  EXPECT_THROW(Scheduler(model, options), Error);
}

TEST(Scheduler, MayEndWhileStreamsRunAndWait) {
  const auto model = tiny();
  std::vector<Stream> streams;
  {
    SchedulerOptions options;
    options.streams = 2;
    Scheduler scheduler(model, options);
    Gate gate(scheduler, *model);
    for (int i = 0; i < 5; ++i) streams.push_back(scheduler.submit({some_tokens(30, i), endless(*model), {}, {}}));
    gate.open();
  }
  for (const Stream& stream : streams) {
    EXPECT_TRUE(stream.done());
    EXPECT_EQ(stream.wait().reason, FinishReason::kCancelled);
  }
}

TEST(Scheduler, TakesRequestsFromManyThreadsBesideASession) {
  const auto model = tiny();
  Scheduler scheduler(model);
  std::vector<std::future<Generation>> answers;
  for (int i = 0; i < 6; ++i) {
    answers.push_back(std::async(std::launch::async, [&, i] {
      if (i == 5) return Session(model).generate(some_tokens(20 + i, i), sampled(10, 2));
      return scheduler.submit({some_tokens(20 + i, i), sampled(10, 2), {}, {}}).wait();
    }));
  }
  for (int i = 0; i < 6; ++i) {
    Session session(model);
    expect_same(answers[static_cast<size_t>(i)].get(), session.generate(some_tokens(20 + i, i), sampled(10, 2)));
  }
}

}  // namespace
}  // namespace fieldprint
