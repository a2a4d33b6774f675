// The tensors of an architecture, one row each: what they are called here and on Hugging Face, who has them, their
// shape, how they are made. The loader takes them out of a file by it, conversion finds and checks them by it, synth
// draws them by it; what no row asks for is left over and refused. Conditions and lengths are functions of the
// hyperparameters: an architecture brings its own where those below do not do.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/hparams.h"

namespace fieldprint {

using Condition = bool (*)(const Hyperparameters& hp, const LayerPlan& layer);
using Length = int64_t (*)(const Hyperparameters& hp, const LayerPlan& layer);
using Values = const std::vector<float>& (*)(const Hyperparameters& hp);

// How a tensor lies in a Hugging Face file.
enum class There {
  kSame,
  kHalves,  // the rows of a head that RoPE pairs are halves of it there, neighbours here
  kFirstHalf,
  kSecondHalf,  // the rows of a matrix, or of each in a stack, that stand there before or after as many others
  kKernel,      // [width, 1, taps]
  kStacked,     // one matrix an expert
  kMinusOne,    // a norm's weights around 0, not around 1
  kLogarithm,   // a vector, whose x there is -e^x here
  kVector,      // a vector, which has two dimensions here
  kRow,         // [1, n], a vector here
  kTransposed,  // a matrix, [inputs, outputs] there
  kNowhere,     // it is made of the configuration: RoPE's divisors (`values` of the row)
};

// Heads of linear attention stand there side by side with those that read the same group: head n reads group
// n / (heads / groups). Here head n reads group n mod groups.
enum class Heads {
  kSame,
  kRows,     // the last rows are of value heads, whose order differs
  kColumns,  // columns are
};

// How synth draws values: their standard deviation, with `inputs` the length of a row.
enum class Draw {
  kMatrix,      // 1 / sqrt(inputs): what comes out is as large as what went in
  kResidual,    // as kMatrix, smaller: it is added to the stream
  kDown,        // as kResidual, after SwiGLU, by several experts where there are experts
  kNorm,        // 0.1, around 1
  kOutputNorm,  // of random signs, so that logits have a deviation of 2
  kUnit,        // 1
  kBias,        // 0.01
  kDecay,       // 0.2, around -1
  kAnchorKeys,  // 1 / sqrt(head_dim)
};

struct TensorRow {
  std::string_view here;   // in GGUF; of a layer's tensor what follows "blk.N."
  std::string_view there;  // on Hugging Face; what follows the layer's prefix; <> is the expert
  Condition when;
  Length shape[3];  // slowest first, so a matrix is {outputs, inputs}; nullptr: no more
  There form = There::kSame;
  Draw draw = Draw::kMatrix;
  Values values = nullptr;  // of what is made of the configuration
  Heads heads = Heads::kSame;
};

struct TensorPlan {
  std::span<const TensorRow> model;
  std::span<const TensorRow> layer;                    // once a layer
  std::string_view layers_there = "model.layers.{}.";  // the layer's prefix on Hugging Face
};

struct PlannedTensor {
  const TensorRow* row;
  int layer;                   // -1: the model's
  std::string here, there;     // in full, but for the expert's number there
  std::vector<int64_t> shape;  // slowest first
  bool wanted;                 // by the row's condition
};

// All rows for a model, in the order of files: the model's tensors, then those of one layer after the other.
std::vector<PlannedTensor> tensors_of(const TensorPlan& plan, const Hyperparameters& hp);

// Whether the tensor is a matrix, or a stack of them, that ops multiply inputs with and do nothing else: an adapter may
// change such alone.
bool can_have_additions(const PlannedTensor& tensor);

// As the plan writes a name on Hugging Face, with what a type of model has in place of "model.".
std::string name_there(std::string name, std::string_view prefix);
// The same with the number of an expert.
std::string name_there(std::string name, std::string_view prefix, uint64_t expert);

// Where the rows, or the columns, of the tensor (of each matrix of a stack) stand on Hugging Face; empty: in the same
// order. Throws Error kUnsupported, with `where`, for an order that nobody here knows.
std::vector<uint32_t> rows_there(const PlannedTensor& tensor, const Hyperparameters& hp, const std::string& where);
std::vector<uint32_t> columns_there(const PlannedTensor& tensor, const Hyperparameters& hp);

// ---- Conditions
inline constexpr Condition kAlways = [](const Hyperparameters&, const LayerPlan&) { return true; };
inline constexpr Condition kUntied = [](const Hyperparameters& hp, const LayerPlan&) { return !hp.tied; };
inline constexpr Condition kRopeDivisors = [](const Hyperparameters& hp, const LayerPlan&) {
  return !hp.rope.divisors.empty();
};
inline constexpr Condition kLongRope = [](const Hyperparameters& hp, const LayerPlan&) {
  return hp.rope.scaling == RopeScaling::kLongRope;
};
inline constexpr Condition kAttends = [](const Hyperparameters&, const LayerPlan& layer) {
  return layer.mixer == Mixer::kAttention;
};
inline constexpr Condition kSeparateQkv = [](const Hyperparameters&, const LayerPlan& layer) {
  return layer.mixer == Mixer::kAttention && !layer.fused_qkv;
};
inline constexpr Condition kFusedQkv = [](const Hyperparameters&, const LayerPlan& layer) {
  return layer.mixer == Mixer::kAttention && layer.fused_qkv;
};
inline constexpr Condition kConvolves = [](const Hyperparameters&, const LayerPlan& layer) {
  return layer.mixer == Mixer::kShortConv;
};
inline constexpr Condition kDeltaNets = [](const Hyperparameters&, const LayerPlan& layer) {
  return layer.mixer == Mixer::kDeltaNet;
};
inline constexpr Condition kMambas = [](const Hyperparameters&, const LayerPlan& layer) {
  return layer.mixer == Mixer::kMamba2;
};
inline constexpr Condition kThirdProjection = [](const Hyperparameters&, const LayerPlan& layer) {
  return layer.attention != nullptr && layer.attention->wants_r();
};
inline constexpr Condition kAnchored = [](const Hyperparameters&, const LayerPlan& layer) {
  return layer.attention != nullptr && layer.attention->anchors;
};
inline constexpr Condition kDense = [](const Hyperparameters&, const LayerPlan& layer) { return !layer.experts; };
inline constexpr Condition kMixture = [](const Hyperparameters&, const LayerPlan& layer) { return layer.experts; };
inline constexpr Condition kGateAndUp = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return layer.experts && !hp.fused_gate_up;
};
inline constexpr Condition kFusedGateUp = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return layer.experts && hp.fused_gate_up;
};
inline constexpr Condition kSharedExpert = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return layer.experts && hp.shared_ffn > 0;
};

