#include "server/sampling_fields.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <random>

namespace fieldprint::server {
namespace {

constexpr double kMost = 1e9;

template <class T>
struct Row {
  std::string_view name, other;  // two names for the same; the first is the one that is written
  T SamplingOptions::*member;
  double least, most;
};

constexpr Row<float> kNumbers[] = {
    {"temperature", "", &SamplingOptions::temperature, 0, kMost},
    {"top_p", "", &SamplingOptions::top_p, 0, 1},
    {"min_p", "", &SamplingOptions::min_p, 0, 1},
    {"typical_p", "typ_p", &SamplingOptions::typical_p, 0, 1},
    {"top_n_sigma", "", &SamplingOptions::top_n_sigma, -1, kMost},
    {"repeat_penalty", "repetition_penalty", &SamplingOptions::repetition_penalty, 0.01, 100},
    {"presence_penalty", "", &SamplingOptions::presence_penalty, -100, 100},
    {"frequency_penalty", "", &SamplingOptions::frequency_penalty, -100, 100},
    {"xtc_probability", "", &SamplingOptions::xtc_probability, 0, 1},
    {"xtc_threshold", "", &SamplingOptions::xtc_threshold, 0, 1},
    {"dynatemp_range", "", &SamplingOptions::dynamic_temperature_range, 0, kMost},
    {"dynatemp_exponent", "", &SamplingOptions::dynamic_temperature_exponent, 0, kMost},
    {"dry_multiplier", "", &SamplingOptions::dry_multiplier, 0, kMost},
    {"dry_base", "", &SamplingOptions::dry_base, 1, kMost},
    {"mirostat_tau", "", &SamplingOptions::mirostat_tau, 0, kMost},
    {"mirostat_eta", "", &SamplingOptions::mirostat_eta, 0, 1},
};

constexpr Row<int> kIntegers[] = {
    {"top_k", "", &SamplingOptions::top_k, 0, kMost},
    {"repeat_last_n", "", &SamplingOptions::penalty_window, -1, kMost},
    {"dry_allowed_length", "", &SamplingOptions::dry_allowed_length, 1, kMost},
    {"dry_penalty_last_n", "", &SamplingOptions::dry_window, -1, kMost},
    {"mirostat", "", &SamplingOptions::mirostat, 0, 2},
};

TokenId token_of(const Fields& fields, const std::string& name, const Tokenizer& tokenizer) {
  TokenId token = kNoToken;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), token);
  if (error != std::errc() || end != name.data() + name.size() || token < 0 || token >= tokenizer.size())
    fields.refuse("logit_bias", fmt::format("names the token {}; ids go from 0 to {}", name, tokenizer.size() - 1));
  return token;
}

float bias_of(const Fields& fields, const Json& value) {
  if (value.is_boolean() && !value.get<bool>()) return -INFINITY;
  if (!value.is_number()) fields.refuse("logit_bias", "should give each token a number, or false to ban it");
  const double bias = value.get<double>();
  // The API's -100 and 100 are to ban a token or to take no other.
  if (bias <= -100) return -INFINITY;
  return static_cast<float>(bias);
}

// {"id": bias} as the OpenAI API has it, or llama.cpp's [[id, bias], ...].
void read_bias(const Fields& fields, const Tokenizer& tokenizer, SamplingOptions& options) {
  const Json* bias = fields.find("logit_bias");
  if (bias == nullptr) return;
  options.logit_bias.clear();
  if (bias->is_object()) {
    for (const auto& [name, value] : bias->items())
      options.logit_bias.emplace_back(token_of(fields, name, tokenizer), bias_of(fields, value));
    return;
  }
  if (!bias->is_array()) fields.refuse("logit_bias", "should be an object of token ids and numbers");
  for (const Json& pair : *bias) {
    if (!pair.is_array() || pair.size() != 2 || !(pair[0].is_number_integer() || pair[0].is_string()))
      fields.refuse("logit_bias", "should hold pairs [token, number]");
    if (pair[0].is_number_integer()) {
      options.logit_bias.emplace_back(token_of(fields, pair[0].dump(), tokenizer), bias_of(fields, pair[1]));
    } else {
      for (const TokenId token :
           tokenizer.encode(pair[0].get<std::string>(), {.add_special = false, .parse_special = true}))
        options.logit_bias.emplace_back(token, bias_of(fields, pair[1]));
    }
  }
}

}  // namespace

SamplingOptions read_sampling(const Fields& fields, const SamplingOptions& defaults, const Tokenizer& tokenizer) {
  SamplingOptions options = defaults;
  for (const auto& row : kNumbers) {
    for (const std::string_view name : {row.other, row.name}) {
      if (const auto value = fields.number(name, row.least, row.most)) options.*row.member = static_cast<float>(*value);
    }
  }
  if (options.top_n_sigma < 0) options.top_n_sigma = 0;  // as llama.cpp's clients switch it off
  for (const auto& row : kIntegers) {
    const auto value = fields.integer(row.name, static_cast<int64_t>(row.least), static_cast<int64_t>(row.most));
    if (value) options.*row.member = static_cast<int>(*value);
  }
  if (options.mirostat == 1) fields.refuse("mirostat", "should be 0 or 2: version 1 is not supported");
  // A default penalty is against loops of sampled answers; the likeliest token is asked for without one.
  if (options.temperature == 0 && !fields.has("repeat_penalty") && !fields.has("repetition_penalty"))
    options.repetition_penalty = 1;
  if (fields.has("dry_sequence_breakers")) options.dry_breakers = fields.strings("dry_sequence_breakers");
  if (fields.has("samplers")) options.samplers = fields.strings("samplers");
  if (fields.has("stop")) options.stop = fields.strings("stop");
  if (options.stop.size() > 64) fields.refuse("stop", "has more than 64 strings");
  read_bias(fields, tokenizer, options);
  if (fields.boolean("ignore_eos").value_or(false)) {
    for (TokenId token = 0; token < tokenizer.size(); ++token) {
      if (tokenizer.ends_generation(token)) options.logit_bias.emplace_back(token, -INFINITY);
    }
  }
  for (const std::string_view name : {"n_predict", "max_tokens", "max_completion_tokens"}) {
    if (const auto value = fields.integer(name, -1, static_cast<int64_t>(kMost)))
      options.max_tokens = static_cast<int>(*value);
  }
  const auto seed = fields.integer("seed");
  if (seed && *seed >= 0) {
    options.seed = static_cast<uint64_t>(*seed);
  } else {
    static thread_local std::random_device device;
    options.seed = device();  // 32 bits: a JavaScript client reads it back whole
  }
  options.loop_check = fields.boolean("loop_check").value_or(options.loop_check);
  return options;
}

double decimal(float value) { return std::stod(fmt::format("{}", value)); }

Json sampling_json(const SamplingOptions& options) {
  Json json = {{"seed", options.seed}, {"max_tokens", options.max_tokens}};
  for (const auto& row : kNumbers) json[std::string(row.name)] = decimal(options.*row.member);
  for (const auto& row : kIntegers) json[std::string(row.name)] = options.*row.member;
  json["dry_sequence_breakers"] = options.dry_breakers;
  json["samplers"] = options.samplers;
  json["stop"] = options.stop;
  json["loop_check"] = options.loop_check;
  Json bias = Json::array();
  for (const auto& [token, value] : options.logit_bias)
    bias.push_back({token, std::isinf(value) ? Json(false) : Json(decimal(value))});
  json["logit_bias"] = bias;
  return json;
}

}  // namespace fieldprint::server
