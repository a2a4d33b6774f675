// Labelled contexts: pages, hashes, clearance, anchors, influence, as a session's user has them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>
#include <set>

#include "base/rng.h"
#include "fieldprint/catalog.h"
#include "fieldprint/error.h"
#include "fieldprint/session.h"
#include "fieldprint/synth.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

std::vector<TokenId> some_tokens(int count, int seed, int vocabulary = 256) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * 97 + seed * 31 + i / 7) % vocabulary);
  return tokens;
}

std::vector<float> logits(const Session& session) { return {session.logits().begin(), session.logits().end()}; }

std::shared_ptr<const Model> synthetic(const std::string& preset, int threads = 2) {
  const auto path =
      (std::filesystem::temp_directory_path() / ("fieldprint-labels-" + std::to_string(::getpid()))).string();
  SynthOptions options;
  options.preset = preset;
  options.mix = "Q4_K";
  synth(path, options);
  auto model = Model::load(path, {.threads = threads});
  std::filesystem::remove(path);  // it is mapped
  return model;
}

// nullptr where it has not been pulled.
std::shared_ptr<const Model> default_model() {
  try {
    return Model::load(resolve_model(std::string(kDefaultModel)), {.threads = 1});
  } catch (const Error&) {
    return nullptr;
  }
}

SamplingOptions greedy(int max_tokens) {
  SamplingOptions options;
  options.temperature = 0;
  options.max_tokens = max_tokens;
  return options;
}

std::vector<LabelledTokens> conversation() {
  return {{{SpanKind::kSystem, "", 0}, some_tokens(21, 1)},
          {{SpanKind::kRetrieved, "report.txt", 2}, some_tokens(70, 2)},
          {{SpanKind::kTool, "clock", 1}, some_tokens(9, 3)},
          {{SpanKind::kUser, "", 0}, some_tokens(33, 4)}};
}

std::vector<TokenId> flat(const std::vector<LabelledTokens>& spans) {
  std::vector<TokenId> all;
  for (const auto& span : spans) all.insert(all.end(), span.tokens.begin(), span.tokens.end());
  return all;
}

TEST(Labels, ChangeNoBitForAnyPageSizeChunkAndType) {
  const auto model = synthetic("tiny-lfm2moe");
  const auto spans = conversation();
  for (const char* type : {"f16", "q8_0"}) {
    Session plain(model, {.kv_type = type});
    plain.append(flat(spans));
    for (const int page : {1, 16, 64, 100, 256}) {
      for (const int chunk : {1, 40, 512}) {
        Session labelled(model, {.chunk = chunk, .page_size = page, .kv_type = type});
        EXPECT_EQ(labelled.assign(spans), 0);
        EXPECT_EQ(logits(labelled), logits(plain)) << page << " " << chunk;
        labelled.truncate(95);
        EXPECT_EQ(labelled.assign(spans), 95);
        EXPECT_EQ(logits(labelled), logits(plain)) << "after going back";
      }
    }
  }
}

TEST(Labels, APageHoldsPositionsOfOneSpan) {
  const auto model = synthetic("tiny-llama");
  Session session(model, {.page_size = 16});
  session.append(conversation());
  EXPECT_EQ(session.spans().size(), 4u);
  int position = 0;
  for (const PageInfo& page : session.pages()) {
    EXPECT_EQ(page.begin, position);
    EXPECT_LE(page.end, (page.begin / 16 + 1) * 16);
    int begin = 0;
    for (const auto& span : session.spans()) {
      const int end = begin + static_cast<int>(span.tokens.size());
      if (page.begin < begin || page.begin >= end) {
        begin = end;
        continue;
      }
      EXPECT_LE(page.end, end);
      EXPECT_EQ(page.label, span.label);
      break;
    }
    position = page.end;
  }
  EXPECT_EQ(position, 133);
}

TEST(Labels, TheHashChainSaysWhatAPageDependsOn) {
  const auto model = synthetic("tiny-llama");
  const auto hashes = [&](const std::vector<LabelledTokens>& spans, const SessionOptions& options = {}) {
    Session session(model, options);
    session.append(spans);
    std::vector<std::string> all;
    for (const PageInfo& page : session.pages()) all.push_back(page.hash);
    return all;
  };
  const auto base = conversation();
  const auto expected = hashes(base);
  EXPECT_EQ(std::set<std::string>(expected.begin(), expected.end()).size(), expected.size());
  EXPECT_EQ(hashes(base, {.chunk = 7}), expected);
  // From the page that holds the change on every hash differs; those before it are the same.
  const auto differs_from = [&](const std::vector<std::string>& other, size_t page) {
    ASSERT_EQ(other.size(), expected.size());
    for (size_t i = 0; i < other.size(); ++i) EXPECT_EQ(other[i] == expected[i], i < page) << i;
  };
  auto changed = base;
  changed[2].tokens[3] ^= 1;
  differs_from(hashes(changed), 3);  // system 1 page, report 2
  changed = base;
  changed[2].label.source = "watch";
  differs_from(hashes(changed), 3);
  changed = base;
  changed[1].label.clearance = 1;
  differs_from(hashes(changed), 1);
  changed = base;
  changed[0].label.kind = SpanKind::kUser;
  differs_from(hashes(changed), 0);
  differs_from(hashes(base, {.kv_type = "bf16"}), 0);
}

