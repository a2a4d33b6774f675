// Revocation and rollback: afterwards all is as in a run that never had the source.
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "fieldprint/scheduler.h"
#include "support/labelled.h"

namespace fieldprint {
namespace {

const std::vector<std::string> kFirst = {"memory:1"}, kSecond = {"memory:2"};

// Collects what a request gives, rolled back where it says so.
struct Client {
  std::map<int, std::string> texts;
  std::map<int, std::vector<TokenId>> tokens;
  std::vector<Rollback> rollbacks;

  void listen(Request& request) {
    request.on_text = [this](int answer, std::string_view text) { texts[answer] += text; };
    request.on_token = [this, then = request.on_token](int answer, const Generation& so_far) {
      tokens[answer].push_back(so_far.tokens.back());
      if (then) then(answer, so_far);
    };
    request.on_rollback = [this](int answer, const Rollback& info) {
      EXPECT_EQ(info.tokens, static_cast<int>(tokens[answer].size()));
      EXPECT_EQ(info.text_bytes, texts[answer].size());
      EXPECT_LE(info.to, info.from);
      texts[answer].clear();
      tokens[answer].clear();
      rollbacks.push_back(info);
    };
  }
};

Request labelled(const Model& model, const std::vector<LabelledTokens>& spans, int max_tokens, uint64_t seed) {
  Request request;
  request.spans = spans;
  request.sampling = unending(model, max_tokens, seed);
  return request;
}

TEST(Revocation, AnAnswerUnderWayBeginsAnewWithTheBitsOfARunThatNeverHadIt) {
  for (const char* preset : kEveryKindOfState) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset);
    for (const bool influence : {false, true}) {
      const auto expected =
          expected_of(model, without(conversation(), "memory:1"), unending(*model, 20, 3), {.influence = influence});
      for (const size_t at : {1u, 2u, 17u}) {
        Scheduler scheduler(model, {.session = {.chunk = 16}});
        Request request = labelled(*model, conversation(), 20, 3);
        request.influence = influence;
        bool revoked = false;
        request.on_token = [&](int, const Generation& so_far) {
          if (so_far.tokens.size() == at && !std::exchange(revoked, true)) scheduler.revoke(kFirst);
        };
        Client client;
        client.listen(request);
        const Generation got = scheduler.submit(request).wait();
        expect_same(got, expected.generation);
        EXPECT_EQ(client.texts[0], got.text);
        EXPECT_EQ(client.tokens[0], got.tokens);
        ASSERT_EQ(client.rollbacks.size(), 1u);
        const Rollback& info = client.rollbacks[0];
        EXPECT_EQ(info.source, "memory:1");
        EXPECT_EQ(info.tokens, static_cast<int>(at));
        EXPECT_EQ(info.to, 41) << "what came before is kept";
        EXPECT_EQ(info.from, 104 + static_cast<int>(at) - 1);
        EXPECT_GE(info.pages, 2);
        EXPECT_GE(got.stats.reused_tokens, 30);
        EXPECT_EQ(scheduler.stats().rollbacks, 1u);
        const auto cached = scheduler.cached();
        ASSERT_EQ(cached.size(), 1u);
        EXPECT_FALSE(holds(scheduler.cached_spans(cached[0].id), "memory:1"));
        EXPECT_EQ(page_hashes_of(scheduler, cached[0].id, model), expected.pages);
      }
    }
  }
}

