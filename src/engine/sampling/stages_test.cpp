// Every stage beside its formula, written down plainly here: probabilities sorted anew for each stage, std::exp, loops.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "engine/sampler.h"
#include "engine/sampling/stage.h"
#include "fieldprint/error.h"

namespace fieldprint {
namespace {

// Token i is the text at(i).
class Words final : public Tokenizer {
 public:
  explicit Words(std::vector<std::string> words) : words_(std::move(words)) {}
  std::vector<TokenId> encode(std::string_view, const EncodeOptions&) const override { return {}; }
  std::string_view piece(TokenId token, bool) const override { return words_[static_cast<size_t>(token)]; }
  std::string decode(std::span<const TokenId>, bool) const override { return {}; }
  int size() const override { return static_cast<int>(words_.size()); }
  TokenId bos() const override { return kNoToken; }
  TokenId eos() const override { return kNoToken; }
  bool ends_generation(TokenId) const override { return false; }
  bool adds_bos() const override { return false; }
  TokenId find(std::string_view) const override { return kNoToken; }
  bool space_is_prefix_after(TokenId) const override { return false; }

 private:
  std::vector<std::string> words_;
};

using Logits = std::map<TokenId, double>;  // of the candidates that are left

struct Ranked {
  TokenId token;
  double p;
};

std::vector<Ranked> ranked(const Logits& logits) {
  double top = -INFINITY, total = 0;
  for (const auto& [token, logit] : logits) top = std::max(top, logit);
  std::vector<Ranked> all;
  for (const auto& [token, logit] : logits) {
    all.push_back({token, std::exp(logit - top)});
    total += all.back().p;
  }
  for (auto& r : all) r.p /= total;
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.p > b.p; });
  return all;
}

void keep(Logits& logits, const std::vector<Ranked>& kept) {
  Logits rest;
  for (const auto& r : kept) rest[r.token] = logits.at(r.token);
  logits = rest;
}

double entropy(const std::vector<Ranked>& all) {
  double h = 0;
  for (const auto& r : all) h -= r.p * std::log(r.p);
  return h;
}

// p-e-w's own loop, with tokens for breakers.
void plain_dry(const SamplingOptions& o, Logits& logits, std::vector<TokenId> history,
               const std::set<TokenId>& breakers) {
  if (o.dry_window >= 0 && history.size() > static_cast<size_t>(o.dry_window))
    history.erase(history.begin(), history.end() - o.dry_window);
  if (history.empty() || breakers.contains(history.back())) return;
  std::map<TokenId, int> lengths;
  const int last = static_cast<int>(history.size()) - 1;
  for (int i = 0; i < last; ++i) {
    int length = 0;
    while (i - length >= 0 && history[static_cast<size_t>(i - length)] == history[static_cast<size_t>(last - length)] &&
           !breakers.contains(history[static_cast<size_t>(i - length)]))
      ++length;
    int& longest = lengths[history[static_cast<size_t>(i + 1)]];
    longest = std::max(longest, length);
  }
  for (const auto& [token, length] : lengths) {
    if (length >= o.dry_allowed_length && !breakers.contains(token) && logits.contains(token))
      logits[token] -= o.dry_multiplier * std::pow(o.dry_base, length - o.dry_allowed_length);
  }
}

// A whole sampler by the formulas. `mu`: of Mirostat, between calls.
class PlainSampler {
 public:
  PlainSampler(const SamplingOptions& options, std::set<TokenId> breakers)
      : o_(options), breakers_(std::move(breakers)), rng_(options.seed), mu_(2.0 * options.mirostat_tau) {
    if (o_.samplers.empty())
      o_.samplers = {"penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"};
  }

  TokenId sample(const std::vector<float>& raw, const std::vector<TokenId>& history) {
    Logits logits;
    for (size_t i = 0; i < raw.size(); ++i) logits[static_cast<TokenId>(i)] = static_cast<double>(raw[i]);
    for (const auto& [token, bias] : o_.logit_bias) logits[token] += static_cast<double>(bias);
    std::erase_if(logits, [](const auto& l) { return l.second == -INFINITY; });
    for (const std::string& name : o_.samplers) stage(name, logits, history);
    auto all = ranked(logits);
    if (o_.mirostat == 2) {
      const auto cut = std::find_if(all.begin() + 1, all.end(), [&](const auto& r) { return -std::log2(r.p) > mu_; });
      all.erase(cut, all.end());
    }
    double sum = 0;
    for (const auto& r : all) sum += r.p;
    const double target = rng_.uniform() * sum;
    double below = 0;
    for (const auto& r : all) {
      below += r.p;
      if (below > target || &r == &all.back()) {
        mu_ -= static_cast<double>(o_.mirostat_eta) * (-std::log2(r.p / sum) - static_cast<double>(o_.mirostat_tau));
        return r.token;
      }
    }
    return kNoToken;
  }