TEST(Labels, WhatIsKeptHasTheSameLabels) {
  const auto model = synthetic("tiny-llama");
  Session session(model);
  auto spans = conversation();
  session.assign(spans);
  EXPECT_EQ(session.assign(spans), 132);
  EXPECT_EQ(session.assign(flat(spans)), 132) << "no label is asked for";
  EXPECT_EQ(session.spans().size(), 4u) << "and what is kept keeps its own";
  spans[2].label.kind = SpanKind::kRetrieved;
  EXPECT_EQ(session.assign(spans), 91);
  session.generate(spans, greedy(5));
  EXPECT_EQ(session.spans().back().label.kind, SpanKind::kGenerated);
  EXPECT_EQ(session.pages().back().label.kind, SpanKind::kGenerated);
}

// ---- Clearance

TEST(Clearance, ASessionIsAsIfWhatIsAboveItHadNeverBeen) {
  for (const char* preset : {"tiny-llama", "tiny-lfm2moe"}) {
    const auto model = synthetic(preset);
    const auto spans = conversation();
    Session full(model);
    full.assign(spans);
    for (const int clearance : {0, 1, 2}) {
      std::vector<LabelledTokens> below;
      for (const auto& span : spans)
        if (span.label.clearance <= clearance) below.push_back(span);
      Session never(model);
      never.append(flat(below));
      Session session(model, {.clearance = clearance});
      session.assign(spans);
      EXPECT_EQ(logits(session), logits(never)) << clearance;
      Session branch = full.branch(clearance);
      EXPECT_EQ(logits(branch), logits(never)) << clearance;
      EXPECT_EQ(branch.spans().size(), below.size());
      const std::vector<TokenId> next = some_tokens(3, 9);
      branch.append(next);
      never.append(next);
      EXPECT_EQ(logits(branch), logits(never)) << "and so it goes on";
      if (clearance < 2) {
        EXPECT_THROW(branch.branch(clearance + 1), Error);
        EXPECT_TRUE(full.pages()[0].shared) << "what came before is shared";
        EXPECT_FALSE(full.pages()[1].shared);
      }
    }
    EXPECT_NE(logits(full.branch(0)), logits(full));
  }
}

TEST(Clearance, WhatIsAboveItTakesNoPlaceAndIsNotCounted) {
  const auto model = synthetic("tiny-llama");
  Session session(model, {.context = 100, .clearance = 0});
  session.append(conversation());  // 133 tokens, 54 of them visible
  EXPECT_EQ(session.tokens().size(), 54u);
  const std::vector<LabelledTokens> secret = {{{SpanKind::kUser, "", 5}, some_tokens(500, 1)}};
  session.append(secret);
  EXPECT_EQ(session.tokens().size(), 54u);
  EXPECT_THROW(session.generate(secret, {}), Error) << "nothing to begin with";
}

// `rounds` replacements of the text above the clearance, of any length, at the start, inside and at the end: the branch
// gives the same bits, prompt and answer.
void replace_what_is_above(const std::shared_ptr<const Model>& model, int rounds) {
  constexpr int vocabulary = 256;
  Rng rng(5);
  const auto text = [&](int least, int most) {
    std::vector<TokenId> tokens(static_cast<size_t>(least + rng.below(most - least + 1)));
    for (TokenId& token : tokens) token = static_cast<TokenId>(rng.below(vocabulary));
    return tokens;
  };
  const LabelledTokens system{{SpanKind::kSystem, "", 0}, text(3, 3)}, user{{SpanKind::kUser, "", 1}, text(2, 2)};
  Session full(model, {.context = 64});
  const auto run = [&](bool decode) {
    const std::vector<LabelledTokens> spans = {{{SpanKind::kRetrieved, "a", 2}, text(0, 1)},
                                               system,
                                               {{SpanKind::kRetrieved, "b", 3}, text(1, 3)},
                                               user,
                                               {{SpanKind::kTool, "c", 2}, text(0, 1)}};
    full.assign(spans);
    Session branch = full.branch(1);
    std::vector<float> bits = logits(branch);
    if (!decode) return bits;
    const TokenId token = 3;  // a decode step
    branch.append(std::span(&token, 1));
    const auto more = logits(branch);
    bits.insert(bits.end(), more.begin(), more.end());
    return bits;
  };
  const auto expected = run(true), prompt_only = run(false);
  int differ = 0;
  for (int i = 0; i < rounds; ++i) differ += run(i % 10 == 0) != (i % 10 == 0 ? expected : prompt_only);
  EXPECT_EQ(differ, 0) << "of " << rounds;
  testing::Test::RecordProperty("replacements", rounds);
}

TEST(Clearance, ThousandReplacementsOfWhatIsAboveChangeNoBitInLfm2moe) {
  replace_what_is_above(synthetic("tiny-lfm2moe", 1), 1000);
}

