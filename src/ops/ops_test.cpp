// One table of cases for all ops, and one test that loops over it: what `run` makes of a case against the reference,
// its bits on every instruction set and number of threads, its time. An op without a row fails.
#include "ops/ops.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <regex>
#include <set>

#include "base/rng.h"
#include "fieldprint/error.h"
#include "kernels/select.h"
#include "ops/executors.h"
#include "ops/reference_executor.h"
#include "ops/run_executor.h"
#include "quant/random_blocks.h"
#include "support/files.h"
#include "support/paths.h"

namespace fieldprint {
namespace {

// The largest error of an output over the outputs' root mean square. Float32 against float64; activations in 8 bits,
// once and in the three products of an expert; keys and values in 16 or 8.
constexpr double kFloat = 2e-5, kQuantized = 0.05, kExperts = 0.12, kHalf = 0.01, kBfloat = 0.06, kBytes = 0.1;

struct WeightShape {
  std::string_view type;
  int64_t rows, cols;
};

struct OpCase {
  std::string op, about;
  std::vector<int64_t> inputs;  // columns of each: tensors of [T, columns]
  std::vector<WeightShape> weights;
  std::function<Tensor(Ops&, std::vector<Tensor>& x, const std::vector<Weight>& w)> apply;
  double tolerance = kFloat;
  KvLayerShape layer = {};
  const char* kv_type = "f16";
};

OpCase linear_case(const QuantType& type, int64_t rows, int64_t cols) {
  const bool quantized = wants_quantized(select_kernels("scalar"), type);
  return {"linear",
          fmt::format("{} {} x {}", type.name, rows, cols),
          {cols},
          {{type.name, rows, cols}},
          [](Ops& ops, auto& x, auto& w) { return ops.linear(x[0], w[0]); },
          quantized ? kQuantized : kFloat};
}

OpCase rope_case(RopePairs pairs, int heads, int head_dim, int rotated, double magnitude = 1) {
  const auto rope = std::make_shared<Rope>();
  rope->pairs = pairs;
  rope->magnitude = magnitude;
  for (int i = 0; i < rotated / 2; ++i) rope->inverse_frequency.push_back(std::pow(10000.0, -2.0 * i / rotated));
  return {
      "rope",
      fmt::format("{} of {} x {}, {}", rotated, heads, head_dim, pairs == RopePairs::kAdjacent ? "adjacent" : "halves"),
      {int64_t{heads} * head_dim},
      {},
      [=](Ops& ops, auto& x, auto&) {
        ops.rope(x[0], *rope, heads);
        return std::move(x[0]);
      }};
}

OpCase attend_case(std::string_view kind, int heads, int kv_heads, int head_dim, int window, const char* kv_type,
                   float softcap = 0, bool sinks = false, bool causal = true) {
  static const auto kSinks = std::to_array<float>({1, -2, 0.5, 3, 0, -1, 5, 2});
  AttendShape shape{.window = window, .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim, .spec = {}};
  shape.causal = causal;
  shape.spec.kind = find_attention_kind(kind);
  shape.spec.scale = static_cast<float>(shape.spec.kind->scale(head_dim));
  // A score of the sixth degree: at its own scale random vectors would leave one key all the weight.
  if (shape.spec.kind->third_projection) shape.spec.scale /= 32;
  if (shape.spec.kind->anchors) {
    Rng random(3);
    std::vector<float> keys(static_cast<size_t>(5 * kv_heads * head_dim)), values(keys.size());
    for (float& k : keys) k = random.normal();
    for (float& v : values) v = random.normal();
    shape.spec.anchors = std::make_shared<AnchorRows>(keys, values, kv_heads, head_dim);
    shape.spec.share = 0.4f;
    shape.spec.anchor_scale = 0.2f;
  }
  shape.spec.softcap = softcap;
  if (sinks) shape.spec.sinks = std::span(kSinks).first(static_cast<size_t>(heads));
  const int64_t width = int64_t{heads} * head_dim, kv_width = int64_t{kv_heads} * head_dim;
  std::vector<int64_t> inputs = {width, kv_width, kv_width};
  if (shape.spec.kind->third_projection) inputs.push_back(width);
  const std::string_view type = kv_type;
  return {"attend",
          fmt::format("{} {}/{} x {}, window {}, {}{}{}{}", kind, heads, kv_heads, head_dim, window, kv_type,
                      softcap > 0 ? ", capped" : "", sinks ? ", sinks" : "", causal ? "" : ", all keys"),
          inputs,
          {},
          [=](Ops& ops, auto& x, auto&) { return ops.attend(shape, x[0], x[1], x[2], x.size() > 3 ? &x[3] : nullptr); },
          type == "q8_0"   ? kBytes
          : type == "bf16" ? kBfloat
          : type == "f32"  ? kFloat
                           : kHalf,
          {.kv_heads = kv_heads, .head_dim = head_dim, .key_squares = shape.spec.kind->key_squares},
          kv_type};
}

OpCase shortconv_case(int64_t width, int taps) {
  return {"shortconv",
          fmt::format("{} taps of {}", taps, width),
          {3 * width},
          {{"F32", taps, width}},
          [](Ops& ops, auto& x, auto& w) { return ops.shortconv(0, x[0], w[0]); },
          kFloat,
          {.state_floats = (taps - 1) * width, .state_replay = taps - 1}};
}

OpCase conv_silu_case(int64_t width, int taps, bool bias) {
  return {"conv_silu",
          fmt::format("{} taps of {}{}", taps, width, bias ? ", bias" : ""),
          {width},
          {{"F32", taps, width}, {"F32", 1, width}},
          [=](Ops& ops, auto& x, auto& w) { return ops.conv_silu(0, x[0], w[0], bias ? w[1] : Weight()); },
          kFloat,
          {.state_floats = (taps - 1) * width, .state_replay = taps - 1}};
}

// Weights of heads: what is drawn around 0 becomes decays, which are below.
Weight decays(const Weight& drawn) {
  auto* values = reinterpret_cast<float*>(const_cast<std::byte*>(drawn.data));
  for (int64_t i = 0; i < drawn.cols; ++i) values[i] = values[i] > -0.1f ? -0.1f - std::fabs(values[i]) : values[i];
  return drawn;
}

OpCase delta_net_case(int groups, int heads, int keys, int columns) {
  LinearAttention net{.groups = groups, .heads = heads, .keys = keys, .columns = columns, .state_begin = 5};
  return {"delta_net",
          fmt::format("{} heads of {} x {}, {} groups", heads, keys, columns, groups),
          {2 * groups * keys + heads * columns, heads, heads},
          {{"F32", 1, heads}, {"F32", 1, heads}},
          [=](Ops& ops, auto& x, auto& w) {
            LinearAttention of = net;
            of.decay = decays(w[0]), of.bias = w[1];
            return ops.delta_net(of, 1e-6f, x[0], x[1], x[2]);
          },
          kFloat,
          {.state_floats = 5 + net.state_floats(), .state_replay = kNoReplay}};
}

OpCase mamba2_case(int groups, int heads, int keys, int columns) {
  LinearAttention net{.groups = groups, .heads = heads, .keys = keys, .columns = columns};
  return {"mamba2",
          fmt::format("{} heads of {} x {}, {} groups", heads, keys, columns, groups),
          {2 * groups * keys + heads * columns, heads},
          {{"F32", 1, heads}, {"F32", 1, heads}, {"F32", 1, heads}},
          [=](Ops& ops, auto& x, auto& w) {
            LinearAttention of = net;
            of.decay = decays(w[0]), of.bias = w[1];
            return ops.mamba2(of, x[0], x[1], w[2]);
          },
          kFloat,
          {.state_floats = net.state_floats(), .state_replay = kNoReplay}};
}

OpCase moe_case(std::string_view type, const Moe& of, bool bias, bool shared, bool shared_router, bool fused = false,
                bool biases = false) {
  constexpr int64_t kWidth = 96, kFfn = 64, kSharedFfn = 160;
  constexpr const char* kGatings[] = {"sigmoid", "softmax", "softmax of the chosen"};
  const int64_t n = of.experts;
  const bool quantized = wants_quantized(select_kernels("scalar"), *find_quant_type(type));
  return {"moe",
          fmt::format("{} {} of {} by {}{}{}{}{}{}{}", type, of.active, n, kGatings[static_cast<int>(of.gating)],
                      of.renormalise ? ", renormalised" : "", bias ? ", bias" : "", shared ? ", shared expert" : "",
                      shared_router ? " with a router" : "", fused ? ", gate and up in one" : "",
                      biases ? ", biases everywhere" : ""),
          {kWidth},
          {{"F32", n, kWidth},
           {"F32", 1, n},
           {type, n * kFfn * (fused ? 2 : 1), kWidth},
           {type, n * kFfn, kWidth},
           {type, n * kWidth, kFfn},
           {type, kSharedFfn, kWidth},
           {type, kSharedFfn, kWidth},
           {type, kWidth, kSharedFfn},
           {"F32", 1, kWidth},
           {"F32", n, kFfn},
           {"F32", n, kFfn},
           {"F32", n, kWidth}},
          [=](Ops& ops, auto& x, auto& w) {
            Moe moe = of;
            moe.router = w[0];
            if (bias) moe.bias = w[1];
            moe.gate = w[2], moe.down = w[4];
            if (!fused) moe.up = w[3];
            if (shared) moe.shared_gate = w[5], moe.shared_up = w[6], moe.shared_down = w[7];
            if (shared_router) moe.shared_router = w[8];
            if (biases) moe.router_bias = w[1], moe.gate_bias = w[9], moe.up_bias = w[10], moe.down_bias = w[11];
            return ops.moe(x[0], moe);
          },
          quantized ? kExperts : kFloat};
}

std::vector<OpCase> op_cases() {
  std::vector<OpCase> all;
  for (const char* type : {"F32", "BF16", "Q8_0", "Q4_K", "NVFP4"}) {
    all.push_back({"embed", type, {}, {{type, 64, 256}}, [](Ops& ops, auto&, auto& w) { return ops.embed(w[0]); }});
  }
  all.push_back({"rms_norm", "6 x 32, 3 weights", {192}, {{"F32", 3, 32}}, [](Ops& ops, auto& x, auto& w) {
                   return ops.rms_norm(x[0], w[0], 1e-5f);
                 }});
  for (const auto& [groups, cols] : {std::pair(1, 256), std::pair(1, 50), std::pair(7, 64)}) {
    all.push_back({"rms_norm",
                   fmt::format("{} x {}", groups, cols),
                   {int64_t{groups} * cols},
                   {{"F32", 1, cols}},
                   [](Ops& ops, auto& x, auto& w) { return ops.rms_norm(x[0], w[0], 1e-5f); }});
  }
  for (const int64_t cols : {50, 384}) {
    all.push_back({"layer_norm",
                   fmt::format("{}", cols),
                   {cols},
                   {{"F32", 1, cols}, {"F32", 1, cols}},
                   [](Ops& ops, auto& x, auto& w) { return ops.layer_norm(x[0], w[0], w[1], 1e-12f); }});
    all.push_back(
        {"gelu_erf", fmt::format("{}", cols), {cols}, {}, [](Ops& ops, auto& x, auto&) { return ops.gelu_erf(x[0]); }});
    all.push_back(
        {"gelu", fmt::format("{}", cols), {cols}, {}, [](Ops& ops, auto& x, auto&) { return ops.gelu(x[0]); }});
  }
  for (const int64_t cols : {1, 33, 64}) {
    all.push_back({"add_sinusoids", fmt::format("{}", cols), {cols}, {}, [](Ops& ops, auto& x, auto&) {
                     ops.add_sinusoids(x[0]);
                     return std::move(x[0]);
                   }});
  }
  for (const char* type : {"F32", "Q8_0"}) {
    all.push_back({"add_positions", type, {64}, {{type, 256, 64}}, [](Ops& ops, auto& x, auto& w) {
                     ops.add_positions(x[0], w[0]);
                     return std::move(x[0]);
                   }});
  }
  for (const QuantType& type : quant_types()) {
    all.push_back(linear_case(type, 70, 512));
    if (type.block_elements <= 32) all.push_back(linear_case(type, 1, 96));
    if (type.block_elements > 1) continue;
    for (const int64_t rank : {8, 13, 24}) all.push_back(linear_case(type, 70, rank));  // an adapter's B
  }
  all.push_back({"linear",
                 "three matrices of two types",
                 {256},
                 {{"Q4_K", 96, 256}, {"Q6_K", 33, 256}, {"F16", 5, 256}},
                 [](Ops& ops, auto& x, auto& w) {
                   const Weight* weights[] = {&w[0], &w[1], &w[2]};
                   Tensor y[3];
                   ops.linear(x[0], weights, y);
                   return std::move(y[1]);
                 },
                 kQuantized});
  for (const int64_t cols : {1, 50, 512}) {
    all.push_back({"add", fmt::format("{}", cols), {cols, cols}, {}, [](Ops& ops, auto& x, auto&) {
                     ops.add(x[0], x[1]);
                     return std::move(x[0]);
                   }});
    all.push_back({"silu_mul", fmt::format("{}", cols), {cols, cols}, {}, [](Ops& ops, auto& x, auto&) {
                     return ops.silu_mul(x[0], x[1]);
                   }});
    all.push_back({"sigmoid_mul", fmt::format("{}", cols), {cols, cols}, {}, [](Ops& ops, auto& x, auto&) {
                     return ops.sigmoid_mul(x[0], x[1]);
                   }});
    all.push_back({"gelu_mul", fmt::format("{}", cols), {cols, cols}, {}, [](Ops& ops, auto& x, auto&) {
                     return ops.gelu_mul(x[0], x[1]);
                   }});
    all.push_back({"swiglu_clamped", fmt::format("{}", cols), {cols, cols}, {}, [](Ops& ops, auto& x, auto&) {
                     ops.scale(x[0], 4), ops.scale(x[1], 4);  // beyond the limits
                     return ops.swiglu_clamped(x[0], x[1]);
                   }});
    all.push_back({"softcap", fmt::format("{}", cols), {cols}, {}, [](Ops& ops, auto& x, auto&) {
                     ops.softcap(x[0], 1.5f);
                     return std::move(x[0]);
                   }});
  }
  all.push_back({"add", "scaled", {40, 40}, {}, [](Ops& ops, auto& x, auto&) {
                   ops.add(x[0], x[1], 0.22f);
                   return std::move(x[0]);
                 }});
  all.push_back({"add_bias", "70", {70}, {{"F32", 1, 70}}, [](Ops& ops, auto& x, auto& w) {
                   ops.add_bias(x[0], w[0]);
                   return std::move(x[0]);
                 }});
  all.push_back({"scale", "70", {70}, {}, [](Ops& ops, auto& x, auto&) {
                   ops.scale(x[0], 12.5f);
                   return std::move(x[0]);
                 }});
  all.push_back(rope_case(RopePairs::kAdjacent, 3, 64, 64));
  all.push_back(rope_case(RopePairs::kHalves, 5, 40, 40));
  all.push_back(rope_case(RopePairs::kHalves, 2, 64, 30, 1.25));
  for (const AttentionKind& kind : attention_kinds()) all.push_back(attend_case(kind.name, 4, 2, 64, 0, "f16"));
  all.push_back(attend_case("dot", 7, 1, 40, 0, "f16"));
  all.push_back(attend_case("dot", 3, 3, 96, 70, "bf16"));
  all.push_back(attend_case("dot", 8, 2, 64, 0, "q8_0"));
  for (const char* type : {"f16", "q8_0"}) all.push_back(attend_case("dot", 6, 6, 32, 0, type, 0, false, false));
  all.push_back(attend_case("gram", 4, 2, 64, 0, "f16", 0, false, false));
  all.push_back(attend_case("gram", 2, 2, 32, 5, "q8_0"));
  for (const char* type : {"f16", "bf16", "q8_0", "f32"}) {
    all.push_back(attend_case("dot", 4, 2, 64, 0, type, 1.5f));
    all.push_back(attend_case("dot", 8, 2, 64, 20, type, 0, true));
    all.push_back(attend_case("dot", 6, 1, 64, 70, type, 0.7f, true));
  }
  all.push_back(attend_case("anchored", 4, 2, 64, 0, "f16", 2, true));
  for (const auto& [width, taps] : {std::pair(96, 3), std::pair(50, 1), std::pair(33, 4)})
    all.push_back(shortconv_case(width, taps));
  for (const auto& [width, taps] : {std::pair(96, 4), std::pair(50, 1), std::pair(4100, 3)}) {
    all.push_back(conv_silu_case(width, taps, false));
    all.push_back(conv_silu_case(width, taps, true));
  }
  all.push_back(delta_net_case(2, 4, 32, 32));
  all.push_back(delta_net_case(1, 3, 8, 40));
  all.push_back(delta_net_case(2, 2, 128, 128));
  all.push_back(mamba2_case(1, 8, 16, 16));
  all.push_back(mamba2_case(2, 4, 32, 57));
  all.push_back({"head_part", "the last third of 4 heads of 9", {36}, {}, [](Ops& ops, auto& x, auto&) {
                   return ops.head_part(x[0], 4, 2, 3);
                 }});
  all.push_back(
      {"pad_heads", "3 heads of 10", {30}, {}, [](Ops& ops, auto& x, auto&) { return ops.pad_heads(x[0], 3); }});
  for (const auto& [heads, d] : {std::pair(3, 16), std::pair(1, 128), std::pair(2, 7)}) {
    const int kv_heads = heads;
    all.push_back({"key_plane",
                   fmt::format("{} heads of {}", heads, d),
                   {heads * d, heads * d},
                   {},
                   [=](Ops& ops, auto& x, auto&) { return ops.key_plane(x[0], x[1], kv_heads); }});
  }
  const auto of = [](int experts, int active) {
    Moe moe;
    moe.experts = experts;
    moe.active = active;
    return moe;
  };
  for (const char* type : {"F32", "Q8_0", "Q4_0"}) {
    for (const Moe::Gating gating : {Moe::Gating::kSigmoid, Moe::Gating::kSoftmax, Moe::Gating::kSoftmaxChosen}) {
      for (const bool renormalise : {true, false}) {
        Moe moe = of(6, 2);
        moe.gating = gating;
        moe.renormalise = renormalise;
        moe.scale = renormalise ? 1.0f : 2.5f;
        all.push_back(moe_case(type, moe, gating == Moe::Gating::kSigmoid, false, false));
      }
    }
    all.push_back(moe_case(type, of(4, 4), false, true, false));
    all.push_back(moe_case(type, of(3, 1), true, true, true));
    all.push_back(moe_case(type, of(5, 3), false, true, true, true));
    for (const Glu glu : {Glu::kGelu, Glu::kClampedSilu}) {
      Moe moe = of(4, 2);
      moe.gating = Moe::Gating::kSoftmaxChosen;
      moe.glu = glu;
      all.push_back(moe_case(type, moe, false, false, false, false, true));
    }
  }
  all.push_back({"output_head",
                 "Q4_K 96 x 256",
                 {256},
                 {{"Q4_K", 96, 256}},
                 [](Ops& ops, auto& x, auto& w) { return ops.output_head(std::move(x[0]), w[0]); },
                 kQuantized});
  for (const auto& [cols, k] : {std::pair(40, 3), std::pair(7, 7)}) {
    const auto rows = [](const Tensor& x) { return std::vector<float>(static_cast<size_t>(x.rows()), 0.5f); };
    all.push_back({"cross_entropy", fmt::format("{}", cols), {cols}, {}, [=, cols = cols](Ops& ops, auto& x, auto&) {
                     std::vector<float> weights = rows(x[0]);
                     weights.front() = 0;
                     std::vector<TokenId> targets;
                     for (int t = 0; t < x[0].rows(); ++t) targets.push_back(t * 5 % cols);
                     return ops.cross_entropy(x[0], targets, weights);
                   }});
    all.push_back({"distillation",
                   fmt::format("{} of {}", k, cols),
                   {cols},
                   {},
                   [=, cols = cols, k = k](Ops& ops, auto& x, auto&) {
                     std::vector<TokenId> ids;
                     std::vector<float> logp, tail;
                     for (int t = 0; t < x[0].rows(); ++t) {
                       double left = 1;
                       for (int i = 0; i < k; ++i) {
                         ids.push_back((t + 2 * i) % cols);
                         logp.push_back(static_cast<float>(-std::log(k) - (k < cols ? 0.3 * i : 0.0)));
                         if (k < cols && i + 1 == k && t % 2 == 1) ids.back() = kNoToken;  // fewer than k
                         else left -= std::exp(static_cast<double>(logp.back()));
                       }
                       tail.push_back(static_cast<float>(std::log(k < cols ? left : 0.0)));
                     }
                     return ops.distillation(x[0], {k, ids, logp, tail}, rows(x[0]), 1.5f);
                   }});
  }
  // Of three sequences one keeps all rows, one the last, one none.
  all.push_back(
      {"output_rows", "50", {50}, {}, [](Ops& ops, auto& x, auto&) { return ops.output_rows(std::move(x[0])); }});
  return all;
}

constexpr int kSequences = 3;
constexpr LogitRows kRows[kSequences] = {LogitRows::kAll, LogitRows::kLast, LogitRows::kNone};
constexpr int kSteps[][kSequences] = {{7, 1, 130}, {1, 1, 1}, {2, 66, 3}};  // tokens of each sequence

// A function of the case and the executor alone: so a backward, once an op has one, can be held against the finite
// differences of these.
struct Outputs {
  std::vector<std::vector<float>> steps;
  double seconds = 0;
};

Tensor input(Executor& executor, int rows, int64_t cols, Rng& random) {
  return executor.visit([&](auto& of) {
    Tensor x = of.make(rows, cols);
    for (int64_t i = 0; i < rows * cols; ++i) of.data(x)[i] = random.normal();
    return x;
  });
}

Outputs outputs_of(const OpCase& of, Executor& executor) {
  Rng random(17);
  std::deque<std::vector<std::byte>> storage;
  std::vector<Weight> weights;
  for (const WeightShape& shape : of.weights) {
    const QuantType* type = find_quant_type(shape.type);
    Weight weight{"blk.0.test.weight", type, nullptr, shape.rows, shape.cols};
    storage.emplace_back(static_cast<size_t>(weight.bytes()));
    RandomBlocks(*type, 1.0f / std::sqrt(static_cast<float>(shape.cols)))
        .fill(random, storage.back().data(), shape.rows * shape.cols);
    weight.data = storage.back().data();
    weights.push_back(weight);
  }
  Ops ops(executor);
  Outputs out;
  std::unique_ptr<SequenceState> states[kSequences];
  for (auto& state : states) state = executor.new_sequence();
  int done[kSequences] = {};
  for (const auto& counts : kSteps) {
    std::vector<std::vector<TokenId>> tokens(kSequences);
    std::vector<StepSequence> step;
    for (size_t s = 0; s < kSequences; ++s) {
      for (int t = 0; t < counts[s]; ++t) tokens[s].push_back(static_cast<TokenId>(random.below(64)));
      step.push_back({states[s].get(), done[s], tokens[s], kRows[s], false});
      done[s] += counts[s];
    }
    executor.begin(step);
    std::vector<Tensor> x;
    for (const int64_t cols : of.inputs) x.push_back(input(executor, executor.step().rows(), cols, random));
    const auto start = std::chrono::steady_clock::now();
    Tensor y = of.apply(ops, x, weights);
    out.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto values = executor.finish(std::move(y));
    out.steps.emplace_back(values.begin(), values.end());
  }
  return out;
}

double largest_error(const std::vector<float>& got, const std::vector<float>& expected) {
  double error = 0, squares = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double e = static_cast<double>(expected[i]);
    error = std::max(error, std::fabs(static_cast<double>(got[i]) - e));
    if (!std::isfinite(got[i])) error = std::numeric_limits<double>::infinity();
    squares += e * e;
  }
  return error / std::sqrt(squares / static_cast<double>(expected.size()));
}

TEST(Ops, RunAgreesWithTheReferenceOnEveryIsaAndAnyThreads) {
  struct Sum {
    int cases = 0;
    double run = 0, reference = 0, worst = 0;  // seconds; error over tolerance
    std::string worst_case;
  };
  std::map<std::string, Sum> sums;
  for (const OpCase& of : op_cases()) {
    SCOPED_TRACE(of.op + " " + of.about);
    ThreadPool one(1), three(3);
    const auto outputs = [&](const char* executor, const KernelTable& kernels, ThreadPool& pool) {
      const ExecutorSetup setup{
          .kernels = kernels, .pool = pool, .layers = {&of.layer, 1}, .page_size = 16, .kv_type = of.kv_type};
      return outputs_of(of, *make_executor(executor, setup));
    };
    const KernelTable& best = select_kernels("");
    const Outputs expected = outputs("reference", best, one), got = outputs("run", best, one);
    EXPECT_EQ(outputs("run", best, three).steps, got.steps) << "three threads";
    for (const IsaRow& isa : isa_rows()) {
      if (!isa.supported()) continue;
      EXPECT_EQ(outputs("run", select_kernels(isa.name), one).steps, got.steps) << isa.name;
    }
    Sum& sum = sums[of.op];
    for (size_t i = 0; i < expected.steps.size(); ++i) {
      ASSERT_EQ(got.steps[i].size(), expected.steps[i].size());
      const double error = largest_error(got.steps[i], expected.steps[i]);
      EXPECT_LE(error, of.tolerance) << "step " << i;
      if (error / of.tolerance > sum.worst) sum.worst = error / of.tolerance, sum.worst_case = of.about;
    }
    ++sum.cases;
    sum.run += got.seconds;
    sum.reference += expected.seconds;
  }
  for (const auto& [op, sum] : sums) {
    fmt::print(
        "{:<12} {:>3} cases  run {:>8.2f} ms  reference {:>8.2f} ms  worst error {:.2f} of what is allowed ({})\n", op,
        sum.cases, sum.run * 1e3, sum.reference * 1e3, sum.worst, sum.worst_case);
    RecordProperty(op + "_run_us", static_cast<int>(sum.run * 1e6));
  }
}

// ---- Gradients

// Of the sum of an output's numbers, each times one that is drawn, by inputs and float32 weights.
template <class AnyExecutor>
struct Gradients {
  using Number = typename AnyExecutor::Number;
  static constexpr int kTokens[] = {5, 1, 9};  // of each sequence

