#include "fieldprint/perplexity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "engine/likelihood.h"
#include "fieldprint/error.h"
#include "measure/divergence.h"
#include "measure/kl_base.h"
#include "support/files.h"
#include "support/temp_home.h"
#include "support/tiny_model.h"

namespace fieldprint {
namespace {

using testing::HasSubstr;

std::string words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i * 7919 % 9973) + " ";
  return text;
}

class Perplexity : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (home_.path() / name).string(); }
  static std::shared_ptr<const Model> model(const TinyModelShape& shape = {}) {
    const TinyModelFile file(shape);
    return Model::load(file.path(), {.threads = 2});
  }

  TempHome home_;
  std::string text_ = words(120);
};

// The definition, straight: every token but the first is scored once, given the tokens of its window before it.
TEST_F(Perplexity, StrideIsWhatTransformersDefine) {
  const auto loaded = model();
  const auto ids = loaded->tokenizer().encode(text_, {.add_special = true, .parse_special = false});
  for (const int stride : {1, 8, 31}) {
    PerplexityOptions options;
    options.context = 32;
    options.stride = stride;
    options.chunks = stride == 1 ? 40 : 0;
    const PerplexityResult result = perplexity(loaded, text_, options);
    double sum = 0;
    int64_t scored = 0;
    size_t before = 0;
    for (size_t begin = 0; begin < ids.size(); begin += static_cast<size_t>(stride)) {
      const size_t end = std::min(begin + 32, ids.size());
      const size_t targets = end - before;  // of the window's tokens the last so many
      Session session(loaded);
      session.append(std::span(ids).subspan(begin, end - begin), [&](int index, std::span<const float> logits) {
        const size_t next = begin + static_cast<size_t>(index) + 1;
        if (next >= end || next < end - targets) return;
        sum += negative_log_likelihood(logits, ids[next]);
        ++scored;
      });
      before = end;
      if (end == ids.size() || (options.chunks > 0 && begin + 1 == 40)) break;
    }
    EXPECT_EQ(result.tokens, scored) << stride;
    if (stride != 1) {
      EXPECT_EQ(scored, static_cast<int64_t>(ids.size()) - 1);
    }
    EXPECT_NEAR(result.nll, sum / static_cast<double>(scored), 1e-9) << stride;
    EXPECT_EQ(result.stride, stride);
  }
  PerplexityOptions whole;
  whole.context = 32;
  whole.stride = 32;
  EXPECT_THAT(refusal([&] { perplexity(loaded, text_, whole); }), HasSubstr("a stride of 32"));
}

TEST_F(Perplexity, DivergenceIsItsFormula) {
  const auto one = model(), other = model({.type = "Q4_0"});
  PerplexityOptions options;
  options.context = 64;
  options.chunks = 3;
  options.kl_save = path("base");
  const PerplexityResult base = perplexity(one, text_, options);
  EXPECT_FALSE(base.divergence.has_value());

  PerplexityOptions compare;  // context and chunks are the base's
  compare.kl_base = path("base");
  const PerplexityResult result = perplexity(other, text_, compare);
  EXPECT_EQ(result.tokens, base.tokens);
  EXPECT_EQ(result.context, 64);
  ASSERT_TRUE(result.divergence.has_value());
  const Divergence& d = *result.divergence;

  std::vector<double> divergences, deltas;
  int64_t same = 0;
  const auto ids = one->tokenizer().encode(text_, {.add_special = true, .parse_special = false});
  for (size_t chunk = 0; chunk < 3; ++chunk) {
    std::vector<std::vector<float>> logits[2];
    for (int which = 0; which < 2; ++which) {
      Session session(which == 0 ? one : other);
      session.append(std::span(ids).subspan(chunk * 64, 64),
                     [&](int, std::span<const float> row) { logits[which].emplace_back(row.begin(), row.end()); });
    }
    for (size_t t = 32; t + 1 < 64; ++t) {
      const auto &p = logits[0][t], &q = logits[1][t];
      const double zp = log_sum_exp(p), zq = log_sum_exp(q);
      double kl = 0;
      for (size_t i = 0; i < p.size(); ++i) kl += std::exp(double{p[i]} - zp) * (double{p[i]} - zp - double{q[i]} + zq);
      divergences.push_back(kl);
      const auto target = static_cast<size_t>(ids[chunk * 64 + t + 1]);
      deltas.push_back(std::exp(double{q[target]} - zq) - std::exp(double{p[target]} - zp));
      const auto top = [](const std::vector<float>& v) { return std::max_element(v.begin(), v.end()) - v.begin(); };
      same += top(p) == top(q) ? 1 : 0;
    }
  }
  const auto n = static_cast<double>(divergences.size());
  double mean = 0, square = 0, delta = 0;
  for (const double kl : divergences) mean += kl / n;
  for (const double kl : divergences) square += (kl - mean) * (kl - mean) / n;
  for (const double one_delta : deltas) delta += one_delta * one_delta / n;
  std::sort(divergences.begin(), divergences.end());
  EXPECT_GT(mean, 1e-4);
  EXPECT_NEAR(d.mean, mean, 1e-5 + 1e-4 * mean);
  EXPECT_NEAR(d.mean_error, std::sqrt(square / (n - 1)), 1e-5);
  EXPECT_NEAR(d.median, divergences[static_cast<size_t>(n) / 2], 1e-5 + 1e-3 * d.median);
  EXPECT_NEAR(d.max, divergences.back(), 1e-5 + 1e-4 * d.max);
  EXPECT_LE(d.median, d.p90);
  EXPECT_LE(d.p90, d.p95);
  EXPECT_LE(d.p99, d.p999);
  EXPECT_LE(d.p999, d.max);
  EXPECT_NEAR(d.delta_p_rms, std::sqrt(delta), 1e-7);
  EXPECT_EQ(d.same_top, static_cast<double>(same) / n);
  EXPECT_NEAR(d.base_perplexity, base.perplexity, 1e-5 * base.perplexity);
  EXPECT_NEAR(d.ratio, result.perplexity / base.perplexity, 1e-6);
  EXPECT_GT(d.ratio_error, 0);
}

