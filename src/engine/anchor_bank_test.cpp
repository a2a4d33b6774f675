// Anchors of a scheduler: compiled, verified, shared, scrubbed.
#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "base/rng.h"
#include "engine/scheduler_state.h"
#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"
#include "kv/page_pool.h"
#include "support/labelled.h"

namespace fieldprint {
namespace {

std::vector<LabelledTokens> anchors() {
  return {{{SpanKind::kAnchor, "memory:7", 0}, some_tokens(12, 7)},
          {{SpanKind::kAnchor, "memory:8", 0}, some_tokens(9, 8)}};
}

std::vector<LabelledTokens> anchored(int seed, const std::vector<LabelledTokens>& first = anchors()) {
  auto spans = first;
  for (const auto& span : conversation(seed)) spans.push_back(span);
  return spans;
}

Request request_of(const Model& model, const std::vector<LabelledTokens>& spans, int max_tokens, uint64_t seed) {
  Request request;
  request.spans = spans;
  request.sampling = unending(model, max_tokens, seed);
  return request;
}

TEST(Anchors, HaveTheSameDigestHoweverTheyAreComputed) {
  for (const char* preset : kEveryKindOfState) {
    SCOPED_TRACE(preset);
    std::set<std::string> digests, chains;
    for (const char* isa : {"scalar", "avx2"}) {
      std::shared_ptr<const Model> model;
      try {
        model = synthetic(preset, {.threads = isa[0] == 's' ? 1 : 2, .isa = isa});
      } catch (const Error&) {
        continue;  // not of this machine
      }
      for (const int chunk : {0, 5}) {
        Scheduler scheduler(model, {.session = {.chunk = chunk}});
        const AnchorInfo info = scheduler.compile_anchor(anchors());
        EXPECT_EQ(info.tokens, 21);
        EXPECT_GT(info.pieces, 0);
        EXPECT_FALSE(info.pinned);
        digests.insert(info.kv_digest);
        chains.insert(info.chain);
        Scheduler other(model, {.session = {.chunk = chunk, .kv_type = "bf16"}});
        EXPECT_NE(other.compile_anchor(anchors()).kv_digest, info.kv_digest);
        auto changed = anchors();
        changed[1].tokens[3] ^= 1;
        EXPECT_NE(scheduler.compile_anchor(changed).kv_digest, info.kv_digest);
      }
    }
    EXPECT_EQ(digests.size(), 1u);
    EXPECT_EQ(chains.size(), 1u);
  }
}

TEST(Anchors, AreSharedByThoseThatBeginWithThemOnceTheyAreVerified) {
  for (const char* preset : kEveryKindOfState) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset);
    Scheduler scheduler(model, {.cache_bytes = 0});
    const AnchorInfo info = scheduler.compile_anchor(anchors());
    const auto expected = expected_of(model, anchored(0), unending(*model, 10, 1));
    Generation got = scheduler.submit(request_of(*model, anchored(0), 10, 1)).wait();
    expect_same(got, expected.generation);
    EXPECT_EQ(got.stats.reused_tokens, 0) << "not pinned yet";
    EXPECT_THROW(scheduler.pin_anchor(info.id, std::string(64, '0')), Error);
    EXPECT_THROW(scheduler.pin_anchor(info.id + 1, info.kv_digest), Error);
    scheduler.pin_anchor(info.id, info.kv_digest);
    EXPECT_TRUE(scheduler.anchors().at(0).pinned);
    got = scheduler.submit(request_of(*model, anchored(0), 10, 1)).wait();
    expect_same(got, expected.generation);
    EXPECT_EQ(got.stats.reused_tokens, 21);
    Request elsewhere = request_of(*model, anchored(0), 10, 1);
    elsewhere.cache_domain = "another";
    EXPECT_EQ(scheduler.submit(elsewhere).wait().stats.reused_tokens, 0);
    EXPECT_EQ(scheduler.submit(request_of(*model, conversation(), 3, 1)).wait().stats.reused_tokens, 0);
    EXPECT_TRUE(scheduler.drop_anchor(info.id));
    EXPECT_FALSE(scheduler.drop_anchor(info.id));
    EXPECT_EQ(scheduler.submit(request_of(*model, anchored(0), 10, 1)).wait().stats.reused_tokens, 0);
  }
}