 private:
  void stage(const std::string& name, Logits& logits, const std::vector<TokenId>& history) {
    if (name == "penalties") return penalties(logits, history);
    if (name == "dry") {
      if (o_.dry_multiplier != 0) plain_dry(o_, logits, history, breakers_);
      return;
    }
    if (name == "temperature") return temperature(logits);
    if (o_.mirostat == 2) return;
    auto all = ranked(logits);
    const auto resize = [&](size_t n) { all.erase(all.begin() + static_cast<std::ptrdiff_t>(n), all.end()); };
    if (name == "top_n_sigma" && o_.top_n_sigma > 0) {
      double mean = 0, variance = 0;
      for (const auto& [token, l] : logits) mean += l / static_cast<double>(logits.size());
      for (const auto& [token, l] : logits) variance += (l - mean) * (l - mean) / static_cast<double>(logits.size());
      const double top = logits.at(all.front().token);
      std::erase_if(all, [&](const auto& r) {
        return logits.at(r.token) < top - static_cast<double>(o_.top_n_sigma) * std::sqrt(variance);
      });
    }
    if (name == "top_k" && o_.top_k > 0) resize(std::min(all.size(), static_cast<size_t>(o_.top_k)));
    if (name == "typ_p" && o_.typical_p < 1) {
      const double h = entropy(all);
      std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
        return std::abs(-std::log(a.p) - h) < std::abs(-std::log(b.p) - h);
      });
      resize(reach(all, static_cast<double>(o_.typical_p)));
    }
    if (name == "top_p" && o_.top_p < 1) resize(reach(all, static_cast<double>(o_.top_p)));
    if (name == "min_p") {
      const double least = static_cast<double>(o_.min_p) * all.front().p;
      std::erase_if(all, [&](const auto& r) { return r.p < least; });
    }
    if (name == "xtc" && o_.xtc_probability > 0 && o_.xtc_threshold <= 0.5f &&
        rng_.uniform() < static_cast<double>(o_.xtc_probability)) {
      size_t above = 0;
      while (above < all.size() && all[above].p >= static_cast<double>(o_.xtc_threshold)) ++above;
      if (above > 1) all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(above - 1));
    }
    keep(logits, all);
  }

  static size_t reach(const std::vector<Ranked>& all, double p) {
    double sum = 0;
    for (size_t n = 0; n < all.size(); ++n) {
      if ((sum += all[n].p) >= p) return n + 1;
    }
    return all.size();
  }

  void penalties(Logits& logits, const std::vector<TokenId>& history) const {
    const size_t window = o_.penalty_window < 0 ? history.size() : static_cast<size_t>(o_.penalty_window);
    std::map<TokenId, int> counts;
    for (size_t i = history.size() - std::min(history.size(), window); i < history.size(); ++i) ++counts[history[i]];
    for (const auto& [token, count] : counts) {
      if (!logits.contains(token)) continue;
      double& logit = logits[token];
      logit = logit > 0 ? logit / o_.repetition_penalty : logit * o_.repetition_penalty;
      logit -= o_.presence_penalty + o_.frequency_penalty * static_cast<float>(count);
    }
  }

  void temperature(Logits& logits) const {
    double t = static_cast<double>(o_.temperature);
    const double range = static_cast<double>(o_.dynamic_temperature_range);
    if (range > 0 && logits.size() > 1) {
      const double even = entropy(ranked(logits)) / std::log(static_cast<double>(logits.size()));
      const double low = std::max(0.0, t - range), high = t + range;
      t = low + (high - low) * std::pow(even, static_cast<double>(o_.dynamic_temperature_exponent));
    }
    for (auto& [token, logit] : logits) logit /= t;
  }

  SamplingOptions o_;
  std::set<TokenId> breakers_;
  Rng rng_;
  double mu_;
};

SamplingOptions everything_off() {
  SamplingOptions o;
  o.temperature = 1;
  o.top_k = 0;
  o.top_p = 1;
  o.min_p = 0;
  return o;
}