TEST(Revocation, WhoSharesAStepWithItNoticesNothing) {
  for (const char* preset : {"tiny-lfm2moe", "tiny-granitehybrid"}) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset);
    for (const char* drafts : {"off", "ngram"}) {
      SchedulerOptions options;
      options.session.speculation.drafts = drafts;
      options.streams = 12;
      Scheduler scheduler(model, options);
      std::vector<Client> clients(6);
      std::vector<Stream> streams;
      bool revoked = false;
      std::promise<void> submitted;
      for (int i = 0; i < 6; ++i) {
        // Odd ones have never heard of record 1; of the others some have two answers.
        auto spans = conversation(i);
        if (i % 2 == 1) spans = without(spans, "memory:1");
        Request request = labelled(*model, spans, 25, static_cast<uint64_t>(i));
        request.answers = i % 3 == 0 ? 2 : 1;
        request.on_token = [&, i, held = i == 0 ? submitted.get_future().share() : std::shared_future<void>()](
                               int, const Generation& so_far) {
          if (held.valid()) held.wait();
          if (i == 3 && so_far.tokens.size() == 12 && !std::exchange(revoked, true)) scheduler.revoke(kFirst);
        };
        clients[static_cast<size_t>(i)].listen(request);
        streams.push_back(scheduler.submit(request));
      }
      submitted.set_value();
      for (int i = 0; i < 6; ++i) {
        SCOPED_TRACE(i);
        Client& client = clients[static_cast<size_t>(i)];
        const int answers = streams[static_cast<size_t>(i)].answers();
        for (int answer = 0; answer < answers; ++answer) {
          const auto expected = expected_of(model, without(conversation(i), "memory:1"),
                                            unending(*model, 25, static_cast<uint64_t>(i + answer)));
          const Generation got = streams[static_cast<size_t>(i)].wait(answer);
          expect_same(got, expected.generation);
          EXPECT_EQ(client.texts[answer], got.text);
        }
        EXPECT_EQ(client.rollbacks.size(), i % 2 == 1 ? 0u : static_cast<size_t>(answers));
      }
      for (const CachedSequence& one : scheduler.cached())
        EXPECT_FALSE(holds(scheduler.cached_spans(one.id), "memory:1"));
    }
  }
}

TEST(Revocation, WhatTheModelWroteAfterReadingItGoesTooButHowTheAnswerBeginsStays) {
  const auto model = tiny();
  const std::vector<LabelledTokens> turns = {{{SpanKind::kSystem, "", 0}, some_tokens(10, 1)},
                                             {{SpanKind::kGenerated, "", 0}, some_tokens(5, 2)},
                                             recalled(1, 8),
                                             {{SpanKind::kUser, "", 0}, some_tokens(6, 3)},
                                             {{SpanKind::kGenerated, "", 0}, some_tokens(7, 4)},
                                             {{SpanKind::kUser, "", 0}, some_tokens(4, 5)},
                                             {{SpanKind::kGenerated, "", 0}, some_tokens(2, 6)}};
  std::vector<LabelledTokens> left = {turns[0], turns[1], turns[3], turns[5], turns[6]};
  const auto expected = expected_of(model, left, unending(*model, 9, 1));
  Scheduler scheduler(model);
  scheduler.revoke(kFirst);
  expect_same(scheduler.submit(labelled(*model, turns, 9, 1)).wait(), expected.generation);
  Session session(model, {.revoked = kFirst});
  expect_same(session.generate(turns, unending(*model, 9, 1)), expected.generation);
}

TEST(Revocation, ARequestThatWaitsOrComesLaterIsAsIfItHadNotBeenInIt) {
  const auto model = tiny();
  const auto expected = expected_of(model, without(conversation(), "memory:1"), unending(*model, 12, 1));
  SchedulerOptions options;
  options.streams = 1;
  Scheduler scheduler(model, options);
  std::promise<void> first, go;
  Request holding = labelled(*model, conversation(1), 3, 2);
  bool told = false;
  holding.on_token = [&](int, const Generation&) {
    if (std::exchange(told, true)) return;
    first.set_value();
    go.get_future().wait();
  };
  const Stream running = scheduler.submit(holding);
  first.get_future().wait();
  Request waiting = labelled(*model, conversation(), 12, 1);
  int rollbacks = 0;
  waiting.on_rollback = [&](int, const Rollback&) { ++rollbacks; };
  const Stream stream = scheduler.submit(waiting);
  scheduler.revoke(kFirst);
  go.set_value();
  expect_same(stream.wait(), expected.generation);
  EXPECT_EQ(rollbacks, 0) << "it had read nothing";
  expect_same(scheduler.submit(waiting).wait(), expected.generation);
  EXPECT_THROW(scheduler.submit(labelled(*model, {recalled(1, 5)}, 3, 1)), Error) << "nothing is left";
  EXPECT_THROW(scheduler.revoke(std::vector<std::string>{""}), Error);
}