  // The float32 weights are trained, or else all are constants.
  Gradients(const OpCase& of, AnyExecutor& executor, bool train = true)
      : of_(of), executor_(executor), ops_(executor), tape_(executor.arena()), train_(train) {
    Rng random(23);
    for (const WeightShape& shape : of.weights) {
      const QuantType* type = find_quant_type(shape.type);
      Weight weight{"blk.0.test.weight", type, nullptr, shape.rows, shape.cols};
      storage_.emplace_back(static_cast<size_t>(weight.bytes()));
      RandomBlocks(*type, 1.0f / std::sqrt(static_cast<float>(shape.cols)))
          .fill(random, storage_.back().data(), shape.rows * shape.cols);
      weight.data = storage_.back().data();
      weights.push_back(weight);
      by_weight.emplace_back();
      if (shape.type != "F32") continue;
      by_weight.back().resize(static_cast<size_t>(shape.rows * shape.cols));
      if (train) tape_.train(weight.floats(), shape.rows * shape.cols, by_weight.back().data());
    }
    int rows = 0;
    for (int s = 0; s < kSequences; ++s) {
      for (int t = 0; t < kTokens[s]; ++t) tokens_[s].push_back(static_cast<TokenId>(random.below(64)));
      rows += kTokens[s];
    }
    for (const int64_t cols : of.inputs) {
      inputs.emplace_back(static_cast<size_t>(rows * cols));
      for (double& x : inputs.back()) x = static_cast<double>(random.normal());
      by_input.emplace_back();
    }
  }

