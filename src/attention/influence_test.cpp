#include "attention/influence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>

#include "attention/walk.h"
#include "base/rng.h"
#include "kernels/select.h"

namespace fieldprint {
namespace {

constexpr int kHeads = 6, kKvHeads = 2, kDim = 32, kKeys = 1100;
constexpr int kBorders[] = {0, 5, 70, 71, 512, 900};  // where spans begin

struct How {
  const char* isa = "";
  int threads = 2, page_size = 64, tokens = 1, window = 0;
};

struct Data {
  std::vector<float> q, r, k, v;
  std::shared_ptr<const AnchorRows> anchors;
  Data() {
    Rng rng(11);
    const auto fill = [&](std::vector<float>& x, int rows, float size) {
      x.resize(static_cast<size_t>(rows * kDim));
      for (float& value : x) value = size * rng.normal();
    };
    fill(q, kKeys * kHeads, 2);
    fill(r, kKeys * kHeads, 1);
    fill(k, kKeys * kKvHeads, 1);
    fill(v, kKeys * kKvHeads, 1);
    for (float& x : k) x = std::round(x * 64) / 64;  // as F16 keeps it
    anchors = std::make_shared<AnchorRows>(std::vector(k.begin(), k.begin() + 3 * kKvHeads * kDim),
                                           std::vector(v.begin(), v.begin() + 3 * kKvHeads * kDim), kKvHeads, kDim);
  }

  AttentionSpec spec(const AttentionKind& kind) const {
    AttentionSpec spec{.kind = &kind, .scale = static_cast<float>(kind.scale(kDim))};
    if (kind.anchors) spec.anchors = anchors, spec.share = 0.25f;
    return spec;
  }
};

struct Measured {
  std::vector<float> influence, out;
};

Measured measure(const Data& data, const AttentionKind& kind, const How& how, bool wanted = true) {
  const KvLayout layout({{kKvHeads, kDim, kind.key_squares}}, how.page_size);
  PagePool pages(layout.page_bytes());
  KvSequence kv(layout, pages);
  Spans spans;
  for (const int border : kBorders) spans.set(border, {SpanKind::kUser, std::to_string(border), 0});
  for (const Spans::Span& span : spans.all()) kv.reserve(span.begin, std::min(span.end, kKeys), span.begin);
  for (int t = 0; t < kKeys; ++t)
    kv.write(0, t, data.k.data() + t * kKvHeads * kDim, data.v.data() + t * kKvHeads * kDim);
  Influence influence;
  influence.begin(kKeys, spans);
  const int first = kKeys - how.tokens;
  Measured result;
  result.out.resize(static_cast<size_t>(how.tokens * kHeads * kDim));
  const AttendSequence sequence{.kv = &kv,
                                .q = data.q.data() + first * kHeads * kDim,
                                .r = data.r.data() + first * kHeads * kDim,
                                .out = result.out.data(),
                                .tokens = how.tokens,
                                .first_position = first,
                                .influence = wanted ? &influence : nullptr,
                                .mass = wanted ? influence.mass(kHeads) : nullptr};
  Attend args;
  args.kernels = &select_kernels(how.isa);
  args.spec = data.spec(kind);
  args.heads = kHeads;
  args.window = how.window;
  args.sequences = {&sequence, 1};
  ThreadPool pool(how.threads);
  AttendScratch scratch(how.threads);
  attend(args, pool, scratch);
  if (wanted) influence.add(args.spec);
  influence.finish(&result.influence);
  return result;
}

// The same from the formula, all scores at once.
std::vector<double> expected(const Data& data, const AttentionKind& kind, int window) {
  std::vector<double> shares(std::size(kBorders) + 1);
  const auto wide = [&](const std::vector<float>& x, int row) {
    return std::vector<double>(x.begin() + row * kDim, x.begin() + (row + 1) * kDim);
  };
  const AttentionSpec spec = data.spec(kind);
  for (int h = 0; h < kHeads; ++h) {
    const auto q = wide(data.q, (kKeys - 1) * kHeads + h), r = wide(data.r, (kKeys - 1) * kHeads + h);
    std::vector<double> weights(kKeys);
    double total = 0, largest = -1e300;
    for (int pass = 0; pass < 2; ++pass) {
      for (int j = window > 0 ? kKeys - window : 0; j < kKeys; ++j) {
        const auto k = wide(data.k, j * kKvHeads + h / (kHeads / kKvHeads));
        const double score = static_cast<double>(spec.scale) * kind.formula_f64(q.data(), r.data(), k.data(), kDim);
        if (pass == 0) largest = std::max(largest, score);
        else total += weights[static_cast<size_t>(j)] = std::exp(score - largest);
      }
    }
    const double of_file = static_cast<double>(spec.share);
    for (size_t s = 0; s < std::size(kBorders); ++s) {
      const int end = s + 1 < std::size(kBorders) ? kBorders[s + 1] : kKeys;
      for (int j = kBorders[s]; j < end; ++j)
        shares[s] += (1 - of_file) * weights[static_cast<size_t>(j)] / total / kHeads;
    }
    shares.back() += of_file / kHeads;
  }
  return shares;
}

TEST(Influence, IsTheShareOfSoftmaxMassForEveryKindAndTheSameBitsHoweverItIsWalked) {
  const Data data;
  for (const AttentionKind& kind : attention_kinds()) {
    SCOPED_TRACE(kind.name);
    for (const int window : {0, 300}) {
      const auto exact = expected(data, kind, window);
      const auto base = measure(data, kind, {.threads = 1, .window = window});
      ASSERT_EQ(base.influence.size(), exact.size());
      double sum = 0;
      for (size_t i = 0; i < exact.size(); ++i) {
        EXPECT_NEAR(static_cast<double>(base.influence[i]), exact[i], 2e-6) << i;
        sum += static_cast<double>(base.influence[i]);
      }
      EXPECT_NEAR(sum, 1, 1e-6);
      EXPECT_EQ(base.out, measure(data, kind, {.threads = 1, .window = window}, false).out)
          << "measuring changes nothing";
      for (const int threads : {1, 2, 5})
        for (const int page : {1, 7, 64, 100, 1024})
          for (const int tokens : {1, 90}) {
            const auto got =
                measure(data, kind, {.threads = threads, .page_size = page, .tokens = tokens, .window = window});
            EXPECT_EQ(got.influence, base.influence) << threads << " threads, pages of " << page;
          }
    }
  }
}

}  // namespace
}  // namespace fieldprint
