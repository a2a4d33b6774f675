// LFM2 (Liquid AI 2025), dense (`lfm2`) and mixture of experts (`lfm2moe`): layers of short convolution with some
// layers of grouped-query attention among them. The file decides: a layer with 0 K/V heads is a convolution, layers
// from leading_dense_block_count on have experts.
//   x += op(rms(x; attn_norm));  x += ffn(rms(x; ffn_norm));  logits = Wout rms(x; token_embd_norm)
//   attention: q and k are RMS-normed per head, then RoPE on half-split pairs (models/attention.h)
//   convolution: B, C, z = split(Win h); Wout (C * conv(B * z))
#include <fmt/format.h>

#include <algorithm>

#include "fieldprint/error.h"
#include "models/architecture.h"
#include "models/attention.h"
#include "models/hparams.h"
#include "models/tensors.h"

namespace fieldprint {
namespace {

struct Layer {
  Weight attn_norm, ffn_norm;
  bool has_attention = false;  // else a convolution
  AttentionLayer attention;
  Weight in_proj, conv, out_proj;
  bool has_experts = false;
  Weight gate, up, down;
  Moe moe;
};

class Lfm2 final : public Architecture {
 public:
  Lfm2(const GgufFile& file, const ModelOverrides& overrides) {
    const std::string arch(file.string("general.architecture"));
    const auto key = [&](const char* part) { return arch + "." + part; };
    hp_.layers = positive(file, key("block_count"), 1000);
    hp_.width = positive(file, key("embedding_length"), 1 << 20);
    hp_.context = positive(file, key("context_length"), 1 << 30);
    const int heads = positive(file, key("attention.head_count"), 1 << 12);
    const int head_dim = static_cast<int>(file.integer(key("attention.key_length"), hp_.width / heads));
    if (file.integer(key("attention.value_length"), head_dim) != head_dim) {
      throw Error(ErrorKind::kUnsupported, "keys and values of different length are not supported", file.path());
    }
    eps_ = static_cast<float>(file.number(key("attention.layer_norm_rms_epsilon")));
    const int window =
        static_cast<int>(std::clamp<int64_t>(file.integer(key("attention.sliding_window"), 0), 0, hp_.context));
    const int taps = positive(file, key("shortconv.l_cache"), 64);
    const int ffn = positive(file, key("feed_forward_length"), 1 << 22);
    const int experts = static_cast<int>(file.integer(key("expert_count"), 0));
    int dense_layers = hp_.layers, expert_ffn = 0, active = 0;
    if (experts > 0) {
      dense_layers = static_cast<int>(file.integer(key("leading_dense_block_count"), 0));
      expert_ffn = positive(file, key("expert_feed_forward_length"), 1 << 22);
      active = positive(file, key("expert_used_count"), experts);
      if (overrides.experts > 0) active = std::min(overrides.experts, experts);
      hp_.experts = experts;
      constexpr int kSigmoid = 2;
      if (const int64_t gating = file.integer(key("expert_gating_func"), kSigmoid); gating != kSigmoid) {
        throw Error(ErrorKind::kUnsupported,
                    fmt::format("experts are gated by function {}, only 2 (sigmoid) is supported", gating),
                    file.path());
      }
    }

    TensorSource source(file);
    hp_.vocabulary = static_cast<int>(std::min<uint64_t>(file.tensor("token_embd.weight").shape[1], 1 << 30));
    embedding_ = source.matrix("token_embd.weight", hp_.vocabulary, hp_.width);
    output_norm_ = source.vector("token_embd_norm.weight", hp_.width, storage_);
    output_ = source.has("output.weight") ? source.matrix("output.weight", hp_.vocabulary, hp_.width) : embedding_;
    int64_t idle = 0;  // weights of experts that a token does not choose
    for (int i = 0; i < hp_.layers; ++i) {
      const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", i, part); };
      Layer& layer = layers_.emplace_back();
      layer.attn_norm = source.vector(name("attn_norm"), hp_.width, storage_);
      layer.ffn_norm = source.vector(name("ffn_norm"), hp_.width, storage_);
      const int kv = kv_heads(file, key("attention.head_count_kv"), i);
      layer.has_attention = kv > 0;
      if (layer.has_attention) {
        check_heads(file, heads, kv, head_dim);
        layer.attention = AttentionLayer(file, arch,
                                         {.layer = i,
                                          .width = hp_.width,
                                          .heads = heads,
                                          .kv_heads = kv,
                                          .head_dim = head_dim,
                                          .window = window,
                                          .head_norms = true},
                                         source, storage_);
        hp_.kv.push_back({.kv_heads = kv, .head_dim = head_dim, .key_squares = layer.attention.kind().key_squares});
      } else {
        layer.in_proj = source.matrix(name("shortconv.in_proj"), 3 * int64_t{hp_.width}, hp_.width);
        layer.conv = source.kernel(name("shortconv.conv"), taps, hp_.width, storage_);
        layer.out_proj = source.matrix(name("shortconv.out_proj"), hp_.width, hp_.width);
        hp_.kv.push_back({.conv_width = hp_.width, .conv_taps = taps});
      }
      hp_.attention.push_back(layer.has_attention ? &layer.attention.kind() : nullptr);
      layer.has_experts = i >= dense_layers;
      if (layer.has_experts) {
        layer.moe.experts = experts;
        layer.moe.active = active;
        layer.moe.router = source.matrix(name("ffn_gate_inp"), experts, hp_.width);
        layer.moe.bias = source.vector(fmt::format("blk.{}.exp_probs_b.bias", i), experts, storage_);
        layer.moe.gate = source.experts(name("ffn_gate_exps"), experts, expert_ffn, hp_.width);
        layer.moe.up = source.experts(name("ffn_up_exps"), experts, expert_ffn, hp_.width);
        layer.moe.down = source.experts(name("ffn_down_exps"), experts, hp_.width, expert_ffn);
        idle += int64_t{experts - active} * 3 * expert_ffn * hp_.width;
      } else {
        layer.gate = source.matrix(name("ffn_gate"), ffn, hp_.width);
        layer.up = source.matrix(name("ffn_up"), ffn, hp_.width);
        layer.down = source.matrix(name("ffn_down"), hp_.width, ffn);
      }
    }
    rope_ = load_rope(file, arch, RopePairs::kHalves, head_dim, source);
    source.finish();
    hp_.parameters = source.elements();
    hp_.active_parameters = hp_.parameters - idle;
  }