TEST(Revocation, AnAnswerMayBeginAnewThreeTimes) {
  const auto model = tiny();
  std::vector<LabelledTokens> spans = {{{SpanKind::kUser, "", 0}, some_tokens(5, 1)}};
  for (int i = 1; i <= 5; ++i) spans.push_back(recalled(i, 6));
  for (const int revocations : {3, 4}) {
    Scheduler scheduler(model);
    Session session(model);
    int done[2] = {};
    const auto revoke = [&](int which, auto& from) {
      if (done[which] == revocations) return;
      ++done[which];
      from.revoke(std::vector<std::string>{"memory:" + std::to_string(done[which])});
    };
    Request request = labelled(*model, spans, 8, 1);
    request.on_token = [&](int, const Generation& so_far) {
      if (so_far.tokens.size() == 3) revoke(0, scheduler);
    };
    const Stream stream = scheduler.submit(request);
    size_t given = 0;
    const auto on_text = [&](std::string_view) {
      if (++given == 2) revoke(1, session);
    };
    session.on_rollback([&](const Rollback&) { given = 0; });
    if (revocations == 3) {
      const auto expected = expected_of(model, {spans[0], spans[4], spans[5]}, unending(*model, 8, 1));
      expect_same(stream.wait(), expected.generation);
      expect_same(session.generate(spans, unending(*model, 8, 1), on_text), expected.generation);
    } else {
      EXPECT_THROW((void)stream.wait(), Error);
      EXPECT_THROW((void)session.generate(spans, unending(*model, 8, 1), on_text), Error);
      EXPECT_FALSE(holds(session.spans(), "memory:4"));
      EXPECT_TRUE(scheduler.cached().empty());
    }
  }
}

TEST(Revocation, CachedSequencesGoWithTheirFilesAndPins) {
  const auto model = synthetic("tiny-lfm2moe");
  const auto folder = std::filesystem::temp_directory_path() / ("fieldprint-revoked-" + std::to_string(::getpid()));
  const auto files = [&] {
    size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder)) count += file.is_regular_file();
    return count;
  };
  SchedulerOptions options;
  options.cache_directory = folder.string();
  {
    Scheduler scheduler(model, options);
    (void)scheduler.submit(labelled(*model, conversation(), 5, 1)).wait();
    (void)scheduler.submit(labelled(*model, without(conversation(1), "memory:1"), 5, 1)).wait();
    for (const auto& one : scheduler.cached()) scheduler.pin_cached(one.id, true);
  }
  ASSERT_EQ(files(), 2u);
  {
    Scheduler scheduler(model, options);
    ASSERT_EQ(scheduler.cached().size(), 2u);
    scheduler.revoke(kFirst);
    EXPECT_EQ(scheduler.cached().size(), 1u);
    EXPECT_EQ(files(), 1u);
    const auto expected = expected_of(model, without(conversation(), "memory:1"), unending(*model, 5, 1));
    expect_same(scheduler.submit(labelled(*model, conversation(), 5, 1)).wait(), expected.generation);
  }
  {
    // Another one, which was not told then, is told when it starts.
    Scheduler elsewhere(model, options);
    (void)elsewhere.submit(labelled(*model, conversation(2), 5, 1)).wait();
  }
  EXPECT_EQ(files(), 3u);
  options.session.revoked = kSecond;
  Scheduler scheduler(model, options);
  EXPECT_EQ(files(), 0u) << "all of them held record 2";
  EXPECT_TRUE(scheduler.cached().empty());
  std::filesystem::remove_all(folder);
}

TEST(Revocation, WhoSharedPagesWithoutSayingTheirSourceComputesThemAnew) {
  const auto model = tiny();
  std::vector<TokenId> flat;
  for (const auto& span : conversation()) flat.insert(flat.end(), span.tokens.begin(), span.tokens.end());
  Scheduler scheduler(model);
  (void)scheduler.submit(labelled(*model, conversation(), 1, 1)).wait();
  Request request{flat, unending(*model, 10, 1), {}, {}};
  Client client;
  bool revoked = false;
  request.on_token = [&](int, const Generation& so_far) {
    if (so_far.tokens.size() == 4 && !std::exchange(revoked, true)) scheduler.revoke(kFirst);
  };
  client.listen(request);
  const Generation got = scheduler.submit(request).wait();
  Session session(model);
  expect_same(got, session.generate(flat, unending(*model, 10, 1)));
  EXPECT_EQ(client.rollbacks.size(), 1u);
  for (const auto& one : scheduler.cached()) EXPECT_FALSE(holds(scheduler.cached_spans(one.id), "memory:1"));
}

// ---- Sessions

