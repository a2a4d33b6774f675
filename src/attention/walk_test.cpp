// The family: every kind of the registry against the float64 reference and, bit for bit, against itself.
#include "attention/walk.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "attention/reference.h"
#include "attention/tile.h"
#include "base/float16.h"
#include "base/rng.h"
#include "kernels/select.h"

namespace fieldprint {
namespace {

struct How {
  const char* isa = "";
  int threads = 2, page_size = 64, chunk = 256;
  int company = 0;  // other sequences of the same tokens in each step, cut back to other lengths
};

struct Problem {
  int heads = 6, kv_heads = 2, d = 32, keys = 1100, window = 0;
  KvType type = KvType::kF16;
  AttentionSpec spec;
  std::vector<float> q, r;  // [keys, heads, d]
  std::vector<float> k, v;  // [keys, kv_heads, d]

  // `rounded`: keys and values are as the pages will hold them, so that a reference sees the same.
  explicit Problem(const AttentionKind& kind = dot_kind(), KvType kv_type = KvType::kF16, bool rounded = true)
      : type(kv_type) {
    spec.kind = &kind;
    spec.scale = static_cast<float>(kind.scale(d));
    Rng rng(7);
    const auto fill = [&](std::vector<float>& x, int rows) {
      x.resize(static_cast<size_t>(rows * d));
      for (float& value : x) value = rng.normal();
    };
    fill(q, keys * heads);
    fill(r, keys * heads);
    fill(k, keys * kv_heads);
    fill(v, keys * kv_heads);
    if (rounded) {
      round(k);
      round(v);
    }
    if (kind.anchors) {
      std::vector<float> anchor_keys, anchor_values;
      fill(anchor_keys, 70 * kv_heads);
      fill(anchor_values, 70 * kv_heads);
      for (float& x : anchor_keys) x *= 0.3f;
      if (rounded) {
        round(anchor_keys);
        round(anchor_values);
      }
      spec.anchors = std::make_shared<AnchorRows>(anchor_keys, anchor_values, kv_heads, d);
      spec.share = 0.3f;
    }
  }

  void round(std::vector<float>& x) const {
    const KvLayout layout({{1, d}}, 1, type);
    PagePool pages(layout.page_bytes());
    KvSequence kv(layout, pages);
    kv.reserve(0, 1);
    std::vector<std::byte> pieces(static_cast<size_t>(layout.pair_bytes(0) * kTile));
    for (size_t at = 0; at < x.size(); at += static_cast<size_t>(d)) {
      kv.write(0, 0, x.data() + at, x.data() + at);
      const Tile tile = load_tile(kv, 0, 0, Place(kv, 0, 0, 0), 0, 1, true, {nullptr, pieces.data()});
      for (int i = 0; i < d; ++i) {
        float& value = x[at + static_cast<size_t>(i)];
        switch (type) {
          case KvType::kF16:
            value = half_to_float(tile.values_16[i]);
            break;
          case KvType::kBF16:
            value = bfloat16_to_float(tile.values_16[i]);
            break;
          case KvType::kF32:
            break;
          case KvType::kQ8_0:
            value = half_to_float(tile.value_scales[i / 32 * tile.stride]) * static_cast<float>(tile.values_8[i * 4]);
            break;
        }
      }
    }
  }

