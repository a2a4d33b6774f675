#include "server/exchange.h"

#include <fmt/format.h>

#include <array>

#include "base/sha256.h"
#include "server/api_error.h"
#include "server/sampling_fields.h"

namespace fieldprint::server {
namespace {

constexpr SpanKind kKinds[] = {SpanKind::kText,      SpanKind::kSystem,    SpanKind::kUser,  SpanKind::kTool,
                               SpanKind::kRetrieved, SpanKind::kGenerated, SpanKind::kAnchor};

Json spans_json(const std::vector<LabelledTokens>& prompt) {
  Json spans = Json::array();
  for (const auto& [label, tokens] : prompt) {
    Json span = {{"kind", span_kind_name(label.kind)}};
    if (!label.source.empty()) span["source"] = label.source;
    if (label.clearance != 0) span["clearance"] = label.clearance;
    span["tokens"] = tokens;
    spans.push_back(std::move(span));
  }
  return spans;
}

}  // namespace

std::string_view finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndToken:
      return "end";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContext:
      return "context";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kNoneAllowed:
      return "none_allowed";
    case FinishReason::kLoop:
      return "loop";
  }
  return "";
}

std::string prompt_hash(const std::vector<LabelledTokens>& prompt) {
  const std::string text = dump(spans_json(prompt));
  return sha256_hex(std::as_bytes(std::span(text)));
}

Json exchange_json(Service& service, const Exchange& exchange, const Generation& answer) {
  Json json = {{"version", 1}, {"model", service.model_name}, {"model_hash", service.model_hash()}};
  const SessionOptions& session = service.options.scheduler.session;
  json["kv_type"] = session.kv_type;
  json["context"] = service.context();
  json["clearance"] = exchange.clearance;
  json["prompt"] = spans_json(exchange.prompt);
  json["prompt_hash"] = prompt_hash(exchange.prompt);
  json["sampling"] = sampling_json(exchange.sampling);
  json["sampling"]["special"] = exchange.sampling.special;
  if (exchange.constraint.any()) json["constraint"] = constraint_json(exchange.constraint);
  json["answer"] = answer_json(answer);
  return json;
}

Json answer_json(const Generation& answer) {
  return {{"tokens", answer.tokens},
          {"text", answer.text},
          {"finish_reason", finish_name(answer.reason)},
          {"logits_hash", answer.stats.logits_hash}};
}

std::string answer_difference(const Json& expected, const Json& got) {
  for (const auto& [name, value] : got.items()) {
    const auto found = expected.find(name);
    if (found != expected.end() && *found == value) continue;
    if (name == "tokens" && found != expected.end() && found->is_array()) {
      size_t i = 0;
      while (i < found->size() && i < value.size() && found->at(i) == value.at(i)) ++i;
      const auto shown = [i](const Json& list) { return i < list.size() ? list.at(i).dump() : std::string("the end"); };
      return fmt::format("token {} of the answer is {}, and was {}", i, shown(value), shown(*found));
    }
    return fmt::format("{} is {}, and was {}", name, dump(value), found == expected.end() ? "not there" : dump(*found));
  }
  return {};
}

Exchange exchange_from_json(const Fields& fields, const Model& model) {
  if (const std::string hash = fields.required_string("model_hash"); hash != model.fingerprint())
    fields.refuse("model_hash", "is that of another model: " + hash);
  const Tokenizer& tokenizer = model.tokenizer();
  Exchange exchange;
  exchange.clearance = static_cast<int>(
      fields.integer("clearance", 0, std::numeric_limits<int>::max()).value_or(std::numeric_limits<int>::max()));
  size_t index = 0;
  for (const Json& entry : fields.required_array("prompt")) {
    const Fields span(entry, fmt::format("{}[{}]", fields.path("prompt"), index++));
    LabelledTokens part;
    const std::string kind = span.required_string("kind");
    const auto* found =
        std::find_if(std::begin(kKinds), std::end(kKinds), [&](SpanKind each) { return span_kind_name(each) == kind; });
    if (found == std::end(kKinds)) span.refuse("kind", fmt::format("is '{}', which is not known", kind));
    part.label.kind = *found;
    part.label.source = span.string("source").value_or("");
    part.label.clearance = static_cast<int>(span.integer("clearance", 0, std::numeric_limits<int>::max()).value_or(0));
    for (const Json& token : span.required_array("tokens")) {
      if (!token.is_number_integer() || token.get<int64_t>() < 0 || token.get<int64_t>() >= tokenizer.size())
        span.refuse("tokens", "should hold ids of the model's vocabulary");
      part.tokens.push_back(token.get<TokenId>());
    }
    exchange.prompt.push_back(std::move(part));
  }
  const Json* sampling = fields.object("sampling");
  if (sampling == nullptr) fields.refuse("sampling", "is missing");
  const Fields sampling_fields(*sampling, fields.path("sampling"));
  exchange.sampling = read_sampling(sampling_fields, {}, tokenizer);
  exchange.sampling.special = sampling_fields.boolean("special").value_or(false);
  if (const Json* constraint = fields.object("constraint"))
    exchange.constraint = constraint_from_json(Fields(*constraint, fields.path("constraint")));
  return exchange;
}

}  // namespace fieldprint::server
