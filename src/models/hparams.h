// A model's sizes and settings, wherever they were read: in the metadata of a GGUF file or in a Hugging Face
// config.json. The tensors that a model has (models/plan.h) follow from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "attention/kind.h"
#include "kv/layout.h"
#include "models/metadata.h"
#include "ops/ops.h"

namespace fieldprint {

// What lets a layer's tokens see each other.
enum class Mixer { kAttention, kShortConv, kDeltaNet, kMamba2 };

// How an encoder makes one vector of those of a text's tokens, numbered as pooling_type of GGUF.
enum class PoolingType { kNone = 0, kMean = 1, kFirst = 2, kLast = 3 };

// How experts are scored (Moe in ops/ops.h), numbered as expert_gating_func of GGUF.
enum class Gating { kNone = 0, kSoftmax = 1, kSigmoid = 2, kSoftmaxChosen = 3 };

// The forms of GELU: as it is defined, x Phi(x), and with tanh for Phi.
enum class Gelu { kErf, kTanh };
inline constexpr std::string_view kGeluNames[] = {"erf", "tanh"};  // in files

// Where LayerNorm stands, of architectures that leave that to the file: before each half of a layer and the output, or
// behind each half's sum.
enum class NormPlace { kNone, kPre, kPost };
inline constexpr std::string_view kNormPlaceNames[] = {"none", "pre", "post"};

// What one layer is.
struct LayerPlan {
  Mixer mixer = Mixer::kAttention;
  int kv_heads = 0;
  int window = 0;                            // a query sees that many keys, the last ones; 0 = all
  const AttentionKind* attention = nullptr;  // nullptr: it does not attend
  int anchors = 0;                           // rows of keys and values in the file, of kinds that have them
  int ffn = 0;                               // inner width of a dense feed-forward part
  bool experts = false;                      // it has experts instead of that
  bool rope = true;                          // queries and keys are rotated
  bool fused_qkv = false;                    // the file has q, k and v in one matrix, attn_qkv, in this order
};

enum class RopeScaling { kNone, kLinear, kYarn, kLongRope };

// What makes the frequencies of a rotary embedding: models/rope.h has the formulas.
struct RopeSettings {
  int dims = 0;  // of a head that turn
  double base = 10000;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;                                 // of linear scaling and YaRN
  int original_context = 0;                          // that YaRN and LongRoPE stretch; 0: not said
  double beta_fast = 32, beta_slow = 1;              // of YaRN, in turns within the original context
  double magnitude = 1;                              // of queries and keys, beside what YaRN makes of its factor
  std::vector<float> divisors;                       // of each pair's frequency: rope_freqs.weight; empty: none
  std::vector<float> long_divisors, short_divisors;  // of LongRoPE: rope_factors_long.weight, _short
  std::vector<int> sections;                         // of pairs, for time and space: text has one position for all
};

struct Hyperparameters {
  int layers = 0;
  int width = 0;
  int vocabulary = 0;
  int context = 0;  // trained length
  int heads = 0, head_dim = 0;
  float eps = 0;      // of RMS norms
  bool tied = false;  // the embedding is the output matrix too
  std::vector<LayerPlan> plan;

  RopeSettings rope;
  std::optional<RopeSettings> local_rope;  // of layers with a window, where it is another one

  // Attention: docs/formats/attention.md
  std::optional<float> attention_scale;  // absent: what the kind takes
  float attention_softcap = 0;           // other than 0: scores are soft-capped
  bool gram_norm = false;
  float anchor_share = 0.5f, anchor_scale = 1;

  // What the stream is scaled by (Granite).
  float embedding_scale = 1;
  float residual_scale = 1;  // of what each half of a layer adds
  float logit_scale = 1;     // logits are divided by it
  float logit_softcap = 0;   // other than 0: logits are soft-capped

  Glu glu = Glu::kSilu;    // of every feed-forward part that has a gate
  Gelu gelu = Gelu::kErf;  // of every one that has none

  // What an architecture may leave to the file.
  NormPlace norm_place = NormPlace::kNone;
  bool output_norm = false;                           // before the output
  bool residual = true;                               // of each half of a layer
  bool ffn_gate = false;                              // the feed-forward part has one
  bool attention_biases = false, ffn_biases = false;  // of their matrices
  bool head_norm = false;                             // as gram_norm, whatever the kind
  bool head_norm_weights = false;                     // heads are normed with weights: attn_q_norm and its like

  // Mixture of experts; 0: none
  int experts = 0, experts_used = 0, expert_ffn = 0;
  int dense_layers = 0;  // the first layers, without experts
  Gating gating = Gating::kNone;
  int shared_ffn = 0;          // inner width of an expert that sees every token; 0: none
  bool fused_gate_up = false;  // the file has experts' gate and up in one stack

  bool attention_gate = false;  // attn_q has of each head the rows of the query, then those of a gate of the output

  int conv_taps = 0;  // of convolutions; 0: no layer has one
  // Linear attention (LinearAttention in ops/ops.h): delta nets, Mamba2
  int linear_groups = 0, linear_heads = 0;
  int linear_keys = 0, linear_columns = 0;

  // Blocks of the file behind the last layer, for the prediction of further tokens: no forward pass needs them.
  int extra_blocks = 0;

  // Encoders: every token sees the whole text, and the model gives vectors [tokens, width], not logits.
  bool encoder = false;
  PoolingType pooling = PoolingType::kNone;  // how the model was trained to make a text's vector
  int token_types = 0;                       // of BERT: rows of its embedding of token types

  int outputs() const { return encoder ? width : vocabulary; }  // what the model gives for a row

  // What follows from all that and the tensors, set when a model is loaded.
  std::vector<KvLayerShape> kv;  // one a layer, set by read_hyperparameters() too
  int64_t parameters = 0;
  int64_t active_parameters = 0;  // what one token multiplies with
};

// Channels that the convolution of linear attention sees: values, queries, keys.
inline int64_t conv_channels(const Hyperparameters& hp) {
  return int64_t{hp.linear_heads} * hp.linear_columns + 2 * int64_t{hp.linear_groups} * hp.linear_keys;
}

// What all architectures say in the same way. Layers with K/V heads attend, the others are of no kind yet: the
// architecture says what they are. Throws Error kBadFile, kUnsupported.
// `least_ffn` 0: layers may have no feed-forward part.
Hyperparameters read_common(const Metadata& metadata, std::string_view eps_key = "attention.layer_norm_rms_epsilon",
                            int least_ffn = 1);

// The keys ssm.* of linear attention. Throws Error kBadFile.
void read_linear_attention(const Metadata& metadata, Hyperparameters& hp);
void write_linear_attention(const MetadataWriter& out, const Hyperparameters& hp);

// The same keys, in two parts: an architecture's own have always stood between them.
void write_sizes(const MetadataWriter& out, const Hyperparameters& hp);
void write_settings(const MetadataWriter& out, const Hyperparameters& hp);  // attention, experts, scaling of RoPE

}  // namespace fieldprint
