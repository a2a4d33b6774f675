#include "fieldprint/session.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "base/sha256.h"
#include "engine/session_file.h"
#include "fieldprint/error.h"
#include "ops/run_sequence.h"
#include "support/files.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

std::vector<TokenId> some_tokens(int count, int vocabulary = 288) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + 31) % vocabulary);
  return tokens;
}

std::vector<float> all_logits(Session& session, std::span<const TokenId> tokens) {
  std::vector<float> out;
  session.append(tokens,
                 [&](int, std::span<const float> logits) { out.insert(out.end(), logits.begin(), logits.end()); });
  return out;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

std::shared_ptr<const Model> tiny(const TinyModelShape& shape = {}, const LoadOptions& options = {}) {
  const TinyModelFile file(shape);
  return Model::load(file.path(), options);  // mapped: the file may go
}

TEST(Session, RunAgreesWithReferenceForEveryTypeWithAKernel) {
  for (const char* type : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"}) {
    for (const bool tied : {true, false}) {
      const auto model = tiny({.type = type, .tied = tied});
      const auto tokens = some_tokens(70);
      Session fast(model), slow(model, {.executor = "reference"});
      const auto a = all_logits(fast, tokens), b = all_logits(slow, tokens);
      double difference = 0, size = 0;
      for (size_t i = 0; i < a.size(); ++i) {
        difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
        size += std::pow(static_cast<double>(b[i]), 2);
      }
      const bool exact_activations = type[0] != 'Q';
      EXPECT_LT(difference / size, exact_activations ? 1e-6 : 2e-3) << type;
      EXPECT_GT(size, 0);
    }
  }
}

TEST(Session, ChunksTruncationAndReuseChangeNoBit) {
  for (const char* type : {"Q4_1", "F16"}) {
    const auto model = tiny({.type = type});
    const auto tokens = some_tokens(150);
    Session whole(model);
    const auto expected = all_logits(whole, tokens);
    const auto vocabulary = static_cast<size_t>(model->info().vocabulary);
    const auto last = std::span(expected).last(vocabulary);
    for (const int chunk : {0, 1, 7, 64, 149}) {
      Session session(model, {.chunk = chunk, .page_size = 16});
      session.append(tokens);
      EXPECT_TRUE(same_bits(session.logits(), last)) << "chunk " << chunk;
      session.truncate(93);
      EXPECT_TRUE(session.logits().empty());
      EXPECT_EQ(session.tokens().size(), 93u);
      session.append(some_tokens(40));  // something else, then back
      EXPECT_EQ(session.assign(tokens), 93);
      EXPECT_TRUE(same_bits(session.logits(), last)) << "after truncation";
      EXPECT_EQ(session.assign(tokens), 149) << "the last token is always computed";
      EXPECT_TRUE(same_bits(session.logits(), last));
    }
  }
}

// More tokens than pass a matrix together, so that they are dealt out too.
TEST(Session, AnyNumberOfThreadsGivesTheSameBits) {
  for (const char* type : {"Q4_1", "F16"}) {
    const TinyModelFile file({.type = type});
    const auto tokens = some_tokens(150);
    std::vector<float> expected;
    for (const int threads : {1, 2, 5, 64}) {
      Session session(Model::load(file.path(), {.threads = threads}));
      const auto got = all_logits(session, tokens);
      if (threads == 1) expected = got;
      EXPECT_TRUE(same_bits(got, expected)) << type << ", " << threads << " threads";
    }
  }
}

TEST(Session, TwoSessionsOfOneModelOnTwoThreadsDoNotMix) {
  const auto model = tiny({.type = "Q8_0"}, {.threads = 2});
  const auto one = some_tokens(60), two = some_tokens(80, 200);
  Session first(model), second(model);
  const auto expected_one = all_logits(first, one), expected_two = all_logits(second, two);
  std::vector<float> got_one, got_two;
  std::thread a([&] {
    Session s(model, {.chunk = 3});
    got_one = all_logits(s, one);
  });
  std::thread b([&] {
    Session s(model, {.chunk = 5});
    got_two = all_logits(s, two);
  });
  a.join();
  b.join();
  EXPECT_TRUE(same_bits(got_one, expected_one));
  EXPECT_TRUE(same_bits(got_two, expected_two));
}

TEST(Session, AFullContextIsAnErrorThatNamesBothNumbersAndChangesNothing) {
  const auto model = tiny({.context = 40});
  Session session(model, {.context = 20});
  session.append(some_tokens(15));
  const std::vector<float> before(session.logits().begin(), session.logits().end());
  try {
    session.append(some_tokens(6));
    FAIL() << "21 tokens went into a context of 20";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kLimit);
    EXPECT_NE(std::string(e.what()).find("21"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("20"), std::string::npos) << e.what();
  }
  EXPECT_EQ(session.tokens().size(), 15u);
  EXPECT_TRUE(same_bits(session.logits(), before));
  EXPECT_THROW(session.assign(some_tokens(21)), Error);
  EXPECT_EQ(session.tokens().size(), 15u);
  session.append(some_tokens(5));
  EXPECT_THROW(Session(model, {.context = 41}), Error);
  EXPECT_THROW(Session(model, {.chunk = -1}), Error);
  EXPECT_THROW(Session(model, {.page_size = 0}), Error);
}

TEST(Session, TokensOutsideTheVocabularyAreRefused) {
  Session session(tiny());
  for (const TokenId bad : {-1, 288, 1 << 30}) {
    const std::vector<TokenId> tokens = {1, bad};
    EXPECT_THROW(session.append(tokens), Error);
    EXPECT_TRUE(session.tokens().empty());
  }
}

TEST(Session, GenerateIsRepeatableAndObeysItsLimits) {
  const auto model = tiny({.context = 64});
  const auto prompt = some_tokens(10);
  SamplingOptions options;
  options.max_tokens = 12;
  options.seed = 3;
  options.temperature = 3;
  const auto run = [&](const SamplingOptions& o, int chunk) {
    Session session(model, {.chunk = chunk});
    return session.generate(prompt, o);
  };
  const Generation first = run(options, 512), again = run(options, 3);
  EXPECT_EQ(first.tokens, again.tokens);
  EXPECT_EQ(first.text, again.text);
  EXPECT_EQ(first.stats.logits_hash, again.stats.logits_hash);
  EXPECT_EQ(first.stats.logits_hash.size(), 16u);
  if (first.reason == FinishReason::kLength) {
    EXPECT_EQ(first.tokens.size(), 12u);
  }
  options.seed = 4;
  EXPECT_NE(run(options, 512).tokens, first.tokens);

  options.max_tokens = -1;
  options.logit_bias.clear();
  for (TokenId t = 0; t < model->info().vocabulary; ++t) {
    if (t != 70) options.logit_bias.emplace_back(t, -1e9f);  // only one token may come: no end in sight
  }
  const Generation full = run(options, 512);
  EXPECT_EQ(full.reason, FinishReason::kContext);
  EXPECT_EQ(full.tokens.size(), 64u - 10u + 1u);

  const std::string letter(model->tokenizer().piece(70));
  options.stop = {letter + letter + letter};
  const Generation stopped = run(options, 512);
  EXPECT_EQ(stopped.reason, FinishReason::kStop);
  EXPECT_EQ(stopped.text, "");
  EXPECT_EQ(stopped.tokens.size(), 3u);

  const std::atomic<bool> cancel{true};
  Session session(model);
  options.stop.clear();
  try {
    EXPECT_EQ(session.generate(prompt, options, {}, &cancel).reason, FinishReason::kCancelled);
  } catch (const Error& e) {
    FAIL() << e.what();
  }
}

TEST(Session, KeysAndValuesOfEveryTypeComeCloseToTheReference) {
  const auto model = tiny({.width = 128, .type = "F32"});
  const auto tokens = some_tokens(70);
  Session slow(model, {.executor = "reference"});
  const auto exact = all_logits(slow, tokens);
  double last = 0;
  for (const auto& [type, bound] :
       {std::pair("f16", 1e-6), std::pair("q8_0", 2e-4), std::pair("bf16", 1e-4), std::pair("f32", 1e-7)}) {
    Session fast(model, {.kv_type = type});
    const auto got = all_logits(fast, tokens);
    double difference = 0, size = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      difference += std::pow(static_cast<double>(got[i]) - static_cast<double>(exact[i]), 2);
      size += std::pow(static_cast<double>(exact[i]), 2);
    }
    EXPECT_LT(difference / size, bound) << type;
    EXPECT_NE(difference, last) << type << " was not used";
    last = difference;
  }
  EXPECT_THROW(Session(model, {.kv_type = "q3"}), Error);
}

