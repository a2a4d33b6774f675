#include "make/mixes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "fieldprint/error.h"

namespace fieldprint {
namespace {

constexpr MixPart kSame{nullptr};
constexpr auto kSome = MixLayers::kSome;
constexpr auto kFirst = MixLayers::kFirst;

// clang-format off
constexpr Mix kMixes[] = {
    // name, file type, body, output, embedding, values, down, attention out, experts, about
    {"F32", 0, "F32", nullptr, nullptr, kSame, kSame, kSame, nullptr, ""},
    {"F16", 1, "F16", nullptr, nullptr, kSame, kSame, kSame, nullptr, ""},
    {"BF16", 32, "BF16", nullptr, nullptr, kSame, kSame, kSame, nullptr, ""},
    {"Q8_0", 7, "Q8_0", nullptr, nullptr, kSame, kSame, kSame, nullptr, ""},
    {"Q6_K", 18, "Q6_K", nullptr, nullptr, kSame, kSame, kSame, nullptr, ""},
    {"Q5_K_M", 17, "Q5_K", "Q6_K", nullptr, {"Q6_K", kSome}, {"Q6_K", kSome}, kSame, nullptr, "Q6_K for half of the values and ffn_down"},
    {"Q5_K_S", 16, "Q5_K", "Q6_K", nullptr, kSame, kSame, kSame, nullptr, "Q6_K for the output"},
    {"Q5_K", 16, "Q5_K", nullptr, nullptr, kSame, kSame, kSame, nullptr, ""},
    {"Q5_1", 9, "Q5_1", "Q6_K", nullptr, kSame, kSame, kSame, nullptr, "Q6_K for the output"},
    {"Q5_0", 8, "Q5_0", "Q6_K", nullptr, kSame, kSame, kSame, nullptr, "Q6_K for the output"},
    {"Q4_K_M", 15, "Q4_K", "Q6_K", nullptr, {"Q6_K", kSome}, {"Q6_K", kSome}, kSame, nullptr, "Q6_K for half of the values and ffn_down"},
    {"Q4_K_S", 14, "Q4_K", "Q6_K", nullptr, {"Q5_K", kFirst}, {"Q5_K", kFirst}, kSame, nullptr, "Q5_K for the first values and ffn_down"},
    {"Q4_K", 14, "Q4_K", nullptr, nullptr, kSame, kSame, kSame, nullptr, ""},
    {"Q4_1", 3, "Q4_1", "Q6_K", nullptr, kSame, kSame, kSame, nullptr, "Q6_K for the output"},
    {"Q4_0", 2, "Q4_0", "Q6_K", nullptr, kSame, kSame, kSame, nullptr, "Q6_K for the output"},
    {"IQ4_NL", 25, "IQ4_NL", "Q6_K", nullptr, {"Q5_K"}, {"Q5_K", kFirst}, kSame, nullptr, "Q5_K for the values"},
    {"IQ4_XS", 30, "IQ4_XS", "Q6_K", nullptr, {"Q5_K"}, {"Q5_K", kFirst}, kSame, nullptr, "Q5_K for the values"},
    {"Q3_K_L", 13, "Q3_K", "Q6_K", nullptr, {"Q5_K"}, {"Q5_K"}, {"Q5_K"}, nullptr, "Q5_K for values, attn_output, ffn_down"},
    {"Q3_K_M", 12, "Q3_K", "Q6_K", nullptr, {"Q5_K"}, {"Q4_K"}, {"Q4_K"}, nullptr, "Q5_K for values, Q4_K for attn_output, ffn_down"},
    {"Q3_K_S", 11, "Q3_K", "Q6_K", nullptr, kSame, kSame, kSame, nullptr, "Q6_K for the output"},
    {"Q3_K", 11, "Q3_K", nullptr, nullptr, kSame, kSame, kSame, nullptr, ""},
    {"IQ3_M", 27, "IQ3_S", "Q6_K", nullptr, {"Q4_K"}, {"Q4_K", kSome}, {"Q4_K"}, nullptr, "Q4_K for values, attn_output, some ffn_down"},
    {"IQ3_S", 26, "IQ3_S", "Q6_K", nullptr, {"Q4_K"}, kSame, kSame, nullptr, "Q4_K for the values"},
    {"IQ3_XS", 22, "IQ3_XXS", "Q6_K", "IQ3_S", {"Q4_K"}, {"IQ3_S"}, {"IQ3_S"}, nullptr, "IQ3_S for attn_output, ffn_down"},
    {"IQ3_XXS", 23, "IQ3_XXS", "Q6_K", "IQ3_S", {"IQ3_S"}, {"IQ3_S", kFirst}, {"IQ3_S"}, nullptr, "IQ3_S for values, attn_output"},
    {"Q2_K", 10, "Q2_K", "Q6_K", nullptr, {"Q4_K"}, {"Q3_K"}, {"Q3_K"}, nullptr, "Q4_K for values, Q3_K for attn_output, ffn_down"},
    {"Q2_K_S", 21, "Q2_K", "Q6_K", nullptr, {"Q4_K"}, {"Q4_K", kFirst}, kSame, nullptr, "Q4_K for the values"},
    {"IQ2_M", 29, "IQ2_S", "Q5_K", "IQ3_S", {"Q4_K"}, {"IQ3_S", kFirst}, {"IQ3_S"}, nullptr, "Q4_K for values, IQ3_S for attn_output"},
    {"IQ2_S", 28, "IQ2_XS", "Q5_K", "IQ3_S", {"Q4_K"}, {"IQ3_S", kFirst}, {"IQ3_S"}, nullptr, "IQ2_XS; Q4_K for values, IQ3_S for attn_output"},
    {"IQ2_XS", 20, "IQ2_XS", "Q5_K", "Q2_K", {"Q4_K"}, {"Q2_K", kFirst}, kSame, nullptr, "Q4_K for the values"},
    {"IQ2_XXS", 19, "IQ2_XXS", "Q5_K", "Q2_K", {"Q4_K"}, {"Q2_K", kFirst}, kSame, nullptr, "Q4_K for the values"},
    {"IQ1_M", 31, "IQ1_M", "Q5_K", "Q2_K", {"Q4_K"}, {"Q2_K", kFirst}, {"IQ2_XXS"}, nullptr, "Q4_K for the values, IQ2_XXS for attn_output"},
    {"IQ1_S", 24, "IQ1_S", "Q5_K", "Q2_K", {"Q4_K"}, {"Q2_K", kFirst}, {"IQ2_XXS"}, nullptr, "Q4_K for the values, IQ2_XXS for attn_output"},
    {"TQ2_0", 37, "TQ2_0", "Q6_K", "Q4_K", kSame, kSame, kSame, nullptr, "for models trained to be ternary"},
    {"TQ1_0", 36, "TQ1_0", "Q6_K", "Q4_K", kSame, kSame, kSame, nullptr, "for models trained to be ternary"},
    {"MXFP4", 38, "Q8_0", nullptr, nullptr, kSame, kSame, kSame, "MXFP4", "experts MXFP4, all else Q8_0; see NVFP4"},
    {"NVFP4", 39, "NVFP4", "Q6_K", nullptr, kSame, kSame, kSame, nullptr, "Q6_K for the output"},
};
// clang-format on

constexpr size_t kMixCount = std::size(kMixes);

constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

const QuantType& named(const char* name) {
  const QuantType* type = find_quant_type(std::string_view(name));
  assert(type != nullptr);
  return *type;
}

bool within(MixLayers which, int layer, int layers) {
  const int eighth = layers / 8;
  switch (which) {
    case MixLayers::kAll:
      return true;
    case MixLayers::kFirst:
      return layer >= 0 && layer < std::max(eighth, 1);
    case MixLayers::kSome:
      return layer >= 0 && (layer < eighth || layer >= layers - eighth || (layer - eighth) % 3 == 2);
  }
  return false;
}

}  // namespace

std::span<const QuantizeMix> quantize_mixes() {
  static const auto mixes = [] {
    std::array<QuantizeMix, kMixCount> all;
    for (size_t i = 0; i < kMixCount; ++i) all[i] = {kMixes[i].name, kMixes[i].about};
    return all;
  }();
  return mixes;
}

const Mix* find_mix(std::string_view name) {
  for (const Mix& mix : kMixes) {
    const std::string_view known = mix.name;
    if (std::equal(name.begin(), name.end(), known.begin(), known.end(),
                   [](char a, char b) { return upper(a) == b; })) {
      return &mix;
    }
  }
  return nullptr;
}

const Mix& mix_named(std::string_view name) {
  if (const Mix* mix = find_mix(name)) return *mix;
  std::string known;
  for (const Mix& one : kMixes) known += fmt::format(" {}", one.name);
  throw Error(ErrorKind::kUsage, name.empty() ? "which type?" : fmt::format("there is no type {}", name), {},
              "types:" + known);
}

const QuantType& mix_type(const Mix& mix, std::string_view tensor, bool tied, int layer, int layers) {
  const auto has = [&](std::string_view part) { return tensor.find(part) != std::string_view::npos; };
  const auto part = [&](const MixPart& wanted) {
    return wanted.type != nullptr && within(wanted.layers, layer, layers) ? wanted.type : nullptr;
  };
  const char* type = nullptr;
  if (tensor == "output.weight" || (tensor == "token_embd.weight" && tied)) type = mix.output;
  else if (tensor == "token_embd.weight") type = mix.embedding;
  else if (has("_exps.") && mix.experts != nullptr) type = mix.experts;
  else if (has("attn_v.") || has("attn_qkv.")) type = part(mix.values);
  else if (has("ffn_down")) type = part(mix.down);
  else if (has("attn_output.")) type = part(mix.attention_out);
  return named(type != nullptr ? type : mix.body);
}

bool stays_f32(std::string_view tensor, int dims) {
  constexpr std::string_view kSmall[] = {"norm.",       "position_embd",  "token_types", "ffn_gate_inp",
                                         "exp_probs_b", "shortconv.conv", "ssm_conv1d",  "rope_f"};
  return dims < 2 || !tensor.ends_with(".weight") || std::any_of(std::begin(kSmall), std::end(kSmall), [&](auto part) {
           return tensor.find(part) != std::string_view::npos;
         });
}

const QuantType& fitting_type(const QuantType& type, uint64_t row_elements) {
  constexpr std::pair<std::string_view, const char*> kSmaller[] = {
      {"Q6_K", "Q8_0"},    {"Q5_K", "Q5_1"},     {"Q4_K", "Q5_0"},      {"Q3_K", "Q4_0"},
      {"Q2_K", "Q4_0"},    {"IQ4_XS", "IQ4_NL"}, {"IQ3_S", "IQ4_NL"},   {"IQ3_XXS", "IQ4_NL"},
      {"IQ2_S", "IQ4_NL"}, {"IQ2_XS", "IQ4_NL"}, {"IQ2_XXS", "IQ4_NL"}, {"IQ1_S", "IQ4_NL"},
      {"IQ1_M", "IQ4_NL"}, {"TQ1_0", "Q4_0"},    {"TQ2_0", "Q4_0"},     {"NVFP4", "MXFP4"},
  };
  const auto fits = [&](const QuantType& one) { return row_elements % static_cast<uint64_t>(one.block_elements) == 0; };
  if (fits(type)) return type;
  for (const auto& [large, small] : kSmaller) {
    if (type.name == large && fits(named(small))) return named(small);
  }
  return named("F16");
}

bool wants_importance(const QuantType& type) {
  const bool ternary = type.name.starts_with("TQ");  // for weights that are -1, 0 or 1 already
  return type.block_bytes * 8 < type.block_elements * 3 && !ternary;
}

}  // namespace fieldprint