TEST_F(Perplexity, AModelDoesNotDivergeFromItself) {
  for (const int stride : {0, 24}) {
    PerplexityOptions options;
    options.context = 64;
    options.stride = stride;
    options.kl_save = path("base");
    const PerplexityResult base = perplexity(model(), text_, options);
    PerplexityOptions compare;
    compare.kl_base = path("base");
    const PerplexityResult result = perplexity(model(), text_, compare);
    EXPECT_EQ(result.tokens, base.tokens);
    EXPECT_LT(result.divergence->mean, 1e-7);
    EXPECT_EQ(result.divergence->same_top, 1);
    EXPECT_NEAR(result.divergence->ratio, 1, 1e-7);
    EXPECT_LT(result.divergence->delta_p_rms, 1e-7);
    compare.chunks = 1;  // fewer will do
    EXPECT_EQ(perplexity(model(), text_, compare).chunks, 1);
  }
}

TEST_F(Perplexity, ABaseOfSomethingElseIsRefused) {
  PerplexityOptions options;
  options.context = 64;
  options.chunks = 1;
  options.kl_save = path("base");
  perplexity(model(), text_, options);
  PerplexityOptions compare;
  compare.kl_base = path("base");
  const auto said = [&](const std::shared_ptr<const Model>& who, const std::string& text) {
    return refusal([&] { perplexity(who, text, compare); });
  };
  EXPECT_THAT(said(model(), text_ + "!"), HasSubstr("on another text"));
  EXPECT_THAT(said(model({.vocabulary = 320}), text_), HasSubstr("another vocabulary"));
  compare.context = 32;
  EXPECT_THAT(said(model(), text_), HasSubstr("a window of 64, not 32"));
  compare.context = 0;
  compare.stride = 16;
  EXPECT_THAT(said(model(), text_), HasSubstr("a stride of 0, not 16"));
}

TEST_F(Perplexity, DamagedBasesAreRefused) {
  PerplexityOptions options;
  options.context = 16;
  options.chunks = 1;
  options.kl_save = path("base");
  perplexity(model(), text_, options);
  const std::string whole = slurp(path("base"));
  const auto said = [&](const std::string& bytes) {
    spill(path("bad"), bytes);
    return refusal([&] {
      KlBase base(path("bad"));
      for (uint64_t i = 0; i < base.header().positions; ++i) base.read(i);
    });
  };
  EXPECT_EQ(said(whole), "");
  for (const size_t length : {size_t{0}, size_t{7}, size_t{135}, size_t{136}, whole.size() - 1})
    EXPECT_NE(said(whole.substr(0, length)), "") << length;
  EXPECT_THAT(said(whole + "x"), HasSubstr("cut short or damaged"));
  const auto with = [&](size_t at, auto value) {
    std::string bytes = whole;
    std::memcpy(bytes.data() + at, &value, sizeof(value));
    return said(bytes);
  };
  EXPECT_THAT(with(0, 'X'), HasSubstr("no file of probabilities"));
  EXPECT_THAT(with(8, uint32_t{2}), HasSubstr("of version 2"));
  EXPECT_THAT(with(12, uint32_t{0}), HasSubstr("makes no sense"));
  EXPECT_THAT(with(12, uint32_t{0xffffffff}), HasSubstr("cut short"));
  EXPECT_THAT(with(20, uint32_t{16}), HasSubstr("makes no sense"));
  EXPECT_THAT(with(32, ~uint64_t{0}), HasSubstr("makes no sense"));
  EXPECT_THAT(with(136, std::nanf("")), HasSubstr("position 0 makes no sense"));
  EXPECT_THAT(with(136, 1.0f), HasSubstr("position 0 makes no sense"));
  EXPECT_THAT(with(140, -1.0f), HasSubstr("position 0 makes no sense"));
  EXPECT_THAT(with(148, uint32_t{288}), HasSubstr("position 0 makes no sense"));
}

}  // namespace
}  // namespace fieldprint