class SessionFile : public testing::Test {
 protected:
  SessionFile() {
    path_ = (std::filesystem::temp_directory_path() / ("fieldprint-session-" + std::to_string(::getpid()))).string();
  }
  ~SessionFile() override { std::filesystem::remove(path_); }

  // Loading what stands in the file is refused with `kind`, and the session is as before.
  static void expect_refusal(Session& session, const std::string& path, ErrorKind kind, const std::string& says) {
    const std::vector<TokenId> before(session.tokens().begin(), session.tokens().end());
    try {
      session.load(path);
      ADD_FAILURE() << "accepted; expected: " << says;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind) << e.what();
      EXPECT_NE(std::string(e.what()).find(says), std::string::npos) << e.what();
    }
    EXPECT_EQ(std::vector<TokenId>(session.tokens().begin(), session.tokens().end()), before);
  }

  std::string path_;
};

TEST_F(SessionFile, OfAnotherModelOrKindOrSizeIsRefused) {
  const auto model = tiny();
  Session session(model);
  session.append(some_tokens(30));
  session.save(path_);
  Session same(model);
  same.load(path_);
  EXPECT_EQ(same.tokens().size(), 30u);
  Session other(tiny({.seed = 2}));
  expect_refusal(other, path_, ErrorKind::kBadInput, "another model");
  Session bf16(model, {.kv_type = "bf16"});
  expect_refusal(bf16, path_, ErrorKind::kBadInput, "as f16");
  Session small(model, {.context = 20});
  small.append(some_tokens(4));
  expect_refusal(small, path_, ErrorKind::kLimit, "30");
  expect_refusal(small, path_ + ".none", ErrorKind::kNotFound, "");
  Session reference(model, {.executor = "reference"});
  EXPECT_THROW(reference.save(path_), Error);
  expect_refusal(reference, path_, ErrorKind::kUnsupported, "reference");
}