TEST(Clearance, ThousandReplacementsOfWhatIsAboveChangeNoBitInTheDefaultModel) {
  const auto model = default_model();
  if (model == nullptr) GTEST_SKIP() << "the default model is not here";
  replace_what_is_above(model, 1000);
}

TEST(Clearance, ASavedSessionKeepsItsLabelsAndIsRefusedBelowThem) {
  const auto model = synthetic("tiny-lfm2moe");
  const auto path =
      (std::filesystem::temp_directory_path() / ("fieldprint-labelled-" + std::to_string(::getpid()))).string();
  const auto spans = conversation();
  Session session(model);
  session.append(spans);
  session.save(path);
  const std::vector<TokenId> next = some_tokens(3, 9);
  Session restored(model, {.page_size = 16});
  restored.load(path);
  ASSERT_EQ(restored.spans().size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(restored.spans()[i].label, spans[i].label);
  EXPECT_EQ(restored.assign(spans), 132);
  EXPECT_EQ(logits(restored), logits(session));
  Session low(model, {.clearance = 1});
  EXPECT_THROW(low.load(path), Error);
  EXPECT_TRUE(low.tokens().empty());
  Session anchored(model);
  anchored.set_anchor(next, "");
  EXPECT_THROW(anchored.load(path), Error);
  std::filesystem::remove(path);
}

// ---- Anchors

TEST(Anchor, IsOrdinaryContextThatComesFirstInEverySequence) {
  for (const char* preset : {"tiny-llama", "tiny-lfm2moe"}) {
    const auto model = synthetic(preset);
    const auto anchor = some_tokens(20, 7), prompt = some_tokens(30, 1), other = some_tokens(25, 2);
    const auto joined = [&](const std::vector<TokenId>& rest) {
      std::vector<TokenId> all = anchor;
      all.insert(all.end(), rest.begin(), rest.end());
      Session plain(model);
      plain.append(all);
      return logits(plain);
    };
    Session session(model);
    session.append(some_tokens(11, 3));
    Session early = session.fork();
    session.set_anchor(anchor, "notes.txt");
    EXPECT_EQ(session.anchor_size(), 20);
    EXPECT_EQ(early.tokens().size(), 20u) << "what it held was computed without the anchor";
    EXPECT_EQ(session.assign(prompt), 0);
    EXPECT_EQ(logits(session), joined(prompt));
    early.assign(other);
    EXPECT_EQ(logits(early), joined(other));
    Session late = session.fork();
    EXPECT_EQ(late.assign(other), 0);
    EXPECT_EQ(logits(late), joined(other));
    late.truncate(0);
    EXPECT_EQ(late.tokens().size(), 20u) << "it stays";
    EXPECT_TRUE(session.pages()[0].pinned);
    EXPECT_EQ(session.pages()[0].label.kind, SpanKind::kAnchor);
    EXPECT_EQ(session.pages()[0].hash, early.pages()[0].hash);
    EXPECT_FALSE(session.pages()[1].pinned);

    early.remove_anchor();
    for (Session* s : {&session, &early, &late}) {
      EXPECT_TRUE(s->tokens().empty());
      EXPECT_TRUE(s->pages().empty()) << "all had seen it";
    }
    session.assign(prompt);
    Session plain(model);
    plain.append(prompt);
    EXPECT_EQ(logits(session), logits(plain));
  }
}

TEST(Anchor, ThatDoesNotFitIsRefused) {
  const auto model = synthetic("tiny-llama");
  Session session(model, {.context = 30});
  EXPECT_THROW(session.set_anchor(some_tokens(31, 1), ""), Error);
  session.set_anchor(some_tokens(20, 1), "");
  EXPECT_THROW(session.assign(some_tokens(11, 2)), Error);
  session.assign(some_tokens(10, 2));
}

// ---- Influence

TEST(Influence, OfAllSpansSumsToOneAndIsTheSameHoweverItIsComputed) {
  for (const char* preset : {"tiny-llama", "tiny-lfm2moe"}) {
    const auto model = synthetic(preset);
    const auto spans = conversation();
    std::vector<std::vector<float>> expected;
    for (const int page : {64, 5}) {
      for (const int chunk : {512, 30}) {
        Session session(model, {.chunk = chunk, .page_size = page, .influence = true});
        const Generation answer = session.generate(spans, greedy(8));
        ASSERT_EQ(answer.influence.size(), answer.tokens.size());
        for (const auto& row : answer.influence) {
          ASSERT_EQ(row.size(), session.spans().size() + 1);
          EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1, 1e-5);
          EXPECT_EQ(row.back(), 0) << "the file has no anchors";
        }
        EXPECT_EQ(answer.influence[0][4], 0) << "nothing was generated yet";
        ASSERT_GT(answer.tokens.size(), 1u);
        EXPECT_GT(answer.influence[1][4], 0);
        if (expected.empty()) expected = answer.influence;
        EXPECT_EQ(answer.influence, expected);
      }
    }
    Session without(model);
    EXPECT_TRUE(without.generate(spans, greedy(2)).influence.empty());
    EXPECT_THROW(Session(model, {.executor = "reference", .influence = true}), Error);
  }
}

}  // namespace
}  // namespace fieldprint
