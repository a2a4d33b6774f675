#include "sampling_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>

#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "options.h"

namespace fieldprint::cli {

namespace {

constexpr const char* kSamplingGroup = "Sampling";
constexpr const char* kMoreGroup = "More sampling (docs/sampling.md)";
constexpr float kMost = std::numeric_limits<float>::max();

int parse_max_tokens(const std::string& value) {
  int count = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error != std::errc() || end != value.data() + value.size() || (count < 1 && count != -1)) {
    throw Error(ErrorKind::kUsage,
                fmt::format("--max-tokens must be a whole number of at least 1, or -1 for no limit, not '{}'", value));
  }
  return count;
}

std::pair<int32_t, float> parse_logit_bias(const std::string& value) {
  const size_t equals = value.find('=');
  if (equals == std::string::npos) {
    throw Error(ErrorKind::kUsage,
                fmt::format("--logit-bias must be TOKEN=BIAS, such as 42=-1.5, or 42=-inf to ban 42, not '{}'", value));
  }
  const std::string_view token = std::string_view(value).substr(0, equals);
  const std::string_view added = std::string_view(value).substr(equals + 1);
  const auto id = static_cast<int32_t>(parse_integer(token, 0, std::numeric_limits<int32_t>::max(), "--logit-bias"));
  if (added == "-inf") return {id, -std::numeric_limits<float>::infinity()};
  return {id, parse_number(added, -kMost, kMost, "--logit-bias")};
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

void add_usual(CLI::App& app, SamplingOptions& options) {
  const auto in_group = [](CLI::Option* option) { option->group(kSamplingGroup); };
  in_group(add_value(app, "-n,--max-tokens", "N", "Most tokens of the answer; -1 = until the context is full",
                     [&options](const std::string& value) { options.max_tokens = parse_max_tokens(value); })
               ->default_str(std::to_string(options.max_tokens)));
  in_group(add_number(app, "--temp", options.temperature, 0, kMost, "Temperature; 0 = always the likeliest token"));
  in_group(add_integer(app, "--top-k", options.top_k, 0, "Choose among the K likeliest tokens; 0 = off"));
  in_group(add_number(app, "--top-p", options.top_p, 0, 1,
                      "Choose among the likeliest tokens whose probabilities sum to P; 1 = off"));
  in_group(
      add_number(app, "--min-p", options.min_p, 0, 1, "Drop tokens less likely than P times the likeliest; 0 = off"));
  in_group(add_number(app, "--repetition-penalty", options.repetition_penalty, 0.01f, 100,
                      "Divide the logits of recent tokens; 1 = off"));
  in_group(add_integer(app, "--penalty-window", options.penalty_window, -1,
                       "Tokens that the penalties look back at; -1 = all"));
  in_group(add_number(app, "--presence-penalty", options.presence_penalty, -100, 100,
                      "Subtract from the logit of a token that is there already"));
  in_group(add_number(app, "--frequency-penalty", options.frequency_penalty, -100, 100,
                      "Subtract once for each time that a token is there"));
  in_group(add_list(
      app, "--logit-bias", "TOKEN=BIAS", "Add BIAS to the logit of token id TOKEN; -inf bans it (repeatable)",
      [&options] { options.logit_bias.clear(); },
      [&options](const std::string& value) { options.logit_bias.push_back(parse_logit_bias(value)); }));
  in_group(add_value(app, "--seed", "N", "The same seed gives the same text; `random` picks one and prints it",
                     [&options](const std::string& value) {
                       if (value == "random") options.seed = std::random_device{}();
                       else
                         options.seed = static_cast<uint64_t>(
                             parse_integer(value, 0, std::numeric_limits<int64_t>::max(), "--seed"));
                     })
               ->default_str(std::to_string(options.seed)));
  in_group(add_list(
      app, "--stop", "TEXT", "End the answer before TEXT, in which \\n and \\t work (repeatable)",
      [&options] { options.stop.clear(); },
      [&options](const std::string& value) {
        if (value.empty()) throw Error(ErrorKind::kUsage, "--stop needs some text");
        options.stop.push_back(unescaped(value));
      }));
  in_group(app.add_flag_function(
                  "--no-loop-check", [&options](int64_t count) { options.loop_check = count <= 0; },
                  "Let an answer that repeats itself go on")
               ->take_last());
  in_group(add_flag(app, "--special", options.special, "Show control tokens in the answer"));
}

void add_more(CLI::App& app, SamplingOptions& options) {
  const auto in_group = [](CLI::Option* option) { option->group(kMoreGroup); };
  in_group(add_number(app, "--typical-p,--typical", options.typical_p, 0, 1,
                      "Choose among the tokens whose surprise is most typical and that sum to P; 1 = off"));
  in_group(add_number(app, "--top-n-sigma,--top-nsigma", options.top_n_sigma, 0, kMost,
                      "Drop logits more than N standard deviations below the largest; 0 = off"));
  in_group(add_number(app, "--xtc-probability", options.xtc_probability, 0, 1,
                      "How often XTC drops the likeliest tokens; 0 = off"));
  in_group(add_number(app, "--xtc-threshold", options.xtc_threshold, 0, 1,
                      "XTC drops tokens of at least this probability but the last; above 0.5 = off"));
  in_group(add_number(app, "--dry-multiplier", options.dry_multiplier, 0, kMost,
                      "Strength of the DRY penalty on repeated sequences; 0 = off"));
  in_group(add_number(app, "--dry-base", options.dry_base, 1, kMost,
                      "The DRY penalty grows by this factor with each token of the repetition"));
  in_group(add_integer(app, "--dry-allowed-length", options.dry_allowed_length, 1,
                       "Repetitions shorter than N tokens cost nothing"));
  in_group(add_integer(app, "--dry-penalty-last-n", options.dry_window, -1,
                       "Tokens that DRY looks back at; -1 = all, 0 = off"));
  in_group(add_list(
      app, "--dry-sequence-breaker", "TEXT",
      "No repetition reaches across TEXT; `none` = no breakers (repeatable) [\\n, :, \", *]",
      [&options] { options.dry_breakers.clear(); },
      [&options](const std::string& value) {
        if (value.empty()) throw Error(ErrorKind::kUsage, "--dry-sequence-breaker needs some text");
        if (value != "none") options.dry_breakers.push_back(unescaped(value));
      }));
  in_group(add_number(app, "--dynatemp-range", options.dynamic_temperature_range, 0, kMost,
                      "Dynamic temperature: from --temp minus this to --temp plus this; 0 = off"));
  in_group(add_number(app, "--dynatemp-exp", options.dynamic_temperature_exponent, 0, kMost,
                      "How dynamic temperature follows the entropy"));
  in_group(add_integer(app, "--mirostat", options.mirostat, 0,
                       "2 = Mirostat 2.0 in place of top-k, top-p and the like; 0 = off"));
  in_group(add_number(app, "--mirostat-ent", options.mirostat_tau, 0, kMost, "Bits of surprise that Mirostat aims at"));
  in_group(add_number(app, "--mirostat-lr", options.mirostat_eta, 0, 1, "Mirostat's learning rate"));
  in_group(
      add_value(app, "--samplers", "A;B;C",
                "Which samplers run and in which order, as in \"top_k;top_p;temperature\"; those not named are off",
                [&options](const std::string& value) {
                  options.samplers = split(value, ';');
                  if (options.samplers.empty()) throw Error(ErrorKind::kUsage, "--samplers needs their names");
                }));
}

}  // namespace

std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char next = text[++i];
      if (next == 'n') out += '\n';
      else if (next == 't') out += '\t';
      else if (next == 'r') out += '\r';
      else if (next == '\\') out += '\\';
      else out += {'\\', next};
    } else {
      out += text[i];
    }
  }
  return out;
}

