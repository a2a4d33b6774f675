// llama (Touvron et al. 2023): pre-norm blocks of grouped-query attention with RoPE on adjacent pairs, and SwiGLU.
//   x += Wo attend(rope(Wq h), rope(Wk h), Wv h)   with h = rms(x; attn_norm)
//   x += Wdown (silu(Wgate h) * Wup h)             with h = rms(x; ffn_norm)
//   logits = Wout rms(x; output_norm), Wout being the embedding where the file has no output matrix
#include <fmt/format.h>

#include <cmath>

#include "fieldprint/error.h"
#include "models/architecture.h"
#include "models/hparams.h"
#include "models/tensors.h"

namespace fieldprint {
namespace {

struct Block {
  Weight attn_norm, q, k, v, o;
  Weight ffn_norm, gate, up, down;
};

class Llama final : public Architecture {
 public:
  explicit Llama(const GgufFile& file) {
    hp_.layers = positive(file, "llama.block_count", 1000);
    hp_.width = positive(file, "llama.embedding_length", 1 << 20);
    hp_.context = positive(file, "llama.context_length", 1 << 30);
    heads_ = positive(file, "llama.attention.head_count", 1 << 12);
    kv_heads_ =
        file.find("llama.attention.head_count_kv") ? positive(file, "llama.attention.head_count_kv", heads_) : heads_;
    const int ffn = positive(file, "llama.feed_forward_length", 1 << 22);
    eps_ = static_cast<float>(file.number("llama.attention.layer_norm_rms_epsilon"));
    head_dim_ = static_cast<int>(file.integer("llama.attention.key_length", hp_.width / heads_));
    const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kUnsupported, what, file.path()); };
    if (file.integer("llama.attention.value_length", head_dim_) != head_dim_) {
      refuse("keys and values of different length are not supported");
    }
    check_heads(file, heads_, kv_heads_, head_dim_);
    if (file.integer("llama.expert_count", 0) != 0) refuse("llama models with experts are not supported");

    TensorSource source(file);
    hp_.vocabulary = static_cast<int>(std::min<uint64_t>(file.tensor("token_embd.weight").shape[1], 1 << 30));
    embedding_ = source.matrix("token_embd.weight", hp_.vocabulary, hp_.width);
    output_norm_ = source.vector("output_norm.weight", hp_.width, storage_);
    output_ = source.has("output.weight") ? source.matrix("output.weight", hp_.vocabulary, hp_.width) : embedding_;
    const int64_t q_width = int64_t{heads_} * head_dim_, kv_width = int64_t{kv_heads_} * head_dim_;
    for (int i = 0; i < hp_.layers; ++i) {
      const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", i, part); };
      Block& b = blocks_.emplace_back();
      b.attn_norm = source.vector(name("attn_norm"), hp_.width, storage_);
      b.q = source.matrix(name("attn_q"), q_width, hp_.width);
      b.k = source.matrix(name("attn_k"), kv_width, hp_.width);
      b.v = source.matrix(name("attn_v"), kv_width, hp_.width);
      b.o = source.matrix(name("attn_output"), hp_.width, q_width);
      b.ffn_norm = source.vector(name("ffn_norm"), hp_.width, storage_);
      b.gate = source.matrix(name("ffn_gate"), ffn, hp_.width);
      b.up = source.matrix(name("ffn_up"), ffn, hp_.width);
      b.down = source.matrix(name("ffn_down"), hp_.width, ffn);
      hp_.kv.push_back({kv_heads_, head_dim_});
    }
    rope_ = load_rope(file, "llama", RopePairs::kAdjacent, head_dim_, source);
    source.finish();
    hp_.parameters = hp_.active_parameters = source.elements();
  }

  const Hyperparameters& hyperparameters() const override { return hp_; }

  Tensor forward(Ops& ops) const override {
    AttendShape shape;
    shape.heads = heads_;
    shape.kv_heads = kv_heads_;
    shape.head_dim = head_dim_;
    shape.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim_)));

    Tensor x = ops.embed(embedding_);
    for (int i = 0; i < hp_.layers; ++i) {
      const Block& b = blocks_[static_cast<size_t>(i)];
      {
        const Tensor h = ops.rms_norm(x, b.attn_norm, eps_);
        const Weight* weights[] = {&b.q, &b.k, &b.v};
        Tensor qkv[3];
        ops.linear(h, weights, qkv);
        ops.rope(qkv[0], rope_, heads_);
        ops.rope(qkv[1], rope_, kv_heads_);
        shape.layer = i;
        ops.add(x, ops.linear(ops.attend(shape, qkv[0], qkv[1], qkv[2]), b.o));
      }
      if (i == hp_.layers - 1) x = ops.output_rows(std::move(x));  // the rest is done only for rows that want logits
      const Tensor h = ops.rms_norm(x, b.ffn_norm, eps_);
      const Weight* weights[] = {&b.gate, &b.up};
      Tensor gate_up[2];
      ops.linear(h, weights, gate_up);
      ops.add(x, ops.linear(ops.silu_mul(gate_up[0], gate_up[1]), b.down));
    }
    return ops.linear(ops.rms_norm(x, output_norm_, eps_), output_);
  }

 private:
  Hyperparameters hp_;
  int heads_ = 0, kv_heads_ = 0, head_dim_ = 0;
  float eps_ = 0;
  Rope rope_;
  Weight embedding_, output_norm_, output_;
  std::vector<Block> blocks_;
  std::deque<std::vector<float>> storage_;  // vectors converted to float32
};

}  // namespace

std::unique_ptr<Architecture> load_llama(const GgufFile& file, const ModelOverrides&) {
  return std::make_unique<Llama>(file);
}

}  // namespace fieldprint
