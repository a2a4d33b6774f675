// What ops_test.cpp does not ask of the mixture of experts: adapters of its stacks, and balance.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <numeric>

#include "base/rng.h"
#include "kernels/select.h"
#include "ops/observer.h"
#include "ops/ops.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"

namespace fieldprint {
namespace {

constexpr int kTokens = 9, kExperts = 4;
constexpr int64_t kWidth = 32, kFfn = 24, kSharedFfn = 40;

// Weights of one mixture, and the executors' step.
struct MoeFixture {
  std::vector<float>& draw(int64_t count, float size) {
    std::vector<float>& values = storage.emplace_back(static_cast<size_t>(count));
    for (float& value : values) value = size * random.normal();
    return values;
  }
  Weight matrix(int64_t rows, int64_t cols) { return view(draw(rows * cols, 1 / std::sqrt(float(cols))), rows, cols); }
  static Weight view(const std::vector<float>& values, int64_t rows, int64_t cols) {
    return {"w", find_quant_type("F32"), reinterpret_cast<const std::byte*>(values.data()), rows, cols};
  }

  Moe moe(bool fused) {
    Moe moe;
    moe.experts = kExperts;
    moe.active = 2;
    moe.router = matrix(kExperts, kWidth);
    moe.gate = matrix(kExperts * kFfn * (fused ? 2 : 1), kWidth);
    if (!fused) moe.up = matrix(kExperts * kFfn, kWidth);
    moe.down = matrix(kExperts * kWidth, kFfn);
    moe.shared_gate = matrix(kSharedFfn, kWidth);
    moe.shared_up = matrix(kSharedFfn, kWidth);
    moe.shared_down = matrix(kWidth, kSharedFfn);
    moe.shared_router = matrix(1, kWidth);
    return moe;
  }

  // Of kTokens rows of x; with `tape`, the gradients of the sum of seed * y.
  template <class AnyExecutor>
  std::vector<double> outputs(AnyExecutor& executor, const Moe& moe,
                              Tape<typename AnyExecutor::Number>* tape = nullptr) {
    const std::vector<TokenId> tokens(kTokens);
    const auto state = executor.new_sequence();
    const StepSequence step[] = {{state.get(), 0, tokens}};
    executor.attach(tape);
    executor.begin(step);
    if (tape != nullptr) tape->begin();
    Tensor x = executor.make(kTokens, kWidth);
    std::copy(inputs.begin(), inputs.end(), executor.data(x));
    Tensor y = Ops(executor).moe(x, moe);
    const std::vector<double> values(executor.data(y), executor.data(y) + kTokens * kWidth);
    if (tape != nullptr) {
      const std::vector<typename AnyExecutor::Number> as_numbers(seed.begin(), seed.end());
      tape->backward(y, as_numbers.data());
    }
    executor.finish(std::move(y));
    return values;
  }
  double sum(ReferenceExecutor& executor, const Moe& moe) {
    const std::vector<double> y = outputs(executor, moe);
    return std::inner_product(y.begin(), y.end(), seed.begin(), 0.0);
  }