constexpr int kVocabulary = 60;

const Words& words() {
  static const Words all([] {
    std::vector<std::string> texts;
    for (int i = 0; i < kVocabulary; ++i) texts.push_back(fmt::format("w{}", i));
    texts[3] = "end.\n";  // breakers: 3 and 4
    texts[4] = "\"";
    return texts;
  }());
  return all;
}

// 200 draws by both: the same stream, or the first difference.
void expect_the_formula(const SamplingOptions& o, uint64_t seed) {
  Rng rng(seed);
  Sampler sampler(o, {kVocabulary, &words()});
  PlainSampler plain(o, {3, 4});
  std::vector<TokenId> history;
  for (int i = 0; i < 30; ++i) history.push_back(static_cast<TokenId>(rng.below(8)));
  for (int step = 0; step < 200; ++step) {
    const float spread = static_cast<float>(rng.uniform()) * 4;
    std::vector<float> logits;
    for (int i = 0; i < kVocabulary; ++i) logits.push_back(spread * rng.normal());
    const TokenId expected = plain.sample(logits, history);
    ASSERT_EQ(sampler.sample(logits, history), expected) << "step " << step;
    history.push_back(rng.below(3) == 0 ? expected : static_cast<TokenId>(rng.below(8)));
  }
}

struct Setting {
  const char* name;
  void (*set)(SamplingOptions&, Rng&);
};

float one_of(Rng& rng, std::initializer_list<float> values) {
  return values.begin()[rng.below(static_cast<int64_t>(values.size()))];
}

const Setting kSettings[] = {
    {"logit_bias",
     [](auto& o, auto& r) {
       for (int i = 0; i < 6; ++i)
         o.logit_bias.emplace_back(static_cast<int32_t>(r.below(kVocabulary)), one_of(r, {2, -3, -INFINITY}));
     }},
    {"penalties",
     [](auto& o, auto& r) {
       o.repetition_penalty = one_of(r, {1, 1.2f, 0.9f});
       o.presence_penalty = one_of(r, {0, 0.7f});
       o.frequency_penalty = one_of(r, {0.3f, -0.2f});
       o.penalty_window = static_cast<int>(one_of(r, {-1, 5, 64}));
     }},
    {"dry",
     [](auto& o, auto& r) {
       o.dry_multiplier = one_of(r, {0.5f, 2});
       o.dry_base = one_of(r, {1.0f, 1.3f, 1.75f});
       o.dry_allowed_length = static_cast<int>(one_of(r, {1, 2, 3}));
       o.dry_window = static_cast<int>(one_of(r, {-1, 12, 100}));
     }},
    {"top_n_sigma",
     [](auto& o, auto& r) {
       o.top_n_sigma = one_of(r, {0.5f, 1, 2.5f});
     }},
    {"top_k",
     [](auto& o, auto& r) {
       o.top_k = static_cast<int>(one_of(r, {1, 3, 20, 100}));
     }},
    {"typ_p",
     [](auto& o, auto& r) {
       o.typical_p = one_of(r, {0.1f, 0.5f, 0.9f});
     }},
    {"top_p",
     [](auto& o, auto& r) {
       o.top_p = one_of(r, {0.1f, 0.5f, 0.95f});
     }},
    {"min_p",
     [](auto& o, auto& r) {
       o.min_p = one_of(r, {0.01f, 0.2f, 1});
     }},
    {"xtc",
     [](auto& o, auto& r) {
       o.xtc_probability = one_of(r, {0.5f, 1});
       o.xtc_threshold = one_of(r, {0, 0.05f, 0.2f, 0.5f});
     }},
    {"temperature",
     [](auto& o, auto& r) {
       o.temperature = one_of(r, {0.3f, 0.9f, 2});
     }},
    {"dynamic temperature",
     [](auto& o, auto& r) {
       o.dynamic_temperature_range = one_of(r, {0.3f, 2});
       o.dynamic_temperature_exponent = one_of(r, {0.5f, 1, 2});
     }},
    {"mirostat",
     [](auto& o, auto& r) {
       o.mirostat = 2;
       o.mirostat_tau = one_of(r, {1, 3, 5});
       o.mirostat_eta = one_of(r, {0.1f, 0.5f});
     }},
};

