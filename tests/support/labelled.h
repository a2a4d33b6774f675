// What tests of revocation, boundaries and anchors run: small models of every kind of state, prompts with sources, and
// the comparison with a run that never had one of them.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "fieldprint/scheduler.h"
#include "fieldprint/synth.h"
#include "support/scheduled.h"
#include "support/trials.h"

namespace fieldprint {

// K/V alone; short convolutions; experts; states that depend on every token, beside K/V; a sliding window.
inline constexpr const char* kEveryKindOfState[] = {"tiny-llama",         "tiny-lfm2",   "tiny-lfm2moe",
                                                    "tiny-granitehybrid", "tiny-qwen35", "tiny-gemma3"};

inline std::shared_ptr<const Model> synthetic(const std::string& preset, const LoadOptions& load = {.threads = 2}) {
  static int count = 0;
  const auto path = (std::filesystem::temp_directory_path() /
                     ("fieldprint-labelled-" + std::to_string(::getpid()) + "-" + std::to_string(count++)))
                        .string();
  SynthOptions options;
  options.preset = preset;
  options.mix = "Q4_K";
  synth(path, options);
  auto model = Model::load(path, load);
  std::filesystem::remove(path);  // it is mapped
  return model;
}

// Sampled, and without an end before `max_tokens`.
inline SamplingOptions unending(const Model& model, int max_tokens, uint64_t seed) {
  SamplingOptions options = sampled(max_tokens, seed);
  options.loop_check = false;
  for (TokenId token = 0; token < model.info().vocabulary; ++token) {
    if (model.tokenizer().ends_generation(token)) options.logit_bias.emplace_back(token, -1e9f);
  }
  return options;
}

inline LabelledTokens recalled(int id, int tokens) {
  return {{SpanKind::kRetrieved, "memory:" + std::to_string(id), 0}, some_tokens(tokens, 100 + id)};
}

// A conversation with recalled records: 1 and 2.
inline std::vector<LabelledTokens> conversation(int seed = 0) {
  return {{{SpanKind::kSystem, "", 0}, some_tokens(41, 1)},
          recalled(1, 30),
          {{SpanKind::kUser, "", 0}, some_tokens(9 + seed % 5, 10 + seed)},
          recalled(2, 21),
          {{SpanKind::kGenerated, "", 0}, some_tokens(3, 5)}};
}

inline std::vector<LabelledTokens> without(std::vector<LabelledTokens> spans, const std::string& source) {
  std::erase_if(spans, [&](const LabelledTokens& span) { return span.label.source == source; });
  return spans;
}

// What a fresh session makes of `spans`, and the hashes of its pages afterwards.
struct Expected {
  Generation generation;
  std::vector<std::string> pages;
};
inline Expected expected_of(const std::shared_ptr<const Model>& model, const std::vector<LabelledTokens>& spans,
                            const SamplingOptions& sampling, SessionOptions options = {}) {
  options.revoked.clear();
  options.speculation = {};
  Session session(model, options);
  Expected result{session.generate(spans, sampling), {}};
  for (const PageInfo& page : session.pages()) result.pages.push_back(page.hash);
  return result;
}

inline void expect_same(const Generation& got, const Generation& expected) {
  EXPECT_EQ(got.tokens, expected.tokens);
  EXPECT_EQ(got.text, expected.text);
  EXPECT_EQ(got.reason, expected.reason);
  EXPECT_EQ(got.stats.logits_hash, expected.stats.logits_hash);
  EXPECT_EQ(got.influence, expected.influence);
}

// The hashes of a cached sequence's pages: what a session that takes it up has.
inline std::vector<std::string> page_hashes_of(const Scheduler& scheduler, uint64_t id,
                                               const std::shared_ptr<const Model>& model) {
  const auto path = (std::filesystem::temp_directory_path() /
                     ("fieldprint-cached-" + std::to_string(::getpid()) + "-" + std::to_string(id)))
                        .string();
  scheduler.save_cached(id, path);
  Session session(model);
  session.load(path);
  std::filesystem::remove(path);
  std::vector<std::string> hashes;
  for (const PageInfo& page : session.pages()) hashes.push_back(page.hash);
  return hashes;
}

inline bool holds(const std::vector<LabelledTokens>& spans, const std::string& source) {
  return std::any_of(spans.begin(), spans.end(), [&](const auto& span) { return span.label.source == source; });
}

}  // namespace fieldprint
