#include "server/openai.h"

#include <fmt/format.h>

#include <utility>

#include "fieldprint/json.h"
#include "server/http.h"

namespace fieldprint::server {

Json usage_json(int prompt_tokens, int cached_tokens, int completion_tokens) {
  return {{"prompt_tokens", prompt_tokens},
          {"completion_tokens", completion_tokens},
          {"total_tokens", prompt_tokens + completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", cached_tokens}}}};
}

Json timings_json(const RunStats& stats, size_t tokens) {
  const auto rate = [](double count, double seconds) { return seconds > 0 ? count / seconds : 0; };
  const auto count = static_cast<double>(tokens);
  return {{"cache_n", stats.reused_tokens},
          {"prompt_n", stats.prefill_tokens},
          {"prompt_ms", stats.prefill_seconds * 1e3},
          {"prompt_per_second", rate(stats.prefill_tokens, stats.prefill_seconds)},
          {"predicted_n", tokens},
          {"predicted_ms", stats.decode_seconds * 1e3},
          {"predicted_per_token_ms", tokens > 0 ? stats.decode_seconds * 1e3 / count : 0},
          {"predicted_per_second", rate(stats.decode_tokens, stats.decode_seconds)},
          {"queue_ms", stats.queue_seconds * 1e3}};
}

std::string_view openai_finish(FinishReason reason, bool calls) {
  switch (reason) {
    case FinishReason::kLength:
    case FinishReason::kContext:
    case FinishReason::kLoop:
      return "length";  // cut off, whoever did it: `fieldprint.finish_reason` says
    default:
      return calls ? "tool_calls" : "stop";
  }
}

TokenWish read_token_wish(const Fields& fields) {
  return {.ids = fields.boolean("return_token_ids").value_or(false),
          .id_names = fields.boolean("return_tokens_as_token_ids").value_or(false)};
}

std::string token_name(const Tokenizer& tokenizer, TokenId token, bool id_names) {
  return id_names ? fmt::format("token_id:{}", token) : std::string(tokenizer.piece(token));
}

Json token_json(const Tokenizer& tokenizer, TokenId token, double logprob, bool id_names) {
  const std::string_view piece = tokenizer.piece(token);
  Json bytes = Json::array();
  for (const char c : piece) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", token_name(tokenizer, token, id_names)}, {"bytes", bytes}, {"logprob", logprob}};
}

Json logprobs_json(const Tokenizer& tokenizer, std::span<const TokenLogprobs> tokens, bool id_names) {
  Json content = Json::array();
  for (const TokenLogprobs& each : tokens) {
    Json entry = token_json(tokenizer, each.token, each.logprob, id_names);
    entry["top_logprobs"] = Json::array();
    for (const auto& [token, logprob] : each.top)
      entry["top_logprobs"].push_back(token_json(tokenizer, token, logprob, id_names));
    content.push_back(std::move(entry));
  }
  return content;
}

std::string prompt_logprobs_text(const Tokenizer& tokenizer, std::span<const TokenLogprobs> tokens) {
  std::string text = "[null";
  for (const TokenLogprobs& each : tokens) {
    char before = '{';
    const auto add = [&](TokenId token, double logprob, int rank) {
      fmt::format_to(std::back_inserter(text), R"({}"{}":{{"logprob":{},"rank":{},"decoded_token":{}}})",
                     std::exchange(before, ','), token, logprob, rank, json_string(tokenizer.piece(token)));
    };
    text += ',';
    int rank = 0;
    for (const auto& [token, logprob] : each.top) add(token, logprob, ++rank);
    if (each.rank > rank) add(each.token, each.logprob, each.rank);
    text += '}';
  }
  return text += ']';
}

void append_member(std::string& object, std::string_view name, std::string_view value) {
  object.pop_back();
  object += fmt::format(",\"{}\":", name);
  object += value;
  object += '}';
}

ApiError current_error() {
  try {
    throw;
  } catch (const Disconnected&) {
    throw;
  } catch (const ApiError& error) {
    return error;
  } catch (const Error& error) {
    return api_error(error);
  } catch (const std::exception& error) {
    return {500, error.what()};
  }
}

}  // namespace fieldprint::server