TEST(Anchors, ARevokedOneIsDroppedAndAnswersBeginAnewWithoutIt) {
  const auto model = synthetic("tiny-lfm2moe");
  Scheduler scheduler(model);
  const AnchorInfo info = scheduler.compile_anchor(anchors());
  scheduler.pin_anchor(info.id, info.kv_digest);
  bool revoked = false;
  std::vector<Rollback> rollbacks;
  Request request = request_of(*model, anchored(0), 15, 1);
  request.on_token = [&](int, const Generation& so_far) {
    if (so_far.tokens.size() == 5 && !std::exchange(revoked, true))
      scheduler.revoke(std::vector<std::string>{"memory:8"});
  };
  request.on_rollback = [&](int, const Rollback& one) { rollbacks.push_back(one); };
  const auto expected = expected_of(model, without(anchored(0), "memory:8"), unending(*model, 15, 1));
  expect_same(scheduler.submit(request).wait(), expected.generation);
  ASSERT_EQ(rollbacks.size(), 1u);
  EXPECT_EQ(rollbacks[0].to, 12);
  EXPECT_TRUE(scheduler.anchors().empty());
  EXPECT_THROW(scheduler.compile_anchor(anchors()), Error);
  EXPECT_THROW(scheduler.pin_anchor(info.id, info.kv_digest), Error);
  EXPECT_THROW(scheduler.compile_anchor({}), Error);
}

}  // namespace

// Reaches the pages of a scheduler's anchors, to which nothing but a fault of memory writes.
struct SchedulerPeer {
  static void flip_bit(const Scheduler& scheduler, Rng& rng) {
    const auto anchor = scheduler.state_->bank.find({}, [](const auto&, const auto&) { return true; });
    ASSERT_NE(anchor, nullptr);
    const auto& options = scheduler.state_->stepper->options();
    std::vector<KvPage*> pages;
    anchor->sequence().state->visit_memory(
        [&](const void* piece, int64_t) { pages.push_back(static_cast<KvPage*>(const_cast<void*>(piece))); });
    const KvLayout layout(scheduler.state_->stepper->model().architecture().hyperparameters().kv, options.page_size,
                          kv_type(options.kv_type));
    // A key of a position that the first page holds.
    int layer = 0;
    do layer = static_cast<int>(rng.below(layout.layers()));
    while (layout.layer(layer).kv_heads == 0);
    const int64_t head = rng.below(layout.layer(layer).kv_heads), dimension = rng.below(layout.layer(layer).head_dim);
    std::byte* at = pages[0]->data() + layout.keys(layer, static_cast<int>(head)) +
                    (dimension * options.page_size + rng.below(12)) * 2 + rng.below(2);
    *at ^= std::byte{1} << rng.below(8);
  }
};

namespace {

TEST(AnchorsTrial, AFlippedBitIsFoundAndAnswersThatReadItBeginAnew) {
  const int count = trials(500);
  for (const char* preset : {"tiny-llama", "tiny-granitehybrid"}) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset, {.threads = 1});
    std::mutex mutex;
    std::vector<AnchorFault> faults;
    SchedulerOptions options;
    options.on_anchor_fault = [&](const AnchorFault& fault) {
      const std::lock_guard lock(mutex);
      faults.push_back(fault);
    };
    Scheduler scheduler(model, options);
    const AnchorInfo info = scheduler.compile_anchor(anchors());
    scheduler.pin_anchor(info.id, info.kv_digest);
    Rng rng(3);
    for (int i = 0; i < count; ++i) {
      // An answer that goes on until the fault was found, and then for ten tokens.
      std::promise<void> reached, flipped;
      int rollbacks = 0, after = 0, tokens = 0;
      Request request = request_of(*model, anchored(i), 2000, static_cast<uint64_t>(i));
      std::optional<Stream> stream;
      request.on_token = [&, held = flipped.get_future().share()](int, const Generation&) {
        if (tokens++ == 0) reached.set_value();
        held.wait();
        if (rollbacks == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // it is looked for, meanwhile
        if (rollbacks > 0 && ++after == 10) stream->cancel();
      };
      request.on_rollback = [&](int, const Rollback& rollback) {
        EXPECT_TRUE(rollback.damaged);
        EXPECT_EQ(rollback.source, "memory:7");
        EXPECT_EQ(rollback.to, 0);
        ++rollbacks;
      };
      for (TokenId end = 256; end < model->info().vocabulary; ++end)
        request.sampling.logit_bias.emplace_back(end, -1e9f);
      stream = scheduler.submit(request);
      reached.get_future().wait();
      SchedulerPeer::flip_bit(scheduler, rng);
      flipped.set_value();
      const Generation got = stream->wait();
      EXPECT_EQ(rollbacks, 1) << i;
      SamplingOptions sampling = request.sampling;
      sampling.max_tokens = static_cast<int>(got.tokens.size());
      EXPECT_EQ(expected_of(model, anchored(i), sampling).generation.tokens, got.tokens) << i;
      for (int wait = 0; wait < 1000; ++wait) {
        {
          const std::lock_guard lock(mutex);
          if (faults.size() == static_cast<size_t>(i) + 1) break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      const std::lock_guard lock(mutex);
      ASSERT_EQ(faults.size(), static_cast<size_t>(i) + 1);
      EXPECT_TRUE(faults.back().recomputed);
      EXPECT_NE(faults.back().expected, faults.back().found);
      ASSERT_EQ(scheduler.anchors().size(), 1u);
      EXPECT_EQ(scheduler.anchors()[0].id, info.id);
      EXPECT_TRUE(scheduler.anchors()[0].pinned);
    }
  }
}

}  // namespace
}  // namespace fieldprint
