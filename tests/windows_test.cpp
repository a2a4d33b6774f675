// Sliding windows: pages behind them are given back, and whoever goes back, forks, saves and loads gets the bits of a
// sequence that never did.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "support/temp_home.h"

namespace fieldprint {
namespace {

// Three layers: the first and the last see 16 tokens, the second all.
class Windows : public testing::Test {
 protected:
  void SetUp() override {
    SynthOptions options;
    options.preset = "tiny-gemma2";
    options.mix = "Q8_0";
    synth(path("model.gguf"), options);
    model_ = Model::load(path("model.gguf"), {.threads = 2});
  }
  std::string path(const char* name) const { return (home_.path() / name).string(); }

  static std::vector<TokenId> some_tokens(int count, int seed = 0) {
    std::vector<TokenId> tokens;
    for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + seed * 31 + i / 7) % 256);
    return tokens;
  }
  static std::vector<float> logits(const Session& session) {
    return {session.logits().begin(), session.logits().end()};
  }
  std::vector<float> of_fresh(std::span<const TokenId> tokens, const SessionOptions& options) const {
    Session session(model_, options);
    session.append(tokens);
    return logits(session);
  }

  TempHome home_;
  std::shared_ptr<const Model> model_;
};

TEST_F(Windows, LayersWithAWindowTakeNoMoreMemoryAsTheContextGrows) {
  const SessionOptions options{.chunk = 32, .page_size = 16};
  Session session(model_, options);
  session.append(some_tokens(512));
  const uint64_t at_512 = session.kv_bytes();
  session.append(some_tokens(512));
  const uint64_t grown = session.kv_bytes() - at_512, a_token = model_->info().kv_bytes_per_token;
  EXPECT_EQ(grown, 512 * a_token) << "one layer of three sees everything";
  EXPECT_LE(at_512, (512 + 600) * a_token);
}

// `info` counted these layers as if they kept every token.
TEST_F(Windows, InfoCountsTwoWindowsOfLayersWithAWindow) {
  const ModelInfo info = inspect_model(path("model.gguf"));
  ASSERT_EQ(info.kv_windows.size(), 1u);
  const WindowMemory& window = info.kv_windows[0];
  EXPECT_EQ(window.bytes_per_token, 2 * info.kv_bytes_per_token) << "two layers of three have a window";
  EXPECT_EQ(info.kv_bytes(10), 10 * (info.kv_bytes_per_token + window.bytes_per_token));
  EXPECT_EQ(info.kv_bytes(1000), 1000 * info.kv_bytes_per_token + window.tokens * window.bytes_per_token);
  EXPECT_EQ(info.state_bytes, 0u);
}

TEST_F(Windows, GoingBackIsExactHoweverFar) {
  const auto tokens = some_tokens(400), other = some_tokens(40, 3);
  for (const char* kv_type : {"f16", "bf16", "q8_0", "f32"}) {
    for (const int page_size : {5, 16, 64}) {
      SCOPED_TRACE(fmt::format("{} in pages of {}", kv_type, page_size));
      const SessionOptions options{.chunk = 33, .page_size = page_size, .kv_type = kv_type};
      const auto expected = of_fresh(tokens, {.kv_type = kv_type});
      Session session(model_, options);
      session.append(tokens);
      EXPECT_EQ(logits(session), expected);
      for (const int size : {399, 390, 384, 360, 300, 130, 129, 65, 64, 63, 31, 16, 15, 2, 1, 0}) {
        SCOPED_TRACE(size);
        session.truncate(size);
        Session fork = session.fork();
        if (size % 2 == 0) session.append(other), session.truncate(size + 7);
        session.assign(tokens);
        EXPECT_EQ(logits(session), expected);
        fork.append(std::span(tokens).subspan(static_cast<size_t>(size)));
        EXPECT_EQ(logits(fork), expected) << "a fork that waits to be brought up to date";
      }
    }
  }
}

TEST_F(Windows, ASavedSessionHoldsTheWindowOnly) {
  const auto tokens = some_tokens(300);
  const auto expected = of_fresh(tokens, {});
  const std::string saved = path("session");
  for (const int size : {299, 250, 80, 17, 16, 5}) {
    SCOPED_TRACE(size);
    Session session(model_, {.page_size = 16});
    session.append(tokens);
    session.truncate(size);
    session.save(saved);
    const uint64_t kept = static_cast<uint64_t>(std::min(size, 15)) * 2 + static_cast<uint64_t>(size);
    EXPECT_LT(std::filesystem::file_size(saved), kept * model_->info().kv_bytes_per_token + size * 4 + 1000);
    session.assign(tokens);
    EXPECT_EQ(logits(session), expected);
    for (const int page_size : {7, 64}) {
      Session restored(model_, {.chunk = 19, .page_size = page_size});
      restored.append(some_tokens(70, 5));
      restored.load(saved);
      Session back = restored.fork();
      restored.append(std::span(tokens).subspan(static_cast<size_t>(size)));
      EXPECT_EQ(logits(restored), expected);
      back.truncate(size / 2);
      back.append(std::span(tokens).subspan(static_cast<size_t>(size / 2)));
      EXPECT_EQ(logits(back), expected) << "back beyond what was saved";
    }
  }
}

TEST_F(Windows, AnAnchorKeepsItsPages) {
  const auto anchor = some_tokens(200, 1), tokens = some_tokens(150, 2);
  std::vector<TokenId> all = anchor;
  all.insert(all.end(), tokens.begin(), tokens.end());
  const auto expected = of_fresh(all, {});
  Session session(model_, {.chunk = 40, .page_size = 16});
  session.set_anchor(anchor, "anchor");
  for (int i = 0; i < 3; ++i) {
    session.append(some_tokens(300, i));
    session.truncate(session.anchor_size());
    session.append(tokens);
    EXPECT_EQ(logits(session), expected);
  }
}

}  // namespace
}  // namespace fieldprint