TEST(Revocation, ASessionBeginsItsAnswerAnew) {
  for (const char* preset : kEveryKindOfState) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset);
    for (const char* drafts : {"off", "ngram"}) {
      const auto expected = expected_of(model, without(conversation(), "memory:1"), unending(*model, 20, 3));
      for (const int at : {1, 7}) {
        Session session(model, {.speculation = {.drafts = drafts}});
        std::string text;
        int pieces = 0;
        std::vector<Rollback> rollbacks;
        session.on_rollback([&](const Rollback& info) {
          EXPECT_EQ(info.text_bytes, text.size());
          text.clear();
          rollbacks.push_back(info);
        });
        const Generation got = session.generate(conversation(), unending(*model, 20, 3), [&](std::string_view piece) {
          text += piece;
          if (++pieces == at) session.revoke(kFirst);
        });
        expect_same(got, expected.generation);
        EXPECT_EQ(text, got.text);
        ASSERT_EQ(rollbacks.size(), 1u);
        EXPECT_EQ(rollbacks[0].to, 41);
        std::vector<std::string> hashes;
        for (const PageInfo& page : session.pages()) hashes.push_back(page.hash);
        EXPECT_EQ(hashes, expected.pages);
      }
    }
  }
}

TEST(Revocation, AnIdleSessionAndItsForksHoldWhatIsLeft) {
  for (const char* preset : {"tiny-llama", "tiny-granitehybrid"}) {
    const auto model = synthetic(preset);
    Session session(model);
    session.generate(conversation(), unending(*model, 6, 1));
    Session fork = session.fork();
    session.revoke(kFirst);
    auto left = without(conversation(), "memory:1");
    left.pop_back();  // the model had gone on from there
    Session never(model);
    never.append(left);
    for (Session* one : {&session, &fork}) {
      EXPECT_EQ(one->tokens().size(), never.tokens().size());
      EXPECT_TRUE(std::equal(one->logits().begin(), one->logits().end(), never.logits().begin(), never.logits().end()));
      ASSERT_EQ(one->pages().size(), never.pages().size());
      for (size_t i = 0; i < never.pages().size(); ++i) EXPECT_EQ(one->pages()[i].hash, never.pages()[i].hash);
    }
    const std::vector<LabelledTokens> more = {recalled(1, 4), recalled(3, 4)};
    fork.append(more);
    never.append(std::vector<LabelledTokens>{recalled(3, 4)});
    EXPECT_TRUE(std::equal(fork.logits().begin(), fork.logits().end(), never.logits().begin(), never.logits().end()));
  }
}

TEST(Revocation, ARevokedAnchorGoesWithAllThatFollowed) {
  const auto model = synthetic("tiny-lfm2");
  Session session(model);
  session.set_anchor(some_tokens(20, 3), "memory:1");
  session.append(std::vector<LabelledTokens>{recalled(2, 15)});
  Session fork = session.fork();
  fork.revoke(kFirst);
  Session never(model);
  never.append(std::vector<LabelledTokens>{recalled(2, 15)});
  for (Session* one : {&session, &fork}) {
    EXPECT_EQ(one->anchor_size(), 0);
    EXPECT_TRUE(std::equal(one->logits().begin(), one->logits().end(), never.logits().begin(), never.logits().end()));
  }
  EXPECT_THROW(session.set_anchor(some_tokens(20, 3), "memory:1"), Error);
  session.set_anchor(some_tokens(9, 4), "memory:5");
  EXPECT_EQ(session.anchor_size(), 9);
  EXPECT_EQ(fork.anchor_size(), 9);
}

TEST(Revocation, ASavedSessionThatHoldsItIsRefused) {
  const auto model = tiny();
  const auto path =
      (std::filesystem::temp_directory_path() / ("fieldprint-refused-" + std::to_string(::getpid()))).string();
  Session session(model);
  session.append(conversation());
  session.save(path);
  Session later(model, {.revoked = kSecond});
  later.append(some_tokens(3, 1));
  EXPECT_THROW(later.load(path), Error);
  EXPECT_EQ(later.tokens().size(), 3u);
  Scheduler scheduler(model, {.session = {.revoked = kSecond}});
  EXPECT_THROW(scheduler.load_cached(path), Error);
  session.revoke(kSecond);
  session.save(path);
  later.load(path);
  EXPECT_FALSE(holds(later.spans(), "memory:2"));
  std::filesystem::remove(path);
}

// ---- Trials

