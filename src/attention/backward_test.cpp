// Gradients of every kind: the float64 reference against differences, the tiles against the reference and, bit for bit,
// against themselves.
#include "attention/backward.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>

#include "attention/reference.h"
#include "base/rng.h"
#include "kernels/select.h"

namespace fieldprint {
namespace {

struct How {
  const char* isa = "";
  int threads = 2;
};

struct Gradients {
  std::vector<double> dq, dr, dk, dv, d_sinks;
  void visit(const std::function<void(const char*, std::vector<double>&)>& see) {
    see("q", dq), see("r", dr), see("k", dk), see("v", dv), see("sinks", d_sinks);
  }
};

// Sequences of some lengths, in one step, and the gradients of a random weighted sum of what comes out.
struct Training {
  int heads = 4, kv_heads = 2, d = 16, window = 0;
  bool causal = true;
  KvType type = KvType::kF32;  // of the walk's keys and values
  std::vector<int> lengths;
  AttentionSpec spec;
  std::vector<float> q, r, k, v, d_out, sinks;

  Training(const AttentionKind& kind, std::vector<int> of, int head_dim = 16, int kv = 2)
      : kv_heads(kv), d(head_dim), lengths(std::move(of)) {
    spec.kind = &kind;
    spec.scale = static_cast<float>(kind.scale(d));
    Rng rng(11);
    const auto fill = [&](std::vector<float>& x, int64_t count) {
      x.resize(static_cast<size_t>(count));
      for (float& value : x) value = rng.normal();
    };
    for (auto* x : {&q, &r, &d_out}) fill(*x, int64_t{rows()} * heads * d);
    for (auto* x : {&k, &v}) fill(*x, int64_t{rows()} * kv_heads * d);
    if (kind.third_projection) {  // of degree 6: scores are of the order of 1, and their errors that of dot's
      for (auto* x : {&q, &r, &k})
        for (float& value : *x) value *= 2 / std::sqrt(static_cast<float>(d));
    }
    if (kind.anchors) {
      std::vector<float> keys, values;
      fill(keys, 70 * kv_heads * d);
      fill(values, 70 * kv_heads * d);
      spec.anchors = std::make_shared<AnchorRows>(keys, values, kv_heads, d);
      spec.share = 0.3f;
      spec.anchor_scale = 0.4f;
    }
  }

  int rows() const {
    int all = 0;
    for (const int length : lengths) all += length;
    return all;
  }
  void use_sinks() {
    sinks = {-1, 0.5f, 2, 1};
    spec.sinks = sinks;
  }

  Gradients run(const How& how) const {
    const auto& kernels = select_kernels(how.isa);
    const KvLayout layout({{kv_heads, d, spec.kind->key_squares}}, 64, type);
    PagePool pages(layout.page_bytes());
    ThreadPool pool(how.threads);
    AttendScratch scratch(how.threads);
    BackwardScratch memory;
    std::vector<float> out(q.size()), dq(q.size()), dr(q.size()), dk(k.size()), dv(k.size()), d_sinks(sinks.size());
    std::vector<SoftmaxState> states(static_cast<size_t>(rows() * heads));
    std::vector<std::unique_ptr<KvSequence>> kvs;
    std::vector<AttendSequence> attending;
    std::vector<BackwardSequence> backward;
    int64_t row = 0;
    for (const int length : lengths) {
      kvs.push_back(std::make_unique<KvSequence>(layout, pages));
      kvs.back()->reserve(0, length);
      const int64_t at = row * heads * d, kv_at = row * kv_heads * d;
      for (int t = 0; t < length; ++t)
        kvs.back()->write(0, t, k.data() + kv_at + t * kv_heads * d, v.data() + kv_at + t * kv_heads * d);
      attending.push_back({.kv = kvs.back().get(),
                           .q = q.data() + at,
                           .r = r.data() + at,
                           .out = out.data() + at,
                           .tokens = length,
                           .states = states.data() + row * heads});
      backward.push_back({.q = q.data() + at,
                          .r = r.data() + at,
                          .k = k.data() + kv_at,
                          .v = v.data() + kv_at,
                          .out = out.data() + at,
                          .d_out = d_out.data() + at,
                          .states = states.data() + row * heads,
                          .dq = dq.data() + at,
                          .dr = dr.data() + at,
                          .dk = dk.data() + kv_at,
                          .dv = dv.data() + kv_at,
                          .tokens = length});
      row += length;
    }
    Attend forward;
    forward.kernels = &kernels;
    forward.spec = spec;
    forward.heads = heads;
    forward.window = window;
    forward.causal = causal;
    forward.sequences = attending;
    attend(forward, pool, scratch);
    attend_backward({.kernels = &kernels,
                     .spec = spec,
                     .heads = heads,
                     .kv_heads = kv_heads,
                     .head_dim = d,
                     .window = window,
                     .causal = causal,
                     .sequences = backward,
                     .d_sinks = sinks.empty() ? nullptr : d_sinks.data()},
                    pool, scratch, memory);
    const auto as = [](const std::vector<float>& x) { return std::vector<double>(x.begin(), x.end()); };
    return {as(dq), as(dr), as(dk), as(dv), as(d_sinks)};
  }