TEST_F(SessionFile, DamageIsFoundWhereverItIs) {
  const auto model = tiny({.context = 64});
  Session session(model);
  session.append(some_tokens(3));
  session.save(path_);
  std::ifstream in(path_, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  const auto write = [&](const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  };
  Session victim(model);
  for (size_t size = 0; size < good.size(); size += size < 200 ? 1 : 97) {
    write(good.substr(0, size));
    expect_refusal(victim, path_, ErrorKind::kBadFile, "saved session");
  }
  for (size_t at = 0; at < good.size(); at += at < 140 ? 1 : 61) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    write(bad);
    expect_refusal(victim, path_, ErrorKind::kBadFile, "saved session");
  }
  std::string huge = good;  // counts whose product wraps around
  const uint64_t tokens = uint64_t{1} << 62, each = (uint64_t{1} << 62) - 4;
  std::memcpy(huge.data() + 80, &tokens, 8);
  std::memcpy(huge.data() + 88, &each, 8);
  write(huge);
  expect_refusal(victim, path_, ErrorKind::kBadFile, "saved session");
}

// save() of a session without tokens wrote what load() called damaged.
TEST_F(SessionFile, OfNoTokensIsTakenUp) {
  const auto model = tiny();
  Session empty(model), fresh(model), filled(model);
  empty.save(path_);
  filled.append(some_tokens(5));
  filled.load(path_);
  EXPECT_TRUE(filled.tokens().empty());
  EXPECT_TRUE(filled.logits().empty());
  filled.append(some_tokens(9));
  fresh.append(some_tokens(9));
  EXPECT_TRUE(same_bits(filled.logits(), fresh.logits()));
}

// One token a span, each in a page of its own: a file of 3 MB once took 12 GB.
TEST_F(SessionFile, OfManyShortSpansTakesMemoryByItsSize) {
  const auto model = tiny();
  Session session(model, {.page_size = 1});
  for (const TokenId token : some_tokens(2000)) {
    const SpanLabel label = {session.tokens().size() % 2 == 0 ? SpanKind::kTool : SpanKind::kRetrieved, "s", 0};
    session.append(std::vector<LabelledTokens>{{label, {token}}});
  }
  session.save(path_);
  Session large(model, {.page_size = 4096});
  large.append(some_tokens(2));
  expect_refusal(large, path_, ErrorKind::kLimit, "too much memory for a file of");
  EXPECT_LT(large.kv_bytes(), 4u << 20);
  for (const int page_size : {1, 7, 64}) {
    Session any(model, {.page_size = page_size});
    any.load(path_);
    EXPECT_EQ(any.tokens().size(), 2000u);
    EXPECT_LE(any.kv_bytes(), 64 * std::filesystem::file_size(path_));
  }
  session.truncate(100);  // what costs little is taken up with pages of any size
  session.save(path_);
  large.load(path_);
  EXPECT_EQ(large.spans().size(), 100u);
}