  const Hyperparameters& hyperparameters() const override { return hp_; }

  Tensor forward(Ops& ops) const override {
    Tensor x = ops.embed(embedding_);
    for (int i = 0; i < hp_.layers; ++i) {
      const Layer& layer = layers_[static_cast<size_t>(i)];
      {
        const Tensor h = ops.rms_norm(x, layer.attn_norm, eps_);
        ops.add(x, layer.has_attention ? layer.attention.forward(ops, h, rope_, eps_) : convolution(ops, i, h));
      }
      if (i == hp_.layers - 1) x = ops.output_rows(std::move(x));  // the rest is done only for rows that want logits
      const Tensor h = ops.rms_norm(x, layer.ffn_norm, eps_);
      ops.add(x, layer.has_experts ? ops.moe(h, layer.moe) : dense(ops, layer, h));
    }
    return ops.linear(ops.rms_norm(x, output_norm_, eps_), output_);
  }

 private:
  // The key is an array with one number a layer, or one number for all.
  static int kv_heads(const GgufFile& file, const std::string& key, int layer) {
    const GgufArray* array = file.array(key);
    int64_t n = 0;
    if (array != nullptr) {
      if (static_cast<uint64_t>(layer) >= array->count) {
        throw Error(ErrorKind::kBadFile, fmt::format("{} has {} entries, too few for the layers", key, array->count),
                    file.path());
      }
      n = array->integer(static_cast<uint64_t>(layer));
    } else {
      n = file.integer(key);
    }
    if (n < 0 || n > 1 << 12)
      throw Error(ErrorKind::kBadFile, fmt::format("{} is {} for layer {}", key, n, layer), file.path());
    return static_cast<int>(n);
  }

  Tensor convolution(Ops& ops, int index, const Tensor& h) const {
    const Layer& layer = layers_[static_cast<size_t>(index)];
    return ops.linear(ops.shortconv(index, ops.linear(h, layer.in_proj), layer.conv), layer.out_proj);
  }

  static Tensor dense(Ops& ops, const Layer& layer, const Tensor& h) {
    const Weight* weights[] = {&layer.gate, &layer.up};
    Tensor gate_up[2];
    ops.linear(h, weights, gate_up);
    return ops.linear(ops.silu_mul(gate_up[0], gate_up[1]), layer.down);
  }

  Hyperparameters hp_;
  float eps_ = 0;
  Rope rope_;
  Weight embedding_, output_norm_, output_;
  std::vector<Layer> layers_;
  std::deque<std::vector<float>> storage_;  // vectors and kernels converted to float32
};

}  // namespace

std::unique_ptr<Architecture> load_lfm2(const GgufFile& file, const ModelOverrides& overrides) {
  return std::make_unique<Lfm2>(file, overrides);
}

}  // namespace fieldprint