// Revoked at a random moment by another thread, amid others: at most the token that was being handed over then comes
// after it.
TEST(RevocationTrial, NoTokenAfterARandomMomentHasReadIt) {
  const int count = trials(10000);
  const auto model = synthetic("tiny-lfm2moe", {.threads = 1});
  Scheduler scheduler(model, {.session = {.chunk = 24}, .streams = 4});
  Rng rng(7);
  int64_t late = 0, begun_anew = 0, differ = 0;
  std::map<std::pair<int, int>, Generation> never;  // by seed and whether anything was left out
  for (int i = 0; i < count; ++i) {
    const std::string source = "memory:" + std::to_string(1000 + i);
    const int seed = i % 5;
    auto spans = conversation(seed);
    spans[1].label.source = source;
    std::atomic<bool> revoked{false};
    std::atomic<int> after{0};
    std::promise<void> first;
    bool told = false, clean = false;
    Request request = labelled(*model, spans, 12, static_cast<uint64_t>(seed));
    request.cache_domain = "trial";
    request.on_progress = [&](int, int, int) {
      if (!std::exchange(told, true)) first.set_value();
    };
    request.on_token = [&](int, const Generation&) {
      if (revoked.load() && !clean) ++after;
    };
    request.on_rollback = [&](int, const Rollback&) { clean = true; };
    Request other = labelled(*model, without(conversation(seed), "memory:1"), 8, 9);
    const Stream beside = scheduler.submit(other);
    const Stream stream = scheduler.submit(request);
    first.get_future().wait();
    std::this_thread::sleep_for(std::chrono::microseconds(rng.below(9000)));
    scheduler.revoke(std::vector<std::string>{source});
    revoked.store(true);
    const Generation got = stream.wait();
    (void)beside.wait();
    const auto key = std::pair(seed, clean ? 1 : 0);
    if (!never.contains(key)) {
      const auto prompt = clean ? without(spans, source) : spans;
      never[key] = expected_of(model, prompt, request.sampling).generation;
    }
    differ += got.tokens != never[key].tokens || got.text != never[key].text ||
              got.stats.logits_hash != never[key].stats.logits_hash;
    begun_anew += clean;
    late += std::max(0, after.load() - 1);
    for (const auto& one : scheduler.cached()) ASSERT_FALSE(holds(scheduler.cached_spans(one.id), source)) << i;
  }
  EXPECT_EQ(late, 0);
  EXPECT_EQ(differ, 0);
  EXPECT_GT(begun_anew, count / 20) << "most moments must be in time";
  RecordProperty("revocations", count);
  RecordProperty("begun_anew", static_cast<int>(begun_anew));
}

// Rollbacks after a random number of tokens: bit for bit the run that never had the source.
TEST(RevocationTrial, EveryRollbackHasTheBitsOfTheRunThatNeverHadIt) {
  const int count = trials(1000);
  Rng rng(11);
  for (const char* preset : kEveryKindOfState) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset, {.threads = 1});
    Scheduler plain(model, {.session = {.chunk = 24}, .streams = 4});
    Scheduler drafting(model, {.session = {.chunk = 24, .speculation = {.drafts = "ngram"}}, .streams = 4});
    int differ = 0, rollbacks = 0;
    for (int i = 0; i < count; ++i) {
      Scheduler& scheduler = i % 2 == 0 ? plain : drafting;
      const std::string source = "memory:" + std::to_string(1000 + i);
      auto spans = conversation(i);
      const size_t which = rng.below(2) == 0 ? 1 : 3;
      spans[which].label.source = source;
      spans[which].tokens = some_tokens(1 + static_cast<int>(rng.below(80)), i);
      const auto at = static_cast<size_t>(1 + rng.below(10));
      bool revoked = false;
      Request request = labelled(*model, spans, 12, static_cast<uint64_t>(i));
      request.cache_domain = "trial " + std::to_string(i);
      request.answers = i % 4 == 0 ? 2 : 1;
      request.influence = i % 5 == 0;
      request.on_token = [&](int, const Generation& so_far) {
        if (so_far.tokens.size() == at && !std::exchange(revoked, true))
          scheduler.revoke(std::vector<std::string>{source});
      };
      request.on_rollback = [&](int, const Rollback&) { ++rollbacks; };
      std::vector<Stream> beside;
      for (int b = 0; b < i % 3; ++b) beside.push_back(scheduler.submit(labelled(*model, conversation(b), 14, 1)));
      const Stream stream = scheduler.submit(request);
      bool same = true;
      std::vector<std::vector<std::string>> pages;
      for (int answer = 0; answer < request.answers; ++answer) {
        SamplingOptions sampling = request.sampling;
        sampling.seed += static_cast<uint64_t>(answer);
        const auto expected = expected_of(model, without(spans, source), sampling, {.influence = request.influence});
        const Generation got = stream.wait(answer);
        same &= got.tokens == expected.generation.tokens && got.text == expected.generation.text &&
                got.stats.logits_hash == expected.generation.stats.logits_hash &&
                got.influence == expected.generation.influence;
        pages.push_back(expected.pages);
      }
      for (const Stream& one : beside) (void)one.wait();
      for (const auto& one : scheduler.cached()) {
        same &= !holds(scheduler.cached_spans(one.id), source);
        if (one.domain != request.cache_domain) continue;
        const auto hashes = page_hashes_of(scheduler, one.id, model);
        same &= std::find(pages.begin(), pages.end(), hashes) != pages.end();
        scheduler.erase_cached(one.id);
      }
      differ += !same;
    }
    EXPECT_EQ(differ, 0) << "of " << count;
    EXPECT_GT(rollbacks, count / 2);
  }
}