TEST(SamplerStages, EachFollowsItsFormula) {
  for (const Setting& setting : kSettings) {
    for (uint64_t seed = 0; seed < 12; ++seed) {
      SCOPED_TRACE(fmt::format("{}, seed {}", setting.name, seed));
      Rng rng(seed);
      SamplingOptions o = everything_off();
      o.seed = seed;
      setting.set(o, rng);
      expect_the_formula(o, seed);
    }
  }
}

TEST(SamplerStages, AnyOfThemTogetherInAnyOrderFollowTheirFormulas) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    SamplingOptions o = everything_off();
    o.seed = seed;
    std::string used;
    for (const Setting& setting : kSettings) {
      if (rng.below(3) != 0) continue;
      setting.set(o, rng);
      used += std::string(" ") + setting.name;
    }
    if (seed % 2 == 1) {
      std::vector<std::string> left = {"penalties", "dry",   "top_n_sigma", "top_k",      "typ_p",
                                       "top_p",     "min_p", "xtc",         "temperature"};
      while (!left.empty()) {
        const auto next = left.begin() + rng.below(static_cast<int64_t>(left.size()));
        if (rng.below(8) != 0) o.samplers.push_back(*next);
        left.erase(next);
      }
      if (o.samplers.empty()) o.samplers = {"top_k"};
    }
    SCOPED_TRACE(fmt::format("seed {}:{}; order {}", seed, used, fmt::join(o.samplers, " ")));
    expect_the_formula(o, seed);
  }
}

// What is left of `logits` after one stage.
std::set<TokenId> left(const char* name, const SamplingOptions& o, const std::vector<float>& logits) {
  const SamplerModel model{static_cast<int>(logits.size())};
  Candidates candidates;
  candidates.reset(logits);
  SamplerState state(0);
  for (const SamplerStageRow& row : sampler_stages()) {
    if (row.name == name && row.on(o)) row.make(o, model)->apply(candidates, {}, state);
  }
  std::set<TokenId> tokens;
  for (const Candidate& c : candidates.all()) tokens.insert(c.token);
  return tokens;
}

