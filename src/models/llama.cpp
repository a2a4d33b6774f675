// llama (Touvron et al. 2023): pre-norm blocks of grouped-query attention with RoPE on adjacent pairs, and SwiGLU.
//   x += attention(rms(x; attn_norm))              (models/attention.h)
//   x += Wdown (silu(Wgate h) * Wup h)             with h = rms(x; ffn_norm)
//   logits = Wout rms(x; output_norm), Wout being the embedding where the file has no output matrix
#include <fmt/format.h>

#include "fieldprint/error.h"
#include "models/architecture.h"
#include "models/attention.h"
#include "models/hparams.h"
#include "models/tensors.h"

namespace fieldprint {
namespace {

struct Block {
  Weight attn_norm, ffn_norm, gate, up, down;
  AttentionLayer attention;
};

class Llama final : public Architecture {
 public:
  explicit Llama(const GgufFile& file) {
    hp_.layers = positive(file, "llama.block_count", 1000);
    hp_.width = positive(file, "llama.embedding_length", 1 << 20);
    hp_.context = positive(file, "llama.context_length", 1 << 30);
    const int heads = positive(file, "llama.attention.head_count", 1 << 12);
    const int kv_heads =
        file.find("llama.attention.head_count_kv") ? positive(file, "llama.attention.head_count_kv", heads) : heads;
    const int ffn = positive(file, "llama.feed_forward_length", 1 << 22);
    eps_ = static_cast<float>(file.number("llama.attention.layer_norm_rms_epsilon"));
    const int head_dim = static_cast<int>(file.integer("llama.attention.key_length", hp_.width / heads));
    const auto refuse = [&](const std::string& what) { throw Error(ErrorKind::kUnsupported, what, file.path()); };
    if (file.integer("llama.attention.value_length", head_dim) != head_dim) {
      refuse("keys and values of different length are not supported");
    }
    check_heads(file, heads, kv_heads, head_dim);
    if (file.integer("llama.expert_count", 0) != 0) refuse("llama models with experts are not supported");

    TensorSource source(file);
    hp_.vocabulary = static_cast<int>(std::min<uint64_t>(file.tensor("token_embd.weight").shape[1], 1 << 30));
    embedding_ = source.matrix("token_embd.weight", hp_.vocabulary, hp_.width);
    output_norm_ = source.vector("output_norm.weight", hp_.width, storage_);
    output_ = source.has("output.weight") ? source.matrix("output.weight", hp_.vocabulary, hp_.width) : embedding_;
    for (int i = 0; i < hp_.layers; ++i) {
      const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", i, part); };
      Block& b = blocks_.emplace_back();
      b.attn_norm = source.vector(name("attn_norm"), hp_.width, storage_);
      b.attention = AttentionLayer(
          file, "llama", {.layer = i, .width = hp_.width, .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim},
          source, storage_);
      hp_.attention.push_back(&b.attention.kind());
      b.ffn_norm = source.vector(name("ffn_norm"), hp_.width, storage_);
      b.gate = source.matrix(name("ffn_gate"), ffn, hp_.width);
      b.up = source.matrix(name("ffn_up"), ffn, hp_.width);
      b.down = source.matrix(name("ffn_down"), hp_.width, ffn);
      hp_.kv.push_back({.kv_heads = kv_heads, .head_dim = head_dim, .key_squares = b.attention.kind().key_squares});
    }
    rope_ = load_rope(file, "llama", RopePairs::kAdjacent, head_dim, source);
    source.finish();
    hp_.parameters = hp_.active_parameters = source.elements();
  }

  const Hyperparameters& hyperparameters() const override { return hp_; }

  Tensor forward(Ops& ops) const override {
    Tensor x = ops.embed(embedding_);
    for (int i = 0; i < hp_.layers; ++i) {
      const Block& b = blocks_[static_cast<size_t>(i)];
      {
        const Tensor h = ops.rms_norm(x, b.attn_norm, eps_);
        ops.add(x, b.attention.forward(ops, h, rope_, eps_));
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
