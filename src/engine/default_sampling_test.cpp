#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <sstream>

#include "engine/sampler.h"
#include "fieldprint/catalog.h"
#include "fieldprint/model.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

SamplingOptions of(const std::function<void(GgufWriter&)>& more, const std::string& name = "model.gguf") {
  const auto folder = std::filesystem::temp_directory_path() / ("fieldprint-defaults-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const std::string path = folder / name;
  with_tiny_model({.more = more}, [&](const GgufWriter& writer) { writer.write(path); });
  const SamplingOptions options = default_sampling(*Model::load(path, {.threads = 1}));
  std::filesystem::remove_all(folder);
  return options;
}

TEST(DefaultSampling, AFileThatSaysNothingGetsOurs) {
  const SamplingOptions o = of({});
  EXPECT_EQ(o.temperature, 0.8f);
  EXPECT_EQ(o.top_k, 40);
  EXPECT_EQ(o.top_p, 0.95f);
  EXPECT_EQ(o.min_p, 0.05f);
}

TEST(DefaultSampling, TheFileSays) {
  const auto more = [](GgufWriter& w) {
    w.set("general.sampling.temp", 0.6f);
    w.set("general.sampling.top_k", int32_t{20});
    w.set("general.sampling.top_p", 0.5f);
    w.set("general.sampling.min_p", 0.0f);
    w.set("general.sampling.penalty_repeat", 1.05f);
    w.set("general.sampling.penalty_last_n", int32_t{128});
    w.set("general.sampling.xtc_probability", 0.5f);
    w.set("general.sampling.xtc_threshold", 0.2f);
    w.set("general.sampling.mirostat", int32_t{2});
    w.set("general.sampling.mirostat_tau", 4.0f);
    w.set("general.sampling.mirostat_eta", 0.2f);
    w.set("general.sampling.sequence", "top_k;adaptive_p;temperature;top_k");
  };
  // The file's word goes before that of the catalogue.
  const SamplingOptions o = of(more, "SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_EQ(o.temperature, 0.6f);
  EXPECT_EQ(o.top_k, 20);
  EXPECT_EQ(o.top_p, 0.5f);
  EXPECT_EQ(o.min_p, 0.0f);
  EXPECT_EQ(o.repetition_penalty, 1.05f);
  EXPECT_EQ(o.penalty_window, 128);
  EXPECT_EQ(o.xtc_probability, 0.5f);
  EXPECT_EQ(o.xtc_threshold, 0.2f);
  EXPECT_EQ(o.mirostat, 2);
  EXPECT_EQ(o.mirostat_tau, 4.0f);
  EXPECT_EQ(o.mirostat_eta, 0.2f);
  EXPECT_EQ(o.samplers, (std::vector<std::string>{"top_k", "temperature"}));
}

TEST(DefaultSampling, WhatMakesNoSenseIsPassedOver) {
  const SamplingOptions o = of([](GgufWriter& w) {
    w.set("general.sampling.temp", NAN);
    w.set("general.sampling.top_k", int32_t{-1});  // how some say "off"
    w.set("general.sampling.top_p", 7.0f);
    w.set("general.sampling.min_p", "much");
    w.set("general.sampling.mirostat", int32_t{1});
    w.set("general.sampling.penalty_last_n", 1e30f);
  });
  EXPECT_EQ(o.temperature, 0.8f);
  EXPECT_EQ(o.top_k, 0);
  EXPECT_EQ(o.top_p, 0.95f);
  EXPECT_EQ(o.min_p, 0.05f);
  EXPECT_EQ(o.mirostat, 0);
  EXPECT_EQ(o.penalty_window, 64);
}

TEST(DefaultSampling, TheCatalogueSays) {
  const SamplingOptions smollm = of({}, "SmolLM2-135M-Instruct.Q4_1.gguf");
  EXPECT_EQ(smollm.temperature, 0.2f);
  EXPECT_EQ(smollm.top_p, 0.9f);
  EXPECT_EQ(smollm.top_k, 40);
  EXPECT_EQ(smollm.repetition_penalty, 1.1f);
  const SamplingOptions lfm = of({}, "LFM2-8B-A1B-Q6_K.gguf");
  EXPECT_EQ(lfm.temperature, 0.3f);
  EXPECT_EQ(lfm.min_p, 0.15f);
  EXPECT_EQ(lfm.repetition_penalty, 1.05f);
}

TEST(DefaultSampling, EveryRowOfTheCatalogueIsUnderstood) {
  for (const CatalogEntry& entry : catalog()) {
    SamplingOptions o = of({}, std::string(entry.file));
    EXPECT_NO_THROW(Sampler(o, {10})) << entry.name;
    if (entry.sampling.empty()) continue;
    // Each part of it, whether or not it is what would hold anyway.
    std::istringstream parts{std::string(entry.sampling)};
    for (std::string part; std::getline(parts, part, ';');) {
      const size_t equals = part.find('=');
      ASSERT_NE(equals, std::string::npos) << entry.name;
      const std::map<std::string, float> values = {{"temp", o.temperature},
                                                   {"top_k", static_cast<float>(o.top_k)},
                                                   {"top_p", o.top_p},
                                                   {"min_p", o.min_p},
                                                   {"penalty_repeat", o.repetition_penalty}};
      const auto value = values.find(part.substr(0, equals));
      ASSERT_NE(value, values.end()) << entry.name << " says " << part;
      EXPECT_EQ(value->second, std::stof(part.substr(equals + 1))) << entry.name << " says " << part;
    }
  }
}

}  // namespace
}  // namespace fieldprint
