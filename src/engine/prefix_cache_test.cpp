// Ended sequences that serve other prompts: the bits are those of computing alone, nobody sees another domain's, the
// bound in bytes holds, and what is on disk is used after a restart or not at all.
#include "engine/prefix_cache.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"
#include "fieldprint/synth.h"
#include "support/files.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

namespace fs = std::filesystem;

std::vector<TokenId> some_tokens(int count, int seed) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + seed * 31 + i / 7) % 256);
  return tokens;
}

std::shared_ptr<const Model> tiny() {
  const TinyModelFile file({.type = "Q8_0"});
  return Model::load(file.path(), {.threads = 2});  // mapped: the file may go
}

SamplingOptions sampled(int max_tokens, uint64_t seed = 1) {
  SamplingOptions options;
  options.max_tokens = max_tokens;
  options.seed = seed;
  options.temperature = 2;
  return options;
}

struct Folder {
  std::string path;
  explicit Folder(const char* name)
      : path((fs::temp_directory_path() / (std::string("fieldprint-") + name + "-" + std::to_string(::getpid())))
                 .string()) {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
};

std::shared_ptr<const Model> synthetic(const Folder& folder, const char* preset) {
  SynthOptions options;
  options.preset = preset;
  options.mix = "Q4_K";
  synth(folder.path + "/model.gguf", options);
  return Model::load(folder.path + "/model.gguf", {.threads = 2});
}

Request prompt_of(std::vector<TokenId> tokens, int answer = 4, std::string domain = {}) {
  Request request{std::move(tokens), sampled(answer), {}, {}};
  request.cache_domain = std::move(domain);
  return request;
}

int reused(Scheduler& scheduler, std::vector<TokenId> tokens, std::string domain = {}) {
  return scheduler.submit(prompt_of(std::move(tokens), 4, std::move(domain))).wait().stats.reused_tokens;
}

// Conversations that go on, branch, are cut back and asked again, some with labels, in two domains.
TEST(PrefixCache, RandomConversationsHaveTheBitsOfComputingAlone) {
  for (const char* preset :
       {"tiny-llama", "tiny-lfm2-8b-a1b", "tiny-qwen35moe", "tiny-gemma3", "tiny-gpt-oss", "tiny-granitehybrid"}) {
    SCOPED_TRACE(preset);
    const Folder folder("random"), files("random-files");
    const auto model = synthetic(folder, preset);
    std::mt19937 random(7);
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    SchedulerOptions options;
    options.session.chunk = 40;
    options.chunk_with_decode = 16;
    options.cache_bytes = 3 << 20;
    uint64_t reuses = 0;
    std::vector<std::vector<LabelledTokens>> known = {{{{SpanKind::kSystem, "", 0}, some_tokens(70, 1)}}};
    for (const bool on_disk : {false, true}) {
      options.cache_directory = on_disk ? files.path : "";
      Scheduler scheduler(model, options);
      for (int round = 0; round < 6; ++round) {
        std::vector<Request> requests;
        for (int i = 0; i < 3; ++i) {
          auto spans = known[static_cast<size_t>(pick(static_cast<int>(known.size())))];
          auto& last = spans.back().tokens;
          if (pick(3) == 0) last.resize(static_cast<size_t>(1 + pick(static_cast<int>(last.size()))));
          const SpanLabel label{pick(2) == 0 ? SpanKind::kUser : SpanKind::kRetrieved, "", pick(2)};
          spans.push_back({label, some_tokens(1 + pick(60), pick(100))});
          Request request{{}, sampled(1 + pick(12), static_cast<uint64_t>(pick(50))), {}, {}};
          request.cache_domain = pick(4) == 0 ? "other" : "";
          if (pick(3) == 0) {
            for (const auto& span : spans)
              request.prompt.insert(request.prompt.end(), span.tokens.begin(), span.tokens.end());
          } else {
            request.spans = spans;
            request.clearance = pick(2);
          }
          requests.push_back(std::move(request));
          if (spans.size() < 8) known.push_back(std::move(spans));
        }
        std::vector<Stream> streams;
        for (const Request& request : requests) streams.push_back(scheduler.submit(request));
        for (size_t i = 0; i < requests.size(); ++i) {
          SCOPED_TRACE(testing::Message() << "disk " << on_disk << " round " << round << " request " << i);
          const Generation together = streams[i].wait();
          Session session(model, {.clearance = requests[i].clearance});
          const Generation alone =
              requests[i].spans.empty()
                  ? session.generate(std::span<const TokenId>(requests[i].prompt), requests[i].sampling)
                  : session.generate(std::span<const LabelledTokens>(requests[i].spans), requests[i].sampling);
          ASSERT_EQ(together.tokens, alone.tokens);
          ASSERT_EQ(together.stats.logits_hash, alone.stats.logits_hash);
        }
        const SchedulerStats stats = scheduler.stats();
        EXPECT_LE(stats.cache_bytes, options.cache_bytes);
        // The next turn of one of them.
        if (!requests[0].spans.empty()) {
          auto next = requests[0].spans;
          next.push_back({{SpanKind::kGenerated, "", 0}, streams[0].wait().tokens});
          if (next.size() < 8) known.push_back(next);
        }
      }
      reuses += scheduler.stats().reuses;
    }
    EXPECT_GT(reuses, 10u);
  }
}

TEST(PrefixCache, DomainsShareNothing) {
  const auto model = tiny();
  Scheduler scheduler(model);
  const auto tokens = some_tokens(100, 1);
  EXPECT_EQ(reused(scheduler, tokens, "anna"), 0);
  EXPECT_EQ(reused(scheduler, tokens, "bert"), 0);
  EXPECT_EQ(reused(scheduler, tokens), 0);
  EXPECT_EQ(reused(scheduler, tokens, "ann"), 0);
  EXPECT_EQ(reused(scheduler, tokens, "anna"), 99);
  EXPECT_EQ(scheduler.stats().reuses, 1u);
  EXPECT_EQ(scheduler.find_cached(tokens, "nobody"), 0u);
  EXPECT_NE(scheduler.find_cached(tokens, "bert"), 0u);
  // Nor while they run.
  std::vector<Stream> streams;
  for (const char* domain : {"x", "y", "x"})
    streams.push_back(scheduler.submit(prompt_of(some_tokens(90, 5), 40, domain)));
  EXPECT_EQ(streams[0].wait().stats.reused_tokens, 0);
  EXPECT_EQ(streams[1].wait().stats.reused_tokens, 0);
  EXPECT_GT(streams[2].wait().stats.reused_tokens, 0);
  EXPECT_THROW(scheduler.submit(prompt_of(tokens, 1, std::string(65, 'x'))), Error);
}

TEST(PrefixCache, BranchesStayAndBeginningsOfLongerOnesDoNot) {
  const auto model = tiny();
  Scheduler scheduler(model);
  auto first = some_tokens(100, 1), second = first;
  first.insert(first.end(), 50, 3);
  second.insert(second.end(), 50, 4);
  EXPECT_EQ(reused(scheduler, some_tokens(100, 1)), 0);
  EXPECT_EQ(reused(scheduler, first), 100);
  EXPECT_EQ(reused(scheduler, second), 100);
  EXPECT_EQ(reused(scheduler, first), 149);
  EXPECT_EQ(reused(scheduler, second), 149);
  const auto cached = scheduler.cached();
  int branches = 0;
  for (const CachedSequence& one : cached) branches += one.tokens == 153;
  EXPECT_EQ(branches, 2);
  EXPECT_EQ(scheduler.cached_spans(cached.front().id).front().tokens.size(), 150u);
}

TEST(PrefixCache, TheOneUsedLongestAgoGoesAndThePinnedStay) {
  const auto model = tiny();
  SchedulerOptions options;
  Scheduler unbounded(model, options);
  (void)reused(unbounded, some_tokens(200, 1));
  const uint64_t one = unbounded.stats().cache_bytes;
  options.cache_bytes = 3 * one + one / 2;
  Scheduler scheduler(model, options);
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(reused(scheduler, some_tokens(200, i)), 0);
  EXPECT_EQ(scheduler.stats().cache_entries, 3);
  EXPECT_EQ(scheduler.stats().cache_evictions, 0u);
  EXPECT_TRUE(scheduler.pin_cached(scheduler.find_cached(some_tokens(200, 2)), true));
  EXPECT_EQ(reused(scheduler, some_tokens(200, 1)), 199);
  EXPECT_EQ(reused(scheduler, some_tokens(200, 4)), 0);
  EXPECT_EQ(reused(scheduler, some_tokens(200, 5)), 0);
  EXPECT_LE(scheduler.stats().cache_bytes, options.cache_bytes);
  EXPECT_GE(scheduler.stats().cache_evictions, 2u);
  EXPECT_EQ(reused(scheduler, some_tokens(200, 3)), 0) << "the first to go";
  EXPECT_EQ(reused(scheduler, some_tokens(200, 2)), 199) << "pinned";
  EXPECT_TRUE(scheduler.erase_cached(scheduler.find_cached(some_tokens(200, 2))));
  EXPECT_EQ(reused(scheduler, some_tokens(200, 2)), 0);
  EXPECT_FALSE(scheduler.erase_cached(99999));
  EXPECT_FALSE(scheduler.pin_cached(99999, true));

  options.cache_bytes = 0;
  Scheduler none(model, options);
  (void)reused(none, some_tokens(200, 1));
  EXPECT_EQ(reused(none, some_tokens(200, 1)), 0);
  EXPECT_TRUE(none.cached().empty());
}

TEST(PrefixCache, PagesOfSeveralCountOnce) {
  const auto model = tiny();
  Scheduler scheduler(model);
  auto tokens = some_tokens(1024, 1);
  (void)reused(scheduler, tokens);
  const uint64_t one = scheduler.stats().cache_bytes;
  for (TokenId t = 0; t < 5; ++t) {
    auto branch = tokens;
    branch.back() = t;
    branch.insert(branch.end(), 30, t);
    EXPECT_EQ(reused(scheduler, branch), 1023);
  }
  EXPECT_EQ(scheduler.stats().cache_entries, 6);
  EXPECT_LT(scheduler.stats().cache_bytes, one * 3);
  for (const CachedSequence& each : scheduler.cached()) EXPECT_TRUE(scheduler.erase_cached(each.id));
  EXPECT_EQ(scheduler.stats().cache_bytes, 0u);
}

// A common beginning whose last tokens must pass again, for the state of a delta net, holds nobody up: these tokens are
// dealt to steps as a prompt's are.
TEST(PrefixCache, ALongReplayIsDealtToSteps) {
  const Folder folder("replay");
  const auto model = synthetic(folder, "tiny-qwen35");
  SchedulerOptions options;
  options.session.chunk = 24;
  Scheduler scheduler(model, options);
  const auto tokens = some_tokens(1200, 1);
  (void)reused(scheduler, tokens);
  uint64_t most = 0;
  for (const size_t size : {1100, 1010, 900, 790}) {
    Request request = prompt_of({tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(size)}, 8);
    request.prompt.push_back(9);
    const uint64_t before = scheduler.stats().steps;
    const Generation answer = scheduler.submit(request).wait();
    EXPECT_EQ(answer.stats.reused_tokens, static_cast<int>(size));
    most = std::max(most, scheduler.stats().steps - before);
    Session session(model);
    const Generation alone = session.generate(std::span<const TokenId>(request.prompt), request.sampling);
    EXPECT_EQ(answer.tokens, alone.tokens);
    EXPECT_EQ(answer.stats.logits_hash, alone.stats.logits_hash);
  }
  EXPECT_GT(most, 10u) << "one for the new token, seven for the answer, the rest for the replay";
}

class PrefixCacheFiles : public testing::Test {
 protected:
  PrefixCacheFiles() : folder_("cache-files"), model_(tiny()) { options_.cache_directory = folder_.path + "/cache"; }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    if (!fs::exists(options_.cache_directory)) return names;
    for (const auto& file : fs::directory_iterator(options_.cache_directory)) names.push_back(file.path().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  Folder folder_;
  SchedulerOptions options_;
  std::shared_ptr<const Model> model_;
};

TEST_F(PrefixCacheFiles, OutliveARestart) {
  Request labelled{{}, sampled(6), {}, {}};
  labelled.spans = {{{SpanKind::kSystem, "", 0}, some_tokens(50, 1)},
                    {{SpanKind::kRetrieved, "x", 2}, some_tokens(60, 2)}};
  labelled.cache_domain = "an/na \xff";
  {
    Scheduler scheduler(model_, options_);
    (void)scheduler.submit(labelled).wait();
    EXPECT_EQ(reused(scheduler, some_tokens(100, 3)), 0);
    EXPECT_TRUE(fs::exists(options_.cache_directory));
    EXPECT_EQ(fs::status(options_.cache_directory).permissions() & fs::perms::all, fs::perms::owner_all);
  }
  ASSERT_EQ(files().size(), 2u);
  {
    Scheduler scheduler(model_, options_);
    const auto cached = scheduler.cached();
    ASSERT_EQ(cached.size(), 2u);
    for (const CachedSequence& one : cached) {
      EXPECT_EQ(one.bytes, 0u) << "nothing is read yet";
      EXPECT_GT(one.disk_bytes, 0u);
      EXPECT_EQ(one.clearance, one.domain.empty() ? 0 : 2);
    }
    EXPECT_EQ(reused(scheduler, some_tokens(100, 3), "an/na \xff"), 0);
    EXPECT_EQ(reused(scheduler, some_tokens(100, 3)), 99);
    auto other = labelled;
    other.spans[1].label.source = "y";
    EXPECT_EQ(scheduler.submit(other).wait().stats.reused_tokens, 50);
    const Generation again = scheduler.submit(labelled).wait();
    EXPECT_EQ(again.stats.reused_tokens, 109);
    Session session(model_);
    EXPECT_EQ(again.stats.logits_hash,
              session.generate(std::span<const LabelledTokens>(labelled.spans), labelled.sampling).stats.logits_hash);
    EXPECT_EQ(scheduler.stats().cache_damaged, 0u);
  }
  options_.session.clearance = 1;
  Scheduler lower(model_, options_);
  for (const CachedSequence& one : lower.cached()) EXPECT_LE(one.clearance, 1) << "what it may not see is not there";
}

TEST_F(PrefixCacheFiles, OfHybridsGoOnFromTheirEnd) {
  for (const char* preset : {"tiny-lfm2-8b-a1b", "tiny-qwen35", "tiny-gemma3"}) {
    SCOPED_TRACE(preset);
    const Folder folder("hybrid");
    const auto model = synthetic(folder, preset);
    options_.cache_directory = folder.path + "/cache";
    auto tokens = some_tokens(150, 1);
    {
      Scheduler scheduler(model, options_);
      const auto answer = scheduler.submit(prompt_of(tokens, 10)).wait().tokens;
      tokens.insert(tokens.end(), answer.begin(), answer.end());
      tokens.insert(tokens.end(), 20, 5);
    }
    Scheduler scheduler(model, options_);
    const Request request = prompt_of(tokens, 10);
    const Generation next = scheduler.submit(request).wait();
    EXPECT_EQ(next.stats.reused_tokens, 159);
    Session session(model);
    EXPECT_EQ(next.stats.logits_hash,
              session.generate(std::span<const TokenId>(tokens), request.sampling).stats.logits_hash);
  }
}

TEST_F(PrefixCacheFiles, DamagedOnesAreComputedAnew) {
  {
    Scheduler scheduler(model_, options_);
    for (int i = 1; i <= 4; ++i) (void)reused(scheduler, some_tokens(100, i));
  }
  const auto names = files();
  ASSERT_EQ(names.size(), 4u);
  const auto spoil = [](const std::string& name, std::streamoff at) {
    std::fstream file(name, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const int old = file.get();
    file.seekp(at);
    file.put(static_cast<char>(old ^ 1));
  };
  spoil(names[0], 5000);                                                        // keys and values
  spoil(names[1], 112 + 40 * 4);                                                // a token
  fs::resize_file(names[2], fs::file_size(names[2]) - 1);                       // cut short
  std::ofstream(options_.cache_directory + "/d-0123.fpcache.part-1-1") << "x";  // a writer that died
  std::ofstream(options_.cache_directory + "/notes.txt") << "not ours";
  std::ofstream(options_.cache_directory + "/d-" + std::string(32, 'a') + ".fpcache") << "no session";
  Scheduler scheduler(model_, options_);
  EXPECT_TRUE(fs::exists(options_.cache_directory + "/notes.txt"));
  EXPECT_FALSE(fs::exists(options_.cache_directory + "/d-0123.fpcache.part-1-1"));
  int found = 0;
  for (int i = 1; i <= 4; ++i) {
    const Request request = prompt_of(some_tokens(100, i));
    const Generation answer = scheduler.submit(request).wait();
    found += answer.stats.reused_tokens > 90;
    Session session(model_);
    EXPECT_EQ(answer.stats.logits_hash,
              session.generate(std::span<const TokenId>(request.prompt), request.sampling).stats.logits_hash);
  }
  EXPECT_EQ(found, 1);
  EXPECT_EQ(scheduler.stats().cache_damaged, 2u) << "the third was never listed";
}

TEST_F(PrefixCacheFiles, OfAnotherModelAreLeftAlone) {
  {
    Scheduler scheduler(model_, options_);
    (void)reused(scheduler, some_tokens(100, 1));
  }
  const auto before = files();
  const TinyModelFile file({.type = "Q8_0", .seed = 2});
  const auto other = Model::load(file.path(), {.threads = 2});
  {
    Scheduler scheduler(other, options_);
    EXPECT_TRUE(scheduler.cached().empty());
    EXPECT_EQ(reused(scheduler, some_tokens(100, 1)), 0);
  }
  EXPECT_EQ(files().size(), 2u);
  EXPECT_TRUE(fs::exists(before.front()));
  auto kv = options_;
  kv.session.kv_type = "bf16";
  EXPECT_TRUE(Scheduler(model_, kv).cached().empty());
}

TEST_F(PrefixCacheFiles, AreBoundedInBytes) {
  {
    Scheduler scheduler(model_, options_);
    (void)reused(scheduler, some_tokens(200, 1));
  }
  const uint64_t one = fs::file_size(files().front());
  options_.cache_disk_bytes = 2 * one + one / 2;
  for (int i = 2; i <= 4; ++i) {
    Scheduler scheduler(model_, options_);
    (void)reused(scheduler, some_tokens(200, i));
  }
  EXPECT_EQ(files().size(), 2u);
  Scheduler scheduler(model_, options_);
  EXPECT_EQ(reused(scheduler, some_tokens(200, 4)), 199);
  EXPECT_EQ(reused(scheduler, some_tokens(200, 3)), 199);
  EXPECT_EQ(reused(scheduler, some_tokens(200, 2)), 0);
}

TEST_F(PrefixCacheFiles, HoldWhatMemoryHasNoRoomFor) {
  {
    Scheduler scheduler(model_, options_);
    for (int i = 1; i <= 3; ++i) (void)reused(scheduler, some_tokens(200, i));
    options_.cache_bytes = scheduler.stats().cache_bytes / 3 + 1000;
  }
  Scheduler scheduler(model_, options_);
  for (const int i : {1, 2, 3, 1, 2, 3}) EXPECT_EQ(reused(scheduler, some_tokens(200, i)), 199);
  EXPECT_LE(scheduler.stats().cache_bytes, options_.cache_bytes);
}

TEST_F(PrefixCacheFiles, AreWrittenWhenNothingRuns) {
  Scheduler scheduler(model_, options_);
  auto tokens = some_tokens(100, 1);
  (void)reused(scheduler, tokens);
  const auto wait = [&](uint64_t bytes) {
    for (int i = 0; i < 500 && scheduler.stats().cache_disk_bytes == bytes; ++i) ::usleep(10'000);
    return scheduler.stats().cache_disk_bytes;
  };
  const uint64_t first = wait(0);
  EXPECT_GT(first, 0u);
  ASSERT_EQ(files().size(), 1u);
  tokens.insert(tokens.end(), 50, 9);
  (void)reused(scheduler, tokens);
  EXPECT_GT(wait(first), first);
  for (int i = 0; i < 500 && files().size() > 2; ++i) ::usleep(10'000);
  EXPECT_EQ(files().size(), 2u) << "two branches: the first had an answer of its own";
}

TEST_F(PrefixCacheFiles, NamedSessionsAreSavedAndTakenUp) {
  const std::string path = folder_.path + "/named.fps";
  auto tokens = some_tokens(100, 1);
  std::vector<TokenId> answer;
  {
    Scheduler scheduler(model_);
    answer = scheduler.submit(prompt_of(tokens, 5, "anna")).wait().tokens;
    const uint64_t id = scheduler.find_cached(tokens, "anna");
    scheduler.save_cached(id, path);
    EXPECT_THROW(scheduler.save_cached(id + 100, path), Error);
  }
  tokens.insert(tokens.end(), answer.begin(), answer.end() - 1);
  Session session(model_);
  session.load(path);
  EXPECT_EQ(std::vector<TokenId>(session.tokens().begin(), session.tokens().end()), tokens);
  Scheduler scheduler(model_);
  const uint64_t id = scheduler.load_cached(path, "bert");
  EXPECT_EQ(scheduler.cached().front().id, id);
  EXPECT_EQ(scheduler.load_cached(path, "bert"), id) << "once is enough";
  tokens.push_back(7);
  EXPECT_EQ(reused(scheduler, tokens), 0);
  EXPECT_EQ(reused(scheduler, tokens, "bert"), 104);
  EXPECT_THROW((void)scheduler.load_cached(folder_.path + "/nothing"), Error);
  fs::resize_file(path, fs::file_size(path) - 5);
  EXPECT_THROW((void)scheduler.load_cached(path), Error);
  SchedulerOptions small;
  small.cache_bytes = 100;
  session.save(path);
  EXPECT_THROW((void)Scheduler(model_, small).load_cached(path), Error);
}

// One that is on disk alone is found by tokens that nobody has checked; its copy is checked.
TEST_F(PrefixCacheFiles, OnDiskAloneAreSavedElsewhereAfterACheck) {
  {
    Scheduler scheduler(model_, options_);
    (void)reused(scheduler, some_tokens(100, 1));
  }
  const std::string path = folder_.path + "/copy.fps";
  Scheduler scheduler(model_, options_);
  const uint64_t id = scheduler.cached().front().id;
  scheduler.save_cached(id, path);
  EXPECT_EQ(slurp(path), slurp(files().front()));
  std::fstream(files().front(), std::ios::in | std::ios::out | std::ios::binary).seekp(3000).put('x').put('y');
  EXPECT_THROW(scheduler.save_cached(id, path), Error);
  EXPECT_TRUE(scheduler.erase_cached(id));
  EXPECT_TRUE(files().empty());
}

TEST(PrefixCache, FindsOneOfHundredsOfLongOnesInLessThan100Microseconds) {
  const auto model = tiny();
  SessionOptions session;
  const auto stepper = std::make_shared<Stepper>(loaded(model), session);
  SchedulerOptions options;
  PrefixCache cache(stepper, options, [] {});
  // All begin alike for 3,900 tokens: the worst case.
  for (int i = 0; i < 200; ++i) {
    Sequence sequence = stepper->begin();
    sequence.tokens = some_tokens(4000, 1);
    for (size_t t = 3900; t < 4000; ++t) sequence.tokens[t] = (i * 7 + static_cast<int>(t)) % 251;
    EXPECT_NE(cache.add("", std::move(sequence)), 0u);
  }
  EXPECT_EQ(cache.list().size(), 200u);
  auto tokens = some_tokens(4000, 1);
  for (size_t t = 3900; t < 4000; ++t) tokens[t] = (93 * 7 + static_cast<int>(t)) % 251;
  const VisibleTokens prompt{std::span<const TokenId>(tokens)};
  double best = 1;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto match = cache.find("", prompt, true, 0, 3999, 31, true);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    EXPECT_EQ(match.shared, 3999);
  }
  RecordProperty("microseconds", static_cast<int>(best * 1e6));
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(best, 100e-6);
#endif
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Streams that need memory which the system does not give take that of the cache.
[[noreturn]] void answer_where_memory_is_short() {
  const TinyModelFile file({.layers = 16, .width = 256, .heads = 4, .kv_heads = 4, .type = "Q8_0"});
  const auto model = Model::load(file.path(), {.threads = 1});
  Scheduler scheduler(model);
  for (int i = 0; i < 4; ++i) (void)reused(scheduler, some_tokens(950, i));  // pages of some 60 MiB: 16 KiB a token
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  statm >> pages;
  const uint64_t room = pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) + (12 << 20);
  const rlimit tight{room, room};
  ::setrlimit(RLIMIT_AS, &tight);
  try {
    const Generation answer = scheduler.submit(prompt_of(some_tokens(3000, 9), 3)).wait();
    const SchedulerStats stats = scheduler.stats();
    std::fprintf(stderr, "answered %zu with %d evictions\n", answer.tokens.size(),
                 static_cast<int>(stats.cache_evictions));
    ::_exit(answer.tokens.size() == 3 && stats.cache_evictions > 0 ? 0 : 2);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    ::_exit(1);
  }
}

TEST(PrefixCacheDeathTest, GivesWayBeforeAStreamFails) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(answer_where_memory_is_short(), testing::ExitedWithCode(0), "answered 3");
}
#endif

}  // namespace
}  // namespace fieldprint