SamplingDefaults add_sampling(CLI::App& app, SamplingOptions& options) {
  const auto before = app.get_options();
  add_usual(app, options);
  add_more(app, options);
  std::vector<CLI::Option*> flags = app.get_options();
  std::erase_if(flags, [&](auto* flag) { return std::find(before.begin(), before.end(), flag) != before.end(); });
  return [&options, flags](const Model& model, int max_tokens) {
    SamplingOptions defaults = default_sampling(model);
    defaults.max_tokens = max_tokens;
    const auto set = [&] {
      options = defaults;
      for (CLI::Option* flag : flags) {
        if (flag->count() > 0) flag->run_callback();
      }
    };
    set();
    if (options.temperature == 0) {
      defaults.repetition_penalty = 1;
      set();
    }
  };
}

void check_sampling(const SamplingOptions& options, const Tokenizer& tokenizer) {
  for (const auto& [token, bias] : options.logit_bias)
    if (token >= tokenizer.size())
      throw Error(ErrorKind::kUsage,
                  fmt::format("--logit-bias names token {}, but the model's last is {}", token, tokenizer.size() - 1));
}

std::vector<std::pair<std::string, std::string>> sampling_values(const SamplingOptions& o) {
  const auto text = [](const auto& value) { return fmt::format("{}", value); };
  const auto list = [](const auto& values, const char* between) {
    return fmt::format("{}", fmt::join(values, between));
  };
  std::vector<std::string> biases, stops, breakers;
  for (const auto& [token, bias] : o.logit_bias) biases.push_back(fmt::format("{}={}", token, bias));
  for (const auto& stop : o.stop) stops.push_back(json_string(stop));
  for (const auto& breaker : o.dry_breakers) breakers.push_back(json_string(breaker));
  return {{"max-tokens", text(o.max_tokens)},
          {"temp", text(o.temperature)},
          {"top-k", text(o.top_k)},
          {"top-p", text(o.top_p)},
          {"min-p", text(o.min_p)},
          {"repetition-penalty", text(o.repetition_penalty)},
          {"penalty-window", text(o.penalty_window)},
          {"presence-penalty", text(o.presence_penalty)},
          {"frequency-penalty", text(o.frequency_penalty)},
          {"logit-bias", list(biases, " ")},
          {"seed", text(o.seed)},
          {"no-loop-check", text(!o.loop_check)},
          {"stop", list(stops, " ")},
          {"typical-p", text(o.typical_p)},
          {"top-n-sigma", text(o.top_n_sigma)},
          {"xtc-probability", text(o.xtc_probability)},
          {"xtc-threshold", text(o.xtc_threshold)},
          {"dry-multiplier", text(o.dry_multiplier)},
          {"dry-base", text(o.dry_base)},
          {"dry-allowed-length", text(o.dry_allowed_length)},
          {"dry-penalty-last-n", text(o.dry_window)},
          {"dry-sequence-breaker", list(breakers, " ")},
          {"dynatemp-range", text(o.dynamic_temperature_range)},
          {"dynatemp-exp", text(o.dynamic_temperature_exponent)},
          {"mirostat", text(o.mirostat)},
          {"mirostat-ent", text(o.mirostat_tau)},
          {"mirostat-lr", text(o.mirostat_eta)},
          {"samplers", list(o.samplers, ";")}};
}

}  // namespace fieldprint::cli