// Whatever a session has been through: after a revocation it holds what a fresh one makes of what is left.
TEST(RevocationTrial, ASessionIsAlwaysOneThatNeverHadWhatIsGone) {
  const int count = trials(1000);
  Rng rng(5);
  int64_t steps = 0, revocations = 0;
  for (const char* preset : {"tiny-llama", "tiny-lfm2moe", "tiny-granitehybrid", "tiny-gemma3"}) {
    SCOPED_TRACE(preset);
    const auto model = synthetic(preset, {.threads = 1});
    for (int i = 0; i < count; ++i) {
      Session session(model, {.chunk = static_cast<int>(rng.below(40)), .page_size = 16});
      std::vector<LabelledTokens> held;  // what there should be
      std::vector<std::string> gone;
      const auto size = [&] {
        int total = 0;
        for (const auto& span : held) total += static_cast<int>(span.tokens.size());
        return total;
      };
      for (int step = 0; step < 8; ++step, ++steps) {
        switch (rng.below(5)) {
          case 0: {  // a source goes, whether it is here or not
            const std::string source = "memory:" + std::to_string(rng.below(4));
            const std::vector<std::string> sources = {source};
            session.revoke(sources);
            gone.push_back(source);
            ++revocations;
            const auto first =
                std::find_if(held.begin(), held.end(), [&](const auto& span) { return span.label.source == source; });
            held.erase(std::remove_if(first, held.end(),
                                      [&](const auto& span) {
                                        return span.label.source == source || span.label.kind == SpanKind::kGenerated;
                                      }),
                       held.end());
            break;
          }
          case 1: {
            const int keep = static_cast<int>(rng.below(size() + 1));
            session.truncate(keep);
            int left = keep;
            for (auto& span : held) {
              const int n = std::min(left, static_cast<int>(span.tokens.size()));
              span.tokens.resize(static_cast<size_t>(n));
              left -= n;
            }
            std::erase_if(held, [](const auto& span) { return span.tokens.empty(); });
            break;
          }
          case 2:
            session = session.fork();
            break;
          default: {
            LabelledTokens span{{rng.below(3) == 0 ? SpanKind::kGenerated : SpanKind::kRetrieved, "", 0},
                                some_tokens(1 + static_cast<int>(rng.below(40)), static_cast<int>(rng.below(1000)))};
            if (span.label.kind == SpanKind::kRetrieved) span.label.source = "memory:" + std::to_string(rng.below(4));
            session.append(std::vector<LabelledTokens>{span});
            if (std::find(gone.begin(), gone.end(), span.label.source) == gone.end()) held.push_back(span);
          }
        }
      }
      session.append(std::vector<LabelledTokens>{{{SpanKind::kUser, "", 0}, some_tokens(3, i)}});
      held.push_back({{SpanKind::kUser, "", 0}, some_tokens(3, i)});
      Session fresh(model, {.page_size = 16});
      fresh.append(held);
      ASSERT_EQ(session.tokens().size(), fresh.tokens().size()) << i;
      ASSERT_TRUE(std::equal(fresh.logits().begin(), fresh.logits().end(), session.logits().begin())) << i;
      const auto expected = fresh.pages(), got = session.pages();
      ASSERT_EQ(got.size(), expected.size()) << i;
      for (size_t page = 0; page < got.size(); ++page) ASSERT_EQ(got[page].hash, expected[page].hash) << i;
    }
  }
  RecordProperty("steps", static_cast<int>(steps));
  RecordProperty("revocations", static_cast<int>(revocations));
}

}  // namespace
}  // namespace fieldprint