std::vector<float> logs(std::initializer_list<double> probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(SamplerStages, CutWhatTheirPapersCut) {
  const auto logits = logs({0.05, 0.4, 0.1, 0.25, 0.2});
  SamplingOptions o;
  o.top_k = 2;
  EXPECT_EQ(left("top_k", o, logits), (std::set<TokenId>{1, 3}));
  o.top_p = 0.6f;
  EXPECT_EQ(left("top_p", o, logits), (std::set<TokenId>{1, 3}));
  o.top_p = 0.7f;
  EXPECT_EQ(left("top_p", o, logits), (std::set<TokenId>{1, 3, 4}));
  o.min_p = 0.45f;  // 0.4 * 0.45 = 0.18
  EXPECT_EQ(left("min_p", o, logits), (std::set<TokenId>{1, 3, 4}));
  o.xtc_probability = 1;
  o.xtc_threshold = 0.15f;
  EXPECT_EQ(left("xtc", o, logits), (std::set<TokenId>{0, 2, 4})) << "of three above the threshold the least stays";
  o.xtc_threshold = 0.3f;
  EXPECT_EQ(left("xtc", o, logits).size(), 5u) << "one alone is no choice";
  o.xtc_threshold = 0.51f;
  EXPECT_EQ(left("xtc", o, logits).size(), 5u);
  // H = 1.415; surprises 3.00 0.92 2.30 1.39 1.61: nearest are 3, 4, 1.
  o.typical_p = 0.3f;
  EXPECT_EQ(left("typ_p", o, logits), (std::set<TokenId>{3, 4}));
  o.typical_p = 0.5f;
  EXPECT_EQ(left("typ_p", o, logits), (std::set<TokenId>{1, 3, 4}));
  o.top_n_sigma = 1;  // mean 2, sigma 2: at least 4
  EXPECT_EQ(left("top_n_sigma", o, {0, 0, 2, 2, 6}), (std::set<TokenId>{4}));
  EXPECT_EQ(left("top_n_sigma", o, {0, 0, 2, 4, 4, -INFINITY}), (std::set<TokenId>{3, 4}))
      << "banned ones do not count";
}

TEST(SamplerStages, DryLooksBackToTheLastBreaker) {
  const Words texts({"a", "b", "c", "x", "\n", "say", ": \"", "E", "ND"});
  SamplingOptions o = everything_off();
  o.temperature = 0;
  o.dry_multiplier = 1;
  o.dry_allowed_length = 2;
  const auto next = [&](std::vector<TokenId> history, std::vector<std::string> breakers = {"\n", ":"}) {
    o.dry_breakers = std::move(breakers);
    // c is the likeliest, then x; with a repetition of n tokens before it c loses 1.75^(n - 2).
    return Sampler(o, {9, &texts}).sample(std::vector<float>{0, 0, 5, 4.5f, 0, 0, 0, 0, 0}, history);
  };
  EXPECT_EQ(next({0, 1, 2, 0, 1}), 3) << "a b c a b: c would repeat";
  EXPECT_EQ(next({1, 2, 0, 1}), 2) << "one token may be repeated";
  EXPECT_EQ(next({0, 1, 2, 0, 4, 1}), 2) << "a breaker stands in between";
  EXPECT_EQ(next({0, 1, 2, 6, 0, 1}), 3) << "the breaker stands before";
  EXPECT_EQ(next({0, 1, 2, 0, 1}, {}), 3);
  // A breaker made of two tokens: what follows it is one token, too few.
  EXPECT_EQ(next({8, 1, 2, 7, 8, 1}, {"END"}), 2);
  EXPECT_EQ(next({8, 1, 2, 7, 8, 1}, {"ENDING"}), 3);
  // A token that holds a breaker is not penalised.
  EXPECT_EQ(Sampler(o, {9, &texts})
                .sample(std::vector<float>{0, 0, 0, 0, 5, 4.5f, 0, 0, 0}, std::vector<TokenId>{0, 1, 4, 0, 1}),
            5);
  o.dry_breakers = {"\n"};
  EXPECT_EQ(Sampler(o, {9, &texts})
                .sample(std::vector<float>{0, 0, 0, 0, 5, 4.5f, 0, 0, 0}, std::vector<TokenId>{0, 1, 4, 0, 1}),
            4);
}

TEST(SamplerStages, DryGrowsWithoutABound) {
  const Words texts(std::vector<std::string>(10, "w"));
  SamplingOptions o = everything_off();
  o.temperature = 0;
  o.dry_multiplier = 2;
  const std::vector<TokenId> history(5000, 7);
  std::vector<float> logits(10);
  logits[7] = 1e30f;
  EXPECT_EQ(Sampler(o, {10, &texts}).sample(logits, history), 0);
  for (auto& logit : logits) logit = -INFINITY;
  logits[7] = 0;
  EXPECT_EQ(Sampler(o, {10, &texts}).sample(logits, history), 7) << "penalised is not banned";
}

TEST(SamplerStages, AtTemperatureZeroNothingIsCutOrDrawn) {
  SamplingOptions o;
  o.temperature = 0;
  o.xtc_probability = 1;
  o.xtc_threshold = 0;
  o.typical_p = 0.1f;
  o.mirostat = 2;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    o.seed = seed;
    EXPECT_EQ(Sampler(o, {5}).sample(logs({0.1, 0.6, 0.1, 0.1, 0.1}), {}), 1);
  }
  o.presence_penalty = 3;
  EXPECT_EQ(Sampler(o, {5}).sample(logs({0.1, 0.6, 0.1, 0.1, 0.1}), std::vector<TokenId>{1}), 0);
}

TEST(SamplerStages, NothingAllowedIsNoToken) {
  Rng rng(1);
  for (int i = 0; i < 200; ++i) {
    SamplingOptions o = everything_off();
    for (const Setting& setting : kSettings) {
      if (rng.below(2) == 0) setting.set(o, rng);
    }
    if (rng.below(4) == 0) o.temperature = 0;
    o.logit_bias.clear();
    for (int t = 0; t < 7; ++t) o.logit_bias.emplace_back(t, -INFINITY);
    const std::vector<float> logits = {1, 2, 3, 4, 5, 6, 7};
    EXPECT_EQ(Sampler(o, {7, &words()}).sample(logits, std::vector<TokenId>{1, 2, 3, 1, 2}), kNoToken);
    o.logit_bias.pop_back();
    EXPECT_EQ(Sampler(o, {7, &words()}).sample(logits, std::vector<TokenId>{1, 2, 3, 1, 2}), 6);
  }
}