  // The same numbers in float64, and what visits every query of them: use(sequence's first row, row, head, kv head,
  // keys).
  struct Exact {
    std::vector<double> q, r, k, v, d_out;
  };
  Exact exact() const {
    const auto as = [](const std::vector<float>& x) { return std::vector<double>(x.begin(), x.end()); };
    return {as(q), as(r), as(k), as(v), as(d_out)};
  }
  template <class Use>
  void for_queries(const Exact& x, Use&& use) const {
    int64_t row = 0;
    for (const int length : lengths) {
      for (int t = 0; t < length; ++t) {
        for (int h = 0; h < heads; ++h) {
          const int kv_head = h / (heads / kv_heads), seen = causal ? t + 1 : length;
          const int64_t kv_at = (row * kv_heads + kv_head) * d;
          use(h, kv_head, ((row + t) * heads + h) * d, kv_at,
              ReferenceKeys<double>{x.k.data() + kv_at, x.v.data() + kv_at, int64_t{kv_heads} * d,
                                    window > 0 ? std::max(0, seen - window) : 0, seen});
        }
      }
      row += length;
    }
  }

  double sum(const Exact& x) const {
    double total = 0;
    std::vector<double> out(static_cast<size_t>(d));
    for_queries(x, [&](int h, int kv_head, int64_t at, int64_t, const ReferenceKeys<double>& keys) {
      attend_reference<double>(spec, d, h, kv_head, x.q.data() + at, x.r.data() + at, keys, out.data());
      for (int i = 0; i < d; ++i) total += out[static_cast<size_t>(i)] * x.d_out[static_cast<size_t>(at + i)];
    });
    return total;
  }

