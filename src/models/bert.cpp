// bert (Devlin et al. 2019): an encoder. Every token sees the whole text; norms stand behind each sum; biases
// everywhere.
//   x = norm(token + position + type 0; token_embd_norm)
//   x = norm(x + attention(x); attn_output_norm)
//   x = norm(x + Wdown gelu(Wup x); layer_output_norm)
// The last x are the vectors of the tokens; a text's vector is made of them (include/fieldprint/embed.h).
#include <fmt/format.h>

#include "models/architecture.h"
#include "models/attention.h"
#include "models/tensor_rows.h"

namespace fieldprint {
namespace {

constexpr Condition kTokenTypes = [](const Hyperparameters& hp, const LayerPlan&) { return hp.token_types > 0; };
constexpr Length kTypes = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t { return hp.token_types; };

constexpr TensorRow kModelTensors[] = {
    {"token_embd.weight",
     "embeddings.word_embeddings.weight",
     kAlways,
     {kVocabulary, kWidth},
     There::kSame,
     Draw::kUnit},
    {"position_embd.weight",
     "embeddings.position_embeddings.weight",
     kAlways,
     {kContextLength, kWidth},
     There::kSame,
     Draw::kUnit},
    {"token_types.weight", "embeddings.token_type_embeddings.weight", kTokenTypes, {kTypes, kWidth}},
    {"token_embd_norm.weight", "embeddings.LayerNorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"token_embd_norm.bias", "embeddings.LayerNorm.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
};

constexpr TensorRow kLayerTensors[] = {
    {"attn_q.weight", "attention.self.query.weight", kAlways, {kQueries, kWidth}},
    {"attn_q.bias", "attention.self.query.bias", kAlways, {kQueries}, There::kSame, Draw::kBias},
    {"attn_k.weight", "attention.self.key.weight", kAlways, {kKeys, kWidth}},
    {"attn_k.bias", "attention.self.key.bias", kAlways, {kKeys}, There::kSame, Draw::kBias},
    {"attn_v.weight", "attention.self.value.weight", kAlways, {kKeys, kWidth}},
    {"attn_v.bias", "attention.self.value.bias", kAlways, {kKeys}, There::kSame, Draw::kBias},
    {"attn_output.weight", "attention.output.dense.weight", kAlways, {kWidth, kQueries}},
    {"attn_output.bias", "attention.output.dense.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
    {"attn_output_norm.weight", "attention.output.LayerNorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"attn_output_norm.bias", "attention.output.LayerNorm.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
    {"attn_r.weight", "", kThirdProjection, {kThirdRows, kWidth}},
    {"attn_anchor_k.weight", "", kAnchored, {kAnchors, kKeys}, There::kSame, Draw::kAnchorKeys},
    {"attn_anchor_v.weight", "", kAnchored, {kAnchors, kKeys}, There::kSame, Draw::kUnit},
    {"ffn_up.weight", "intermediate.dense.weight", kAlways, {kFfn, kWidth}},
    {"ffn_up.bias", "intermediate.dense.bias", kAlways, {kFfn}, There::kSame, Draw::kBias},
    {"ffn_down.weight", "output.dense.weight", kAlways, {kWidth, kFfn}},
    {"ffn_down.bias", "output.dense.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
    {"layer_output_norm.weight", "output.LayerNorm.weight", kAlways, {kWidth}, There::kSame, Draw::kNorm},
    {"layer_output_norm.bias", "output.LayerNorm.bias", kAlways, {kWidth}, There::kSame, Draw::kBias},
};

// What a checkpoint has beside the encoder: a layer that was trained to guess the next sentence, heads of other tasks.
constexpr std::string_view kIgnored[] = {"pooler.", "embeddings.position_ids", "cls."};

struct Block {
  AttentionLayer attention;
  LayerNorm attention_norm;
  GeluFfn ffn;
  LayerNorm output_norm;
};

class Bert final : public Architecture {
 public:
  Bert(Hyperparameters model, Weights tensors) : Architecture(std::move(model), std::move(tensors)) {
    const Hyperparameters& hp = hyperparameters();
    const Weights& w = weights();
    tokens_ = w("token_embd.weight");
    positions_ = w("position_embd.weight");
    // A text alone is of type 0.
    if (const Weight& types = w("token_types.weight"); types.given()) {
      type_values_.resize(static_cast<size_t>(hp.width));
      types.type->decode(types.data, type_values_.data(), types.cols);
      type_ = {types.name, find_quant_type("F32"), reinterpret_cast<const std::byte*>(type_values_.data()), 1,
               hp.width};
    }
    norm_ = {w("token_embd_norm.weight"), w("token_embd_norm.bias"), hp.eps};
    for (int i = 0; i < hp.layers; ++i) {
      blocks_.push_back({AttentionLayer(hp, i, w),
                         {w("attn_output_norm.weight", i), w("attn_output_norm.bias", i), hp.eps},
                         GeluFfn(i, w, Gelu::kErf),
                         {w("layer_output_norm.weight", i), w("layer_output_norm.bias", i), hp.eps}});
    }
  }

  Tensor forward(Ops& ops) const override {
    Tensor x = ops.embed(tokens_);
    ops.add_positions(x, positions_);
    if (type_.given()) ops.add_bias(x, type_);
    x = norm_.forward(ops, x);
    for (const Block& b : blocks_) {
      Tensor attended = b.attention.forward(ops, x, {});
      ops.add(attended, x);
      x = b.attention_norm.forward(ops, attended);
      Tensor y = b.ffn.forward(ops, x);
      ops.add(y, x);
      x = b.output_norm.forward(ops, y);
    }
    return ops.output_rows(std::move(x));
  }

 private:
  Weight tokens_, positions_, type_;
  std::vector<float> type_values_;
  LayerNorm norm_;
  std::vector<Block> blocks_;
};

void be_an_encoder(Hyperparameters& hp) {
  hp.encoder = true;
  hp.tied = true;
  for (LayerPlan& layer : hp.plan) layer.rope = false;
}

Hyperparameters read(const Metadata& metadata) {
  Hyperparameters hp = read_common(metadata, "attention.layer_norm_epsilon");
  be_an_encoder(hp);
  hp.rope.dims = 0;
  if (metadata.boolean("attention.causal", false))
    metadata.unsupported("a BERT with causal attention is not supported");
  hp.pooling = static_cast<PoolingType>(metadata.integer("pooling_type", 0, 4, static_cast<int>(PoolingType::kMean)));
  if (static_cast<int>(hp.pooling) > static_cast<int>(PoolingType::kLast))
    metadata.unsupported("models that rank pairs of texts (pooling_type 4) are not supported");
  if (const GgufTensor* types = metadata.file().find_tensor("token_types.weight"); types != nullptr)
    hp.token_types = static_cast<int>(std::min<uint64_t>(types->shape[1], 1 << 16));
  return hp;
}

void write(const MetadataWriter& out, const Hyperparameters& hp) {
  out.set("block_count", hp.layers);
  out.set("context_length", hp.context);
  out.set("embedding_length", hp.width);
  out.set("feed_forward_length", hp.plan[0].ffn);
  out.set("attention.head_count", hp.heads);
  out.set("attention.layer_norm_epsilon", hp.eps);
  out.set_flag("attention.causal", false);
  out.set("pooling_type", static_cast<int>(hp.pooling));
  write_settings(out, hp);
}

Hyperparameters read_bert_config(const Config& config) {
  Hyperparameters hp;
  hp.layers = static_cast<int>(config.integer("num_hidden_layers", 1, 1000, 12));
  hp.width = static_cast<int>(config.integer("hidden_size", 1, 1 << 20, 768));
  hp.vocabulary = static_cast<int>(config.integer("vocab_size", 1, 1 << 24, 30522));
  hp.context = static_cast<int>(config.integer("max_position_embeddings", 1, 1 << 24, 512));
  hp.heads = static_cast<int>(config.integer("num_attention_heads", 1, 1 << 12, 12));
  hp.head_dim = hp.width / hp.heads;
  if (hp.head_dim * hp.heads != hp.width) config.refuse(fmt::format("{} heads do not divide {}", hp.heads, hp.width));
  hp.eps = static_cast<float>(config.number("layer_norm_eps", 1e-12));
  if (!(hp.eps >= 0 && hp.eps <= 1)) config.refuse("layer_norm_eps should be 0 to 1");
  hp.token_types = static_cast<int>(config.integer("type_vocab_size", 0, 1 << 16, 2));
  if (const auto act = config.string("hidden_act", "gelu"); act != "gelu")
    config.unsupported(fmt::format("the activation '{}' is not supported in a BERT, gelu is", act));
  if (const auto kind = config.string("position_embedding_type", "absolute"); kind != "absolute")
    config.unsupported(fmt::format("position embeddings of type '{}' are not supported, absolute ones are", kind));
  if (config.boolean("is_decoder", false)) config.unsupported("a BERT that is a decoder is not supported");
  LayerPlan layer;
  layer.kv_heads = hp.heads;
  layer.ffn = static_cast<int>(config.integer("intermediate_size", 1, 1 << 22, 3072));
  layer.attention = &dot_kind();
  hp.plan.assign(static_cast<size_t>(hp.layers), layer);
  hp.dense_layers = hp.layers;
  hp.pooling = PoolingType::kMean;  // unless sentence-transformers' own files say otherwise (make/hugging_face.cpp)
  be_an_encoder(hp);
  return hp;
}

constexpr HuggingFaceType kTypesThere[] = {
    {.name = "bert", .read = read_bert_config, .left_out = kIgnored, .optional_prefix = "bert."}};

constexpr Preset kPresets[] = {
    {"all-minilm-l6-v2", "all-MiniLM-L6-v2", "smollm", R"({
       "model_type": "bert", "num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536,
       "num_attention_heads": 12, "vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2,
       "layer_norm_eps": 1e-12, "hidden_act": "gelu"})"},
    {"tiny-bert", "a BERT for tests", "smollm", R"({
       "model_type": "bert", "num_hidden_layers": 3, "hidden_size": 256, "intermediate_size": 512,
       "num_attention_heads": 8, "vocab_size": 320, "max_position_embeddings": 512, "type_vocab_size": 2,
       "layer_norm_eps": 1e-12, "hidden_act": "gelu"})"},
};

}  // namespace

extern const ArchitectureRow kBert;
constinit const ArchitectureRow kBert = {
    .name = "bert",
    .pre_tokenizer = "",
    .hugging_face = kTypesThere,
    .tensors =
        {
            .model = kModelTensors,
            .layer = kLayerTensors,
            .layers_there = "encoder.layer.{}.",
        },
    .presets = kPresets,
    .read = read,
    .write = write,
    .make = make_architecture<Bert>,
};

}  // namespace fieldprint