// As versions wrote it that kept no square of a key.
TEST_F(SessionFile, WithOtherBytesATokenIsRefused) {
  const KvLayout before({{1, 8}}, 4), now({{1, 8, true}}, 4);
  PagePool pages(before.page_bytes()), pages_now(now.page_bytes());
  RunSequence state(before, pages);
  state.begin(0, 1, false);
  const std::vector<float> x(8, 1.0f);
  state.kv(0).write(0, 0, x.data(), x.data());
  const std::string fingerprint(64, 'f');
  save_session(path_, fingerprint, std::vector<TokenId>{7}, state);
  const SavedSession saved(path_);
  saved.check(fingerprint, state.format(0));
  EXPECT_THROW(saved.check(fingerprint, RunSequence(now, pages_now).format(0)), Error);
}

// A state that no replay rebuilds: a layer of an invented net between one with keys and values and a convolution.
class RecurrentSessionFile : public SessionFile {
 protected:
  static constexpr int kTokens = 23;

  // As a step would.
  static void feed(RunSequence& state, int begin, int end) {
    state.begin(begin, end, false);
    for (int p = begin; p < end; ++p) {
      float* s = state.recurrent().layer(1);
      for (int i = 0; i < 5; ++i) s[i] = 0.5f * s[i] + static_cast<float>((p * 7 + i) % 13);
      float* u = state.recurrent().layer(2);
      for (int i = 0; i < 3; ++i) u[i] = u[3 + i], u[3 + i] = s[i];
      const std::vector<float> x(8, s[0]);
      state.kv(0).write(0, p, x.data(), x.data());
    }
    state.finish(begin, end);
  }
  static std::vector<float> recurrent(RunSequence& state) {
    return {state.recurrent().values().begin(), state.recurrent().values().end()};
  }
  static std::vector<std::byte> kv(const RunSequence& state, int tokens) {
    std::vector<std::byte> bytes(static_cast<size_t>(tokens * state.format(0).token_bytes));
    state.export_tokens(0, tokens, bytes);
    return bytes;
  }

  const KvLayout layout_{
      {{1, 8}, {.state_floats = 5, .state_replay = kNoReplay}, {.state_floats = 6, .state_replay = 2}}, 4};
  PagePool pages_{layout_.page_bytes()};
  const std::string fingerprint_ = std::string(64, 'f');
};

TEST_F(RecurrentSessionFile, HoldsTheStateAtItsEnd) {
  RunSequence state(layout_, pages_), restored(layout_, pages_), straight(layout_, pages_);
  EXPECT_EQ(state.format(0).recurrent_bytes, 11 * 4);
  feed(state, 0, kTokens);
  save_session(path_, fingerprint_, some_tokens(kTokens), state);
  const SavedSession saved(path_);
  saved.check(fingerprint_, restored.format(0));
  std::mutex steps;
  EXPECT_EQ(saved.fill(restored, steps), 0) << "nothing to replay";
  feed(restored, kTokens, 40);
  feed(straight, 0, 40);
  EXPECT_EQ(recurrent(restored), recurrent(straight));
  EXPECT_EQ(kv(restored, 40), kv(straight, 40));
  EXPECT_EQ(restored.truncate(kTokens), 0) << "the file's state is a snapshot";
  EXPECT_EQ(restored.truncate(9), 9) << "from the first token on";
}

TEST_F(RecurrentSessionFile, WithoutTheStateIsRefused) {
  const KvLayout without(std::vector<KvLayerShape>{{1, 8}, {}, {}}, 4);
  PagePool pages(without.page_bytes());
  RunSequence state(without, pages), wanting(layout_, pages_);
  save_session(path_, fingerprint_, {}, state);
  EXPECT_NE(refusal([&] { SavedSession(path_).check(fingerprint_, wanting.format(0)); }).find("recurrent state"),
            std::string::npos);
}

// The version before had no place for recurrent state in its header.
TEST_F(SessionFile, OfTheVersionBeforeIsTakenUp) {
  const auto model = tiny();
  Session session(model);
  session.append(some_tokens(30));
  session.save(path_);
  std::string bytes = slurp(path_);
  bytes.resize(bytes.size() - 64);
  bytes.replace(0, 8, "FPSESS02");
  bytes.erase(104, 8);
  bytes += sha256_hex(std::as_bytes(std::span(bytes)));
  spill(path_, bytes);
  Session old(model);
  old.load(path_);
  session.append(some_tokens(5));
  old.append(some_tokens(5));
  EXPECT_TRUE(same_bits(old.logits(), session.logits()));
}

}  // namespace
}  // namespace fieldprint