// ---- Lengths
inline constexpr Length kWidth = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t { return hp.width; };
inline constexpr Length kVocabulary = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t {
  return hp.vocabulary;
};
inline constexpr Length kContextLength = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t {
  return hp.context;
};
inline constexpr Length kHeadDim = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t { return hp.head_dim; };
inline constexpr Length kHeads = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t { return hp.heads; };
inline constexpr Length kQueries = [](const Hyperparameters& hp, const LayerPlan&) {
  return int64_t{hp.heads} * hp.head_dim;
};
inline constexpr Length kKeys = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return int64_t{layer.kv_heads} * hp.head_dim;
};
inline constexpr Length kThirdRows = [](const Hyperparameters& hp, const LayerPlan& layer) {  // of attn_r
  const bool at_keys = layer.attention != nullptr && layer.attention->key_plane;
  return int64_t{at_keys ? layer.kv_heads : hp.heads} * hp.head_dim;
};
inline constexpr Length kQueryRows = [](const Hyperparameters& hp, const LayerPlan&) {  // of attn_q
  return int64_t{hp.heads} * hp.head_dim * (hp.attention_gate ? 2 : 1);
};
inline constexpr Length kQkv = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return kQueryRows(hp, layer) + 2 * kKeys(hp, layer);
};
inline constexpr Length kRopePairs = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t {
  return hp.rope.dims / 2;
};
inline constexpr Length kAnchors = [](const Hyperparameters&, const LayerPlan& layer) -> int64_t {
  return layer.anchors;
};
inline constexpr Length kFfn = [](const Hyperparameters&, const LayerPlan& layer) -> int64_t { return layer.ffn; };
inline constexpr Length kExperts = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t { return hp.experts; };
inline constexpr Length kExpertFfn = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t {
  return hp.expert_ffn;
};
inline constexpr Length kTwoExpertFfns = [](const Hyperparameters& hp, const LayerPlan&) {
  return 2 * int64_t{hp.expert_ffn};
};
inline constexpr Length kSharedFfn = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t {
  return hp.shared_ffn;
};
inline constexpr Length kConvChannels = [](const Hyperparameters& hp, const LayerPlan&) { return conv_channels(hp); };
inline constexpr Length kLinearHeads = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t {
  return hp.linear_heads;
};
inline constexpr Length kLinearColumns = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t {
  return hp.linear_columns;
};
inline constexpr Length kLinearValues = [](const Hyperparameters& hp, const LayerPlan&) {
  return int64_t{hp.linear_heads} * hp.linear_columns;
};
inline constexpr Length kLinearGroups = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t {
  return hp.linear_groups;
};
inline constexpr Length kGroupValues = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return kLinearValues(hp, layer) / hp.linear_groups;
};
inline constexpr Length kMambaInputs = [](const Hyperparameters& hp, const LayerPlan& layer) {
  return kLinearValues(hp, layer) + conv_channels(hp) + hp.linear_heads;
};
inline constexpr Length kOne = [](const Hyperparameters&, const LayerPlan&) -> int64_t { return 1; };
inline constexpr Length kTaps = [](const Hyperparameters& hp, const LayerPlan&) -> int64_t { return hp.conv_taps; };

// ---- Values that the configuration makes
inline constexpr Values kDivisors = [](const Hyperparameters& hp) -> const auto& { return hp.rope.divisors; };
inline constexpr Values kLongDivisors = [](const Hyperparameters& hp) -> const auto& { return hp.rope.long_divisors; };
inline constexpr Values kShortDivisors = [](const Hyperparameters& hp) -> const auto& {
  return hp.rope.short_divisors;
};

}  // namespace fieldprint