  // The sum; with gradients where `backward`.
  double sum(bool backward) {
    std::unique_ptr<SequenceState> states[kSequences];
    std::vector<StepSequence> step;
    static constexpr int kSome[] = {1, 4, 7};
    for (int s = 0; s < kSequences; ++s) {
      states[s] = executor_.new_sequence();
      step.push_back({states[s].get(), 0, tokens_[s], s == 2 ? LogitRows::kSome : kRows[s], false});
      step.back().some = kSome;
    }
    executor_.attach(backward ? &tape_ : nullptr);
    executor_.begin(step);
    if (backward) tape_.begin();
    std::vector<Tensor> x;
    for (size_t i = 0; i < inputs.size(); ++i) {
      x.push_back(executor_.make(executor_.step().rows(), of_.inputs[i]));
      std::transform(inputs[i].begin(), inputs[i].end(), executor_.data(x[i]),
                     [](double v) { return static_cast<Number>(v); });
      if (!backward) continue;
      tape_.record(x[i], [this, i, at = tape_.node(x[i])] {
        by_input[i].assign(tape_.gradient(at), tape_.gradient(at) + at.size());
      });
      by_input[i].assign(inputs[i].size(), Number{0});
    }
    Tensor y = of_.apply(ops_, x, weights);
    Rng random(29);
    std::vector<Number> seed(static_cast<size_t>(y.rows() * y.cols()));
    double total = 0;
    for (size_t i = 0; i < seed.size(); ++i) {
      seed[i] = static_cast<Number>(random.normal());
      total += static_cast<double>(seed[i]) * static_cast<double>(executor_.data(y)[i]);
    }
    x.clear();
    if (backward) {
      for (auto& gradient : by_weight) std::fill(gradient.begin(), gradient.end(), Number{0});
      tape_.backward(y, seed.data());
    }
    executor_.finish(std::move(y));
    return total;
  }