  // Attention of positions [0, keys), fed in chunks; only those from `from` on are returned. `states` [keys, heads].
  std::vector<float> run(const How& how, int from, SoftmaxState* states = nullptr) const {
    const KvLayout layout({{kv_heads, d, spec.kind->key_squares}}, how.page_size, type);
    PagePool pages(layout.page_bytes());
    KvSequence kv(layout, pages);
    ThreadPool pool(how.threads);
    AttendScratch scratch(how.threads);
    std::vector<float> out(q.size());
    std::vector<std::vector<float>> ignored(static_cast<size_t>(how.company), out);
    for (int p = 0; p < keys; p += how.chunk) {
      const int count = std::min(how.chunk, keys - p);
      kv.reserve(p, p + count);
      for (int t = p; t < p + count; ++t) kv.write(0, t, k.data() + t * kv_heads * d, v.data() + t * kv_heads * d);
      if (p + count <= from) continue;
      Attend args;
      args.kernels = &select_kernels(how.isa);
      args.spec = spec;
      args.heads = heads;
      args.window = window;
      std::vector<AttendSequence> sequences;
      for (int i = 0; i < how.company; ++i) {  // earlier tokens again, as another sequence would have them
        const int first = p * (i + 1) / (how.company + 1);
        sequences.push_back({&kv, q.data() + first * heads * d, r.data() + first * heads * d,
                             ignored[static_cast<size_t>(i)].data(), std::min(count, 1 + 40 * i), first});
      }
      sequences.push_back(
          {&kv, q.data() + p * heads * d, r.data() + p * heads * d, out.data() + p * heads * d, count, p});
      if (states != nullptr) sequences.back().states = states + p * heads;
      args.sequences = sequences;
      attend(args, pool, scratch);
    }
    return {out.begin() + from * heads * d, out.end()};
  }