  Gradients reference(const Exact& x) const {
    Gradients g{std::vector<double>(q.size()), std::vector<double>(q.size()), std::vector<double>(k.size()),
                std::vector<double>(k.size()), std::vector<double>(sinks.size())};
    for_queries(x, [&](int h, int kv_head, int64_t at, int64_t kv_at, const ReferenceKeys<double>& keys) {
      attend_reference_backward(spec, d, h, kv_head, x.q.data() + at, x.r.data() + at, keys, x.d_out.data() + at,
                                {.dq = g.dq.data() + at,
                                 .dr = g.dr.data() + at,
                                 .dk = g.dk.data() + kv_at,
                                 .dv = g.dv.data() + kv_at,
                                 .d_sink = sinks.empty() ? nullptr : g.d_sinks.data() + h});
    });
    return g;
  }
};

// A layer's ways to differ.
std::vector<std::pair<const char*, Training>> trainings(const AttentionKind& kind, const std::vector<int>& lengths) {
  std::vector<std::pair<const char*, Training>> all;
  const auto add = [&](const char* name, auto&& change) {
    Training training(kind, lengths);
    change(training);
    all.emplace_back(name, std::move(training));
    all.back().second.spec.sinks = all.back().second.sinks;
  };
  add("plain", [](Training&) {});
  add("window", [](Training& t) { t.window = 5; });
  add("every key", [](Training& t) { t.causal = false; });
  add("soft-cap", [](Training& t) { t.spec.softcap = 1.3f; });
  add("sinks", [](Training& t) { t.use_sinks(); });
  add("all of it", [](Training& t) { t.use_sinks(), t.window = 70, t.spec.softcap = 2; });
  return all;
}

class EveryGradient : public testing::TestWithParam<const AttentionKind*> {};
INSTANTIATE_TEST_SUITE_P(Attention, EveryGradient, testing::ValuesIn([] {
                           std::vector<const AttentionKind*> all;
                           for (const AttentionKind& kind : attention_kinds()) all.push_back(&kind);
                           return all;
                         }()),
                         [](const auto& param) { return std::string(param.param->name); });

TEST_P(EveryGradient, OfTheReferenceIsWhatDifferencesSay) {
  constexpr double kStep = 1e-6;
  for (auto& [name, training] : trainings(*GetParam(), {3, 9})) {
    Training::Exact x = training.exact();
    const Gradients g = training.reference(x);
    const auto check = [&](const char* what, std::vector<double>& values, const std::vector<double>& gradient) {
      for (size_t i = 0; i < values.size(); i += 3) {
        const double value = values[i];
        values[i] = value + kStep;
        const double above = training.sum(x);
        values[i] = value - kStep;
        const double below = training.sum(x);
        values[i] = value;
        const double expected = (above - below) / (2 * kStep);
        EXPECT_NEAR(gradient[i], expected, 1e-3 * std::fabs(expected) + 1e-6) << name << " " << what << i;
      }
    };
    check("q", x.q, g.dq);
    if (GetParam()->third_projection) check("r", x.r, g.dr);
    check("k", x.k, g.dk);
    check("v", x.v, g.dv);
    for (size_t h = 0; h < training.sinks.size(); ++h) {  // float32: a larger step
      const float value = training.sinks[h], step = 1.0f / 1024;
      training.sinks[h] = value + step;
      training.spec.sinks = training.sinks;
      const double above = training.sum(x);
      training.sinks[h] = value - step;
      const double below = training.sum(x), expected = (above - below) / (2 * static_cast<double>(step));
      training.sinks[h] = value;
      EXPECT_NEAR(g.d_sinks[h], expected, 1e-3 * std::fabs(expected) + 1e-5) << name << " sink " << h;
    }
  }
}

// The root mean square of the error within `bound` of that of the gradients; the worst one within fifteen times that.
void expect_close(const std::string& what, const std::vector<double>& exact, const std::vector<double>& got,
                  double bound = 2e-6) {
  double squares = 0, errors = 0, worst = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const double error = std::fabs(exact[i] - got[i]);
    squares += exact[i] * exact[i], errors += error * error;
    if (!(error <= worst)) worst = error;
  }
  if (exact.empty()) return;
  const double size = std::sqrt(squares / static_cast<double>(exact.size()));
  EXPECT_LE(std::sqrt(errors / static_cast<double>(exact.size())), bound * size) << what;
  EXPECT_LE(worst, 15 * bound * size) << what;
}

TEST_P(EveryGradient, ComesCloseToTheReference) {
  const auto compare = [&](const std::string& name, const Training& training) {
    Gradients exact = training.reference(training.exact()), got = training.run({});
    exact.visit([&](const char* what, const std::vector<double>& of) {
      got.visit([&](const char* other, const std::vector<double>& ours) {
        if (std::string_view(what) == other) expect_close(name + " " + what, of, ours);
      });
    });
  };
  for (const auto& [name, training] : trainings(*GetParam(), {150, 1, 64})) compare(name, training);
  compare("d 40", Training(*GetParam(), {70}, 40, 1));
  compare("d 128", Training(*GetParam(), {65, 20}, 128, 4));
}

// Where the walk has rounded keys and values, gradients pass as if it had not.
TEST_P(EveryGradient, PassesThroughRoundedKeysAndValues) {
  for (const auto& [type, bound] : {std::pair(KvType::kF16, 5e-3), {KvType::kBF16, 4e-2}}) {
    Training training(*GetParam(), {100, 1, 64});
    training.type = type;
    const Gradients exact = training.reference(training.exact()), got = training.run({});
    expect_close("q", exact.dq, got.dq, bound);
    expect_close("r", exact.dr, got.dr, bound);
    expect_close("k", exact.dk, got.dk, bound);
    expect_close("v", exact.dv, got.dv, bound);
  }
}

TEST_P(EveryGradient, IsTheSameBitsForAnyThreadsAndIsa) {
  const auto lists = [](Gradients g) {
    std::vector<double> all;
    g.visit([&](const char*, const std::vector<double>& x) { all.insert(all.end(), x.begin(), x.end()); });
    return all;
  };
  for (const auto& [name, training] : trainings(*GetParam(), {130, 9, 64})) {
    const auto expected = lists(training.run({.isa = "scalar", .threads = 1}));
    for (const IsaRow& isa : isa_rows()) {
      if (!isa.supported()) continue;
      for (const int threads : {1, 2, 3})
        EXPECT_EQ(lists(training.run({.isa = isa.name.data(), .threads = threads})), expected)
            << name << " " << isa.name << " " << threads;
    }
  }
}

TEST(GramGradient, IsZeroWhereQAndRAreParallel) {
  Training training(*find_attention_kind("gram"), {20});
  for (size_t i = 0; i < training.q.size(); ++i) training.r[i] = -0.5f * training.q[i];
  const Gradients g = training.run({});
  for (const auto* x : {&g.dq, &g.dr, &g.dk}) EXPECT_EQ(*x, std::vector<double>(x->size(), 0.0));
  EXPECT_NE(g.dv, std::vector<double>(g.dv.size(), 0.0));
}

TEST(AnchoredGradient, AtShare1ReachesNoKeyOfTheContext) {
  Training training(*find_attention_kind("anchored"), {20});
  training.spec.share = 1;
  const Gradients g = training.run({});
  for (const auto* x : {&g.dk, &g.dv}) EXPECT_EQ(*x, std::vector<double>(x->size(), 0.0));
  expect_close("q", training.reference(training.exact()).dq, g.dq);
}

}  // namespace
}  // namespace fieldprint
