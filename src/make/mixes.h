// Which tensor gets which type: a mix is a row of a table. Most mixes give more bits to what errs most for its size:
// the output, the values of attention, and the way down of the feed-forward net.
#pragma once

#include <cstdint>
#include <string_view>

#include "fieldprint/quantize.h"
#include "quant/type.h"

namespace fieldprint {

enum class MixLayers {
  kAll,
  kSome,   // the first and the last eighth, and every third between
  kFirst,  // the first eighth
};

struct MixPart {
  const char* type;  // nullptr: the body's
  MixLayers layers = MixLayers::kAll;
};

struct Mix {
  const char* name;
  uint32_t file_type;     // general.file_type
  const char* body;       // of all matrices that nothing below names
  const char* output;     // nullptr: the body's; so below. The output matrix, or an embedding that serves as one
  const char* embedding;  // the token embedding where there is an output matrix
  MixPart values;         // attn_v, attn_qkv
  MixPart down;           // ffn_down, of experts too
  MixPart attention_out;  // attn_output
  const char* experts;    // ffn_*_exps
  const char* about;
};

const Mix* find_mix(std::string_view name);   // upper or lower case; nullptr where unknown
const Mix& mix_named(std::string_view name);  // Error kUsage that lists them where unknown

// What the mix asks for. `layer` of `layers`, -1 for a tensor of no layer.
const QuantType& mix_type(const Mix& mix, std::string_view tensor, bool tied, int layer, int layers);

// Norms, biases, routers and convolution kernels: small, and their errors reach everything.
bool stays_f32(std::string_view tensor, int dims);

// A type with about the bits of `type` whose blocks divide rows of `row_elements`.
const QuantType& fitting_type(const QuantType& type, uint64_t row_elements);

// Below 3 bits a weight: without an importance matrix the result is of little use.
bool wants_importance(const QuantType& type);

}  // namespace fieldprint