  std::vector<std::vector<double>> inputs;
  std::vector<Weight> weights;
  std::vector<std::vector<Number>> by_input, by_weight;

 private:
  const OpCase& of_;
  AnyExecutor& executor_;
  Ops ops_;
  Tape<Number> tape_;
  bool train_;
  std::vector<TokenId> tokens_[kSequences];
  std::deque<std::vector<std::byte>> storage_;
};

// Of the numbers' root mean square, so that a gradient of nearly nothing may be off by next to nothing.
template <class Number>
double root_mean_square(const std::vector<Number>& of) {
  double squares = 0;
  for (const Number x : of) squares += static_cast<double>(x) * static_cast<double>(x);
  return of.empty() ? 0 : std::sqrt(squares / static_cast<double>(of.size()));
}

TEST(Gradients, OfEveryOpAreThoseOfFiniteDifferencesInFloat64) {
  constexpr double kEps = 1e-6, kRelative = 1e-3;
  for (const OpCase& of : op_cases()) {
    SCOPED_TRACE(of.op + " " + of.about);
    ReferenceExecutor executor(1);
    Gradients<ReferenceExecutor> gradients(of, executor);
    gradients.sum(true);
    Rng random(31);
    int checked = 0;
    const auto check = [&](const std::vector<double>& analytic, const char* of_what, size_t which, auto&& slope) {
      const double slack = 1e-5 * root_mean_square(analytic) + 1e-9;
      const size_t step = std::max<size_t>(1, analytic.size() / 12);
      for (size_t i = random.below(step); i < analytic.size(); i += step, ++checked) {
        const double numeric = slope(i);
        EXPECT_NEAR(analytic[i], numeric, kRelative * std::fabs(numeric) + slack)
            << of_what << which << " [" << i << "]";
      }
    };
    for (size_t which = 0; which < gradients.inputs.size(); ++which) {
      const std::vector<double> analytic = gradients.by_input[which];
      check(analytic, "input ", which, [&](size_t i) {
        double& x = gradients.inputs[which][i];
        const double before = x;
        x = before + kEps;
        const double above = gradients.sum(false);
        x = before - kEps;
        const double below = gradients.sum(false);
        x = before;
        return (above - below) / (2 * kEps);
      });
    }
    for (size_t which = 0; which < gradients.weights.size(); ++which) {
      const std::vector<double> analytic = gradients.by_weight[which];
      auto* values = const_cast<float*>(gradients.weights[which].floats());
      check(analytic, "weight ", which, [&](size_t i) {  // weights are float32: a step that these can make
        const float before = values[i], above_at = before + 0x1p-11f, below_at = before - 0x1p-11f;
        values[i] = above_at;
        const double above = gradients.sum(false);
        values[i] = below_at;
        const double below = gradients.sum(false);
        values[i] = before;
        return (above - below) / (static_cast<double>(above_at) - static_cast<double>(below_at));
      });
    }
    EXPECT_TRUE(checked > 0 || of.op == "embed") << "of a frozen table there is nothing to check";
  }
}

// In float32, on any number of threads and every instruction set the same. Keys and values are kept as in training.
TEST(Gradients, OfRunAreThoseOfTheReference) {
  for (const OpCase& of : op_cases()) {
    SCOPED_TRACE(of.op + " " + of.about);
    ReferenceExecutor reference(1);
    Gradients<ReferenceExecutor> expected(of, reference);
    expected.sum(true);
    std::vector<std::vector<float>> first;
    for (const IsaRow& isa : isa_rows()) {
      if (!isa.supported()) continue;
      for (const int threads : {1, 3}) {
        ThreadPool pool(threads);
        RunExecutor run(select_kernels(isa.name), pool, KvLayout({of.layer}, 16, KvType::kF32));
        Gradients<RunExecutor> got(of, run);
        const double sum = got.sum(true);
        EXPECT_EQ(sum, got.sum(false)) << "a tape changes nothing";
        auto all = got.by_input;
        all.insert(all.end(), got.by_weight.begin(), got.by_weight.end());
        if (first.empty()) first = all;
        EXPECT_EQ(all, first) << isa.name << ", " << threads << " threads";
      }
    }
    auto all = expected.by_input;
    all.insert(all.end(), expected.by_weight.begin(), expected.by_weight.end());
    for (size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(first[i].size(), all[i].size());
      const double scale = root_mean_square(all[i]);
      for (size_t j = 0; j < all[i].size(); ++j)
        ASSERT_NEAR(static_cast<double>(first[i][j]), all[i][j],
                    4 * of.tolerance * std::max(scale, std::fabs(all[i][j])) + 1e-7)
            << i << " [" << j << "]";
    }
  }
}

// What ops.h declares, each in a file of its own, and each in the table.
TEST(Ops, EveryOneHasAFileAndCases) {
  const std::string header = slurp((source_dir() / "src/ops/ops.h").string());
  const size_t begin = header.find("class Ops {");
  const std::string body = header.substr(begin, header.find(" private:", begin) - begin);
  std::set<std::string> declared, tested;
  const std::regex member(R"(\n  (?:Tensor|void) (\w+)\()");
  for (std::sregex_iterator it(body.begin(), body.end(), member), end; it != end; ++it) declared.insert((*it)[1]);
  for (const OpCase& of : op_cases()) tested.insert(of.op);
  EXPECT_EQ(tested, declared);
  EXPECT_GE(declared.size(), 10u);
  for (const std::string& op : declared) {
    const std::string file = slurp((source_dir() / "src/ops" / (op + ".cpp")).string());
    EXPECT_NE(file.find("Ops::" + op + "("), std::string::npos) << "src/ops/" << op << ".cpp";
  }
}

TEST(Ops, AnUnknownExecutorIsRefusedWithTheNamesOfAll) {
  ThreadPool pool(1);
  const std::string said =
      refusal([&] { make_executor("gpu", {.kernels = select_kernels(""), .pool = pool, .layers = {}}); });
  EXPECT_NE(said.find("there is no executor 'gpu'"), std::string::npos) << said;
}

}  // namespace
}  // namespace fieldprint