  Rng random{41};
  std::deque<std::vector<float>> storage;
  std::vector<float> inputs = draw(kTokens * kWidth, 1), seed = draw(kTokens * kWidth, 1);
};

// Steps that float32 can make; `slope` is of `sum` by `value`.
template <class Sum>
double finite_difference(float& value, Sum&& sum) {
  const float before = value, above_at = before + 0x1p-11f, below_at = before - 0x1p-11f;
  value = above_at;
  const double above = sum();
  value = below_at;
  const double below = sum();
  value = before;
  return (above - below) / (static_cast<double>(above_at) - static_cast<double>(below_at));
}

struct Adapted {
  Moe moe, merged;
  std::vector<std::vector<float>*> factors;  // A and B of every matrix
  std::deque<std::vector<LowRank>> additions;
};

// Every matrix with an addition, those of a stack with one for each expert, and the same with all of them merged.
Adapted adapted(MoeFixture& of, bool fused) {
  constexpr int64_t kRank = 3;
  Adapted all;
  all.moe = all.merged = of.moe(fused);
  for (const auto member : {&Moe::router, &Moe::gate, &Moe::up, &Moe::down, &Moe::shared_gate, &Moe::shared_up,
                            &Moe::shared_down, &Moe::shared_router}) {
    Weight& w = all.moe.*member;
    if (!w.given()) continue;
    const bool stack = member == &Moe::gate || member == &Moe::up || member == &Moe::down;
    const int64_t parts = stack ? kExperts : 1, part_rows = w.rows / parts;
    std::vector<float>&a = of.draw(parts * kRank * w.cols, 0.3f), &b = of.draw(w.rows * kRank, 0.3f);
    all.factors.insert(all.factors.end(), {&a, &b});
    LowRank low;
    low.a = MoeFixture::view(a, parts * kRank, w.cols), low.b = MoeFixture::view(b, w.rows, kRank);
    low.rank = kRank, low.scale = 0.7f;
    w.additions = &all.additions.emplace_back(1, low);
    std::vector<float>& values = of.storage.emplace_back(w.floats(), w.floats() + w.rows * w.cols);
    for (int64_t r = 0; r < w.rows; ++r) {
      for (int64_t c = 0; c < w.cols; ++c) {
        double sum = 0;
        for (int64_t k = 0; k < kRank; ++k) {
          sum += static_cast<double>(b[static_cast<size_t>(r * kRank + k)]) *
                 static_cast<double>(a[static_cast<size_t>((r / part_rows * kRank + k) * w.cols + c)]);
        }
        values[static_cast<size_t>(r * w.cols + c)] += low.scale * static_cast<float>(sum);
      }
    }
    all.merged.*member = MoeFixture::view(values, w.rows, w.cols);
  }
  return all;
}

TEST(MoeAdditions, AreAsIfTheyWereMerged) {
  for (const bool fused : {false, true}) {
    SCOPED_TRACE(fused);
    MoeFixture of;
    const Adapted all = adapted(of, fused);
    Moe bare = all.moe;
    bare.gate.additions = nullptr;
    ReferenceExecutor reference(1);
    ThreadPool pool(2);
    RunExecutor run(select_kernels(""), pool, KvLayout({KvLayerShape{}}, 16, kv_type("f16")));
    const auto same = [](const std::vector<double>& a, const std::vector<double>& b) {
      double most = 0;
      for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
      return most < 2e-5;
    };
    const std::vector<double> expected = of.outputs(reference, all.merged);
    EXPECT_TRUE(same(of.outputs(reference, all.moe), expected));
    EXPECT_TRUE(same(of.outputs(run, all.moe), expected));
    EXPECT_FALSE(same(of.outputs(run, bare), expected)) << "the additions are too small to see";
  }
}

TEST(MoeAdditions, HaveTheGradientsOfFiniteDifferences) {
  for (const bool fused : {false, true}) {
    MoeFixture of;
    const Adapted all = adapted(of, fused);
    ReferenceExecutor reference(1);
    Tape<double> tape(reference.arena());
    std::vector<std::vector<double>> gradients;
    for (const std::vector<float>* factor : all.factors) gradients.emplace_back(factor->size());
    for (size_t i = 0; i < gradients.size(); ++i) {
      tape.train(all.factors[i]->data(), static_cast<int64_t>(gradients[i].size()), gradients[i].data());
    }
    of.outputs(reference, all.moe, &tape);
    for (size_t i = 0; i < gradients.size(); ++i) {
      for (size_t j = i % 3; j < gradients[i].size(); j += std::max<size_t>(1, gradients[i].size() / 5)) {
        const double slope = finite_difference((*all.factors[i])[j], [&] { return of.sum(reference, all.moe); });
        EXPECT_NEAR(gradients[i][j], slope, 1e-3 * std::fabs(slope) + 1e-5) << i << " [" << j << "]";
      }
    }
  }
}

struct SeenChoices final : OpsObserver {
  void experts(const Moe&, std::span<const int> chosen, std::span<const float>) override {
    counts.assign(kExperts, 0);
    for (const int e : chosen) ++counts[static_cast<size_t>(e)];
  }
  std::vector<double> counts;
};

// experts * sum over experts of share * mean probability, straight from the inputs.
double balance_loss(const MoeFixture& of, const Moe& moe, const std::vector<double>& counts) {
  std::vector<double> mean(kExperts);
  for (size_t t = 0; t < kTokens; ++t) {
    std::vector<double> p(kExperts);
    for (size_t e = 0; e < kExperts; ++e) {
      double score = moe.router_bias.given() ? static_cast<double>(moe.router_bias.floats()[e]) : 0;
      for (size_t i = 0; i < kWidth; ++i)
        score +=
            static_cast<double>(moe.router.floats()[e * kWidth + i]) * static_cast<double>(of.inputs[t * kWidth + i]);
      p[e] = moe.gating == Moe::Gating::kSigmoid ? 1 / (1 + std::exp(-score)) : std::exp(score);
    }
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (size_t e = 0; e < kExperts; ++e) mean[e] += p[e] / sum / kTokens;
  }
  const double choices = std::accumulate(counts.begin(), counts.end(), 0.0);
  double loss = 0;
  for (size_t e = 0; e < kExperts; ++e) loss += kExperts * counts[e] / choices * mean[e];
  return loss;
}

TEST(MoeBalance, HasTheGradientsOfFiniteDifferences) {
  constexpr double kCoefficient = 3;
  for (const Moe::Gating gating : {Moe::Gating::kSigmoid, Moe::Gating::kSoftmax, Moe::Gating::kSoftmaxChosen}) {
    for (const int active : {1, 3}) {
      SCOPED_TRACE(fmt::format("gating {}, {} active", static_cast<int>(gating), active));
      MoeFixture of;
      Moe moe = of.moe(false);
      moe.gating = gating;
      moe.active = active;
      std::vector<float>&router = of.draw(kExperts * kWidth, 0.2f), &bias = of.draw(kExperts, 1);
      moe.router = MoeFixture::view(router, kExperts, kWidth), moe.router_bias = MoeFixture::view(bias, 1, kExperts);
      ReferenceExecutor reference(1);
      SeenChoices seen;
      reference.observe(&seen);
      const auto gradients = [&](double coefficient) {
        Tape<double> tape(reference.arena());
        tape.balance_experts(coefficient);
        std::vector<double> all(router.size() + bias.size());
        tape.train(router.data(), static_cast<int64_t>(router.size()), all.data());
        tape.train(bias.data(), kExperts, all.data() + router.size());
        of.outputs(reference, moe, &tape);
        return all;
      };
      const std::vector<double> without = gradients(0), with = gradients(kCoefficient);
      for (size_t i = 0; i < with.size(); ++i) {
        float& value = i < router.size() ? router[i] : bias[i - router.size()];
        const double slope = finite_difference(value, [&] { return balance_loss(of, moe, seen.counts); });
        EXPECT_NEAR(with[i] - without[i], kCoefficient * slope, 1e-6) << i;
      }
    }
  }
}

}  // namespace
}  // namespace fieldprint