TEST(SamplerStages, TheMaskBansTheRest) {
  class Nothing final : public TokenMask {
    void allow(std::span<const TokenId>, TokenSet&) override {}
  };
  SamplingOptions o = everything_off();
  o.mask = [] { return std::make_unique<Nothing>(); };  // switches the stage on; the set is given here
  Sampler sampler(o, {200});
  std::vector<float> logits(200);
  logits[3] = 50;
  TokenSet allowed(200);
  EXPECT_EQ(sampler.sample(logits, {}, &allowed), kNoToken);
  std::set<TokenId> seen;
  for (const TokenId t : {0, 63, 64, 199}) allowed.add(t);
  for (int i = 0; i < 200; ++i) seen.insert(sampler.sample(logits, {}, &allowed));
  EXPECT_EQ(seen, (std::set<TokenId>{0, 63, 64, 199}));
  allowed.remove(64);
  EXPECT_FALSE(allowed.contains(64));
  allowed.add(3);
  EXPECT_EQ(sampler.sample(logits, {}, &allowed), 3);
}

TEST(SamplerStages, WhatStandsAboveTheVocabularyIsNeverChosen) {
  SamplingOptions o = everything_off();
  std::vector<float> logits = {1, 2, 3, 100, 100};
  std::set<TokenId> seen;
  Sampler sampler(o, {3});
  for (int i = 0; i < 300; ++i) seen.insert(sampler.sample(logits, std::vector<TokenId>{4}));
  EXPECT_EQ(seen, (std::set<TokenId>{0, 1, 2}));
  o.temperature = 0;
  o.presence_penalty = 1;
  EXPECT_EQ(Sampler(o, {3}).sample(logits, std::vector<TokenId>{4, 0, 3}), 2);
}

TEST(SamplerStages, AWrongOrderIsRefused) {
  const auto refused = [](std::vector<std::string> samplers, const std::string& says) {
    SamplingOptions o;
    o.samplers = std::move(samplers);
    try {
      const Sampler sampler(o, {5});
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kUsage);
      EXPECT_EQ(e.what(), says);
    }
  };
  refused({"top_k", "topp"}, "there is no sampler 'topp'");
  refused({"top_k", "temperature", "top_k"}, "the sampler 'top_k' is named twice");
  refused({"draw"}, "there is no sampler 'draw'");
  SamplingOptions o;
  o.samplers = {"top_p"};
  o.top_k = 1;
  o.top_p = 1;
  Sampler sampler(o, {2});
  std::set<TokenId> seen;
  for (int i = 0; i < 100; ++i) seen.insert(sampler.sample(std::vector<float>{0, 0}, {}));
  EXPECT_EQ(seen.size(), 2u) << "what is not named does not run";
}

TEST(SamplerStages, RefuseValuesOutOfRange) {
  const Setting wrong[] = {
      {"typical-p", [](auto& o, auto&) { o.typical_p = 0; }},
      {"typical-p", [](auto& o, auto&) { o.typical_p = 1.1f; }},
      {"top-n-sigma", [](auto& o, auto&) { o.top_n_sigma = -1; }},
      {"XTC probability", [](auto& o, auto&) { o.xtc_probability = 2; }},
      {"XTC threshold", [](auto& o, auto&) { o.xtc_threshold = NAN; }},
      {"DRY multiplier", [](auto& o, auto&) { o.dry_multiplier = -1; }},
      {"DRY base", [](auto& o, auto&) { o.dry_base = 0.5f; }},
      {"DRY allowed length", [](auto& o, auto&) { o.dry_allowed_length = 0; }},
      {"DRY window", [](auto& o, auto&) { o.dry_window = -2; }},
      {"DRY sequence breaker", [](auto& o, auto&) { o.dry_breakers = {""}; }},
      {"dynamic temperature range", [](auto& o, auto&) { o.dynamic_temperature_range = -1; }},
      {"dynamic temperature exponent", [](auto& o, auto&) { o.dynamic_temperature_exponent = INFINITY; }},
      {"mirostat", [](auto& o, auto&) { o.mirostat = 1; }},
      {"mirostat tau", [](auto& o, auto&) { o.mirostat_tau = -1; }},
      {"mirostat eta", [](auto& o, auto&) { o.mirostat_eta = 2; }},
      {"a logit bias",
       [](auto& o, auto&) {
         o.logit_bias = {{0, INFINITY}};
       }},
  };
  Rng rng(0);
  for (const Setting& setting : wrong) {
    SamplingOptions o;
    setting.set(o, rng);
    try {
      const Sampler sampler(o, {5});
      ADD_FAILURE() << setting.name << " accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kUsage);
      EXPECT_NE(std::string(e.what()).find(setting.name), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace fieldprint