  template <class Number>
  std::vector<Number> reference(int from) const {
    const auto as = [](const std::vector<float>& x) { return std::vector<Number>(x.begin(), x.end()); };
    const auto queries = as(q), thirds = as(r), k_all = as(k), v_all = as(v);
    std::vector<Number> out(static_cast<size_t>((keys - from) * heads * d));
    for (int t = from; t < keys; ++t) {
      for (int h = 0; h < heads; ++h) {
        const int kv_head = h / (heads / kv_heads);
        attend_reference<Number>(spec, d, h, kv_head, queries.data() + (t * heads + h) * d,
                                 thirds.data() + (t * heads + h) * d,
                                 {k_all.data() + kv_head * d, v_all.data() + kv_head * d, int64_t{kv_heads} * d,
                                  window > 0 ? std::max(0, t + 1 - window) : 0, t + 1},
                                 out.data() + ((t - from) * heads + h) * d);
      }
    }
    return out;
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Error2 {
  double worst = 0, squares = 0;
  Error2(const std::vector<double>& exact, const std::vector<float>& got) {
    for (size_t i = 0; i < exact.size(); ++i) {
      const double error = std::abs(exact[i] - static_cast<double>(got[i]));
      if (!(error <= worst)) worst = error;  // a NaN is the worst
      squares += error * error;
    }
  }
};

constexpr KvType kTypes[] = {KvType::kF16, KvType::kBF16, KvType::kQ8_0, KvType::kF32};

class EveryKind : public testing::TestWithParam<const AttentionKind*> {};
INSTANTIATE_TEST_SUITE_P(Attention, EveryKind, testing::ValuesIn([] {
                           std::vector<const AttentionKind*> all;
                           for (const AttentionKind& kind : attention_kinds()) all.push_back(&kind);
                           return all;
                         }()),
                         [](const auto& param) { return std::string(param.param->name); });

TEST_P(EveryKind, IsAsExactAsAPlainEvaluationInFloat) {
  for (const KvType type : {KvType::kF16, KvType::kBF16, KvType::kF32}) {
    const Problem problem(*GetParam(), type);
    const int from = 1080;
    const auto exact = problem.reference<double>(from);
    const Error2 ours(exact, problem.run({}, from)), plain(exact, problem.reference<float>(from));
    EXPECT_LT(ours.worst, 2 * plain.worst) << kv_type_name(type);
    EXPECT_LT(ours.squares, 4 * plain.squares) << kv_type_name(type);
    RecordProperty("worst_" + std::string(kv_type_name(type)), std::to_string(ours.worst / plain.worst));
  }
}

// Queries and weights in 8 bits beside keys and values in 8 bits: the error grows, by less than twice.
TEST_P(EveryKind, InBytesLosesLittleMoreThanTheKeysAndValuesHaveLost) {
  const Problem before(*GetParam(), KvType::kQ8_0, false), stored(*GetParam(), KvType::kQ8_0);
  const int from = 1080;
  const auto exact = before.reference<double>(from);
  const Error2 ours(exact, stored.run({}, from)), rounding(exact, stored.reference<float>(from));
  EXPECT_LT(ours.worst, 2 * rounding.worst);
  EXPECT_LT(ours.squares, 4 * rounding.squares);
  RecordProperty("rms", std::to_string(std::sqrt(ours.squares / rounding.squares)));
}

TEST_P(EveryKind, GivesTheSameBitsForAnyPageSizeChunkThreadsCompanyAndIsa) {
  for (const KvType type : kTypes) {
    const Problem problem(*GetParam(), type);
    const int from = 1010;  // crosses two splits (512, 1024) and a tile border
    const auto expected = problem.run({.isa = "scalar", .threads = 1, .chunk = 1100}, from);
    const auto same = [&](const How& how) { return same_bits(problem.run(how, from), expected); };
    for (const IsaRow& isa : isa_rows()) {
      if (!isa.supported()) continue;
      EXPECT_TRUE(same({.isa = isa.name.data(), .page_size = 100, .chunk = 130, .company = 2})) << isa.name;
    }
    for (const int page : {1, 3, 63, 64, 65, 128, 256})
      EXPECT_TRUE(same({.page_size = page, .chunk = 300})) << "page " << page;
    for (const int threads : {1, 3, 5}) EXPECT_TRUE(same({.threads = threads, .chunk = 97})) << threads << " threads";
    for (const int threads : {1, 2, 5}) {
      EXPECT_TRUE(same({.threads = threads, .chunk = 1})) << "decode, threads " << threads;
      EXPECT_TRUE(same({.threads = threads, .page_size = 7, .chunk = 1, .company = 5}))
          << "decode, threads " << threads;
    }
  }
}

TEST_P(EveryKind, AWindowHidesWhatIsBeforeIt) {
  Problem problem(*GetParam());
  problem.window = 100;
  const int from = 1050;
  const auto exact = problem.reference<double>(from);
  const auto expected = problem.run({.isa = "scalar", .threads = 1, .chunk = 1100}, from);
  EXPECT_LT(Error2(exact, expected).worst, 2 * Error2(exact, problem.reference<float>(from)).worst + 1e-6);
  for (const int chunk : {1, 97, 300}) {
    for (const int page : {3, 64})
      EXPECT_TRUE(same_bits(problem.run({.page_size = page, .chunk = chunk}, from), expected)) << chunk << " " << page;
  }
}

// All head sizes and group sizes take the same paths.
TEST_P(EveryKind, WorksForAnyShapeOfHeads) {
  struct Heads {
    int heads, kv_heads, d;
  };
  for (const Heads& h : {Heads{1, 1, 8}, Heads{4, 4, 40}, Heads{9, 3, 64}, Heads{48, 1, 256}, Heads{8, 2, 128}}) {
    Problem problem;
    problem.heads = h.heads, problem.kv_heads = h.kv_heads, problem.d = h.d, problem.keys = 140;
    Rng rng(3);
    for (auto* x : {&problem.q, &problem.r}) {
      x->resize(static_cast<size_t>(140 * h.heads * h.d));
      for (float& value : *x) value = rng.normal();
    }
    for (auto* x : {&problem.k, &problem.v}) {
      x->resize(static_cast<size_t>(140 * h.kv_heads * h.d));
      for (float& value : *x) value = rng.normal();
      problem.round(*x);
    }
    problem.spec.kind = GetParam();
    problem.spec.scale = static_cast<float>(GetParam()->scale(h.d));
    if (GetParam()->anchors) {
      problem.spec.share = 0.5f;
      problem.spec.anchors = std::make_shared<AnchorRows>(
          std::vector(problem.k.begin(), problem.k.begin() + 9 * h.kv_heads * h.d),
          std::vector(problem.v.begin(), problem.v.begin() + 9 * h.kv_heads * h.d), h.kv_heads, h.d);
    }
    const auto exact = problem.reference<double>(0);
    const Error2 plain(exact, problem.reference<float>(0));
    const auto got = problem.run({}, 0);
    EXPECT_LT(Error2(exact, got).worst, 2 * plain.worst + 1e-6) << h.heads << "/" << h.kv_heads << " of " << h.d;
    EXPECT_TRUE(same_bits(got, problem.run({.isa = "scalar", .page_size = 5, .chunk = 1}, 0)));
  }
}

// (m, l) of a row say the logarithm of the sum over its keys' e^score, and of the sink's.
TEST(Walk, HandsOutTheStatesOfItsSoftmax) {
  Problem problem(dot_kind(), KvType::kF32);
  problem.window = 700;
  const std::vector<float> sinks = {-1, 0, 1, 2, 3, 4};
  for (const bool with_sinks : {false, true}) {
    if (with_sinks) problem.spec.sinks = sinks;
    std::vector<SoftmaxState> states(static_cast<size_t>(problem.keys * problem.heads));
    problem.run({.threads = 3, .chunk = 90}, 0, states.data());
    for (const int t : {0, 63, 64, 700, 1099}) {
      for (int h = 0; h < problem.heads; ++h) {
        double sum = with_sinks ? std::exp(static_cast<double>(sinks[static_cast<size_t>(h)])) : 0;
        for (int j = std::max(0, t + 1 - problem.window); j <= t; ++j) {
          double s = 0;
          for (int i = 0; i < problem.d; ++i)
            s += static_cast<double>(problem.q[static_cast<size_t>((t * problem.heads + h) * problem.d + i)]) *
                 static_cast<double>(problem.k[static_cast<size_t>((j * problem.kv_heads + h / 3) * problem.d + i)]);
          sum += std::exp(s * static_cast<double>(problem.spec.scale));
        }
        const SoftmaxState& state = states[static_cast<size_t>(t * problem.heads + h)];
        EXPECT_NEAR(static_cast<double>(state.m) + std::log(static_cast<double>(state.l)), std::log(sum), 1e-5)
            << t << " " << h;
      }
    }
  }
}

TEST(Anchored, WithShare0IsDotAndWithShare1DoesNotReadTheContext) {
  Problem anchored(*find_attention_kind("anchored"));
  anchored.spec.share = 0;
  const Problem dot;
  EXPECT_TRUE(same_bits(anchored.run({}, 1000), dot.run({}, 1000)));
  anchored.spec.share = 1;
  const auto expected = anchored.run({}, 1000);
  for (float& x : anchored.k) x = NAN;
  for (float& x : anchored.v) x = NAN;
  EXPECT_TRUE(same_bits(anchored.run({}, 1000), expected));
  EXPECT_TRUE(std::isfinite(expected.front()));
}

// design/attention.md: d = 4, scale 1, q = e1, r = e2.
struct Scores {
  float dot, gram;
};
Scores scores(const std::vector<float>& q, const std::vector<float>& r, const std::vector<float>& k) {
  const int d = static_cast<int>(q.size());
  const AttentionKind& gram = *find_attention_kind("gram");
  std::vector<float> vectors(static_cast<size_t>(2 * d)), products(16);
  std::vector<uint16_t> keys(static_cast<size_t>(d * 8));
  float square = 0;
  for (int i = 0; i < d; ++i) {
    uint16_t& half = keys[static_cast<size_t>(i * 8)];
    half = float_to_half(k[static_cast<size_t>(i)]);
    square += half_to_float(half) * half_to_float(half);
  }
  const KernelTable& kernels = select_kernels("");
  const auto factor = static_cast<float>(gram.prepare(q.data(), r.data(), d, vectors.data(), d));
  kernels.accumulate_f16({.a = vectors.data(),
                          .a_stride = d,
                          .b = keys.data(),
                          .b_stride = 8,
                          .c = products.data(),
                          .c_stride = 8,
                          .m = 2,
                          .inner = d,
                          .n = 8,
                          .fresh = true});
  gram.combine(products.data(), 8, &square, 1, products.data());
  return {dot_kind().formula_f32(q.data(), nullptr, k.data(), d), factor * products[0]};
}

TEST(Gram, HasTheKnownValues) {
  const std::vector<float> q = {1, 0, 0, 0}, r = {0, 1, 0, 0};
  const float half = std::sqrt(0.5f);
  const Scores in_plane = scores(q, r, {half, half, 0, 0});
  EXPECT_FLOAT_EQ(in_plane.dot, 0.70710678f);
  EXPECT_NEAR(in_plane.gram, 0, 1e-7);
  for (const float m : {1.0f, 5.0f, 10.0f, 50.0f, 100.0f}) {
    const Scores s = scores(q, r, {0.1f, 0, m, 0});
    EXPECT_FLOAT_EQ(s.dot, 0.1f);
    EXPECT_FLOAT_EQ(s.gram, -m * m);
  }
}

TEST(Gram, IsSymmetricInQAndRAndZeroWhereTheyAreParallel) {
  Rng rng(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> q(64), r(64), k(64);
    for (auto* x : {&q, &r, &k})
      for (float& value : *x) value = rng.normal();
    if (round % 4 == 0) std::swap(q[0], r[0]);
    EXPECT_EQ(scores(q, r, k).gram, scores(r, q, k).gram);
    EXPECT_LT(scores(q, r, k).gram, 0);
    const float factor = rng.normal();
    for (size_t i = 0; i < q.size(); ++i) r[i] = factor * q[i];
    EXPECT_EQ(scores(q, r, k).gram, 0);
    EXPECT_EQ(scores(r, q, k).gram, 0);
    std::fill(r.begin(), r.end(), 0.0f);
    EXPECT_EQ(scores(q, r, k).gram, 0);
    EXPECT_EQ(scores(r, r, k).gram, 0);
  }
}

TEST(SoftmaxState, MergeOfEmptyStatesStaysEmpty) {
  for (const IsaRow& isa : isa_rows()) {
    if (!isa.supported()) continue;
    SoftmaxState a, b;
    float oa[8] = {}, ob[8] = {};
    const auto merge = [&] {
      select_kernels(isa.name).merge_rows({.state = &a, .o = oa, .other = &b, .other_o = ob, .rows = 1, .d = 8});
    };
    merge();
    EXPECT_TRUE(a.empty());
    b = {3.0f, 2.0f};
    ob[7] = 1.5f;
    merge();
    EXPECT_EQ(a.m, 3.0f);
    EXPECT_EQ(a.l, 2.0f);
    EXPECT_EQ(oa[7], 1.5f);
  }
}

TEST(SoftmaxState, ATileOfHiddenKeysChangesNothing) {
  for (const IsaRow& isa : isa_rows()) {
    if (!isa.supported()) continue;
    SoftmaxState state;
    float o[8] = {};
    const float scale = 0.5f;
    const auto absorb = [&](std::vector<float>& scores, int seen) {
      scores.resize(kTile);
      select_kernels(isa.name).softmax_rows(
          {.scores = scores.data(), .seen = &seen, .scale = &scale, .state = &state, .o = o, .rows = 1, .d = 8});
    };
    std::vector<float> hidden(kTile, -INFINITY);
    absorb(hidden, kTile);
    EXPECT_TRUE(state.empty());
    EXPECT_EQ(hidden, std::vector<float>(kTile, 0.0f));
    std::vector<float> seen = {2.0f};
    absorb(seen, 1);
    o[0] = 1.5f;
    const SoftmaxState before = state;
    hidden.assign(kTile, -INFINITY);
    absorb(hidden, kTile);
    EXPECT_EQ(state.m, before.m);
    EXPECT_EQ(state.l, before.l);
    EXPECT_EQ(o[0], 1.5f);
  }
}

}  // namespace
}  // namespace fieldprint
