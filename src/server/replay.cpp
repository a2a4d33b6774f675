#include "fieldprint/replay.h"

#include "fieldprint/grammar_mask.h"
#include "fieldprint/session.h"
#include "server/api_error.h"
#include "server/exchange.h"

namespace fieldprint {

using namespace server;

namespace {

// Where the exchange stands in what a server sent, or in what somebody saved of it.
const Json& exchange_in(const Json& json) {
  const Json* found = &json;
  for (const char* name : {"fieldprint", "exchange"}) {
    if (found->is_object() && found->contains(name)) found = &found->at(name);
  }
  if (!found->is_object() || !found->contains("prompt") || !found->contains("answer"))
    throw Error(ErrorKind::kBadInput, "there is no exchange in it", {},
                "a request with \"exchange\": true gets one in its reply, as fieldprint.exchange");
  return *found;
}

// What is wrong with the JSON, as an Error: here nobody speaks HTTP.
template <class Read>
auto as_input(Read read) {
  try {
    return read();
  } catch (const ApiError& error) {
    throw Error(ErrorKind::kBadInput, error.what());
  }
}

}  // namespace

std::string replay_model(std::string_view exchange) {
  return as_input([&] {
    const Json json = parse_body(exchange);
    return Fields(exchange_in(json), "exchange").string("model").value_or("");
  });
}

ReplayResult replay(std::shared_ptr<const Model> model, std::string_view text, const Progress& progress) {
  const Json json = as_input([&] { return parse_body(text); });
  const Json& saved = exchange_in(json);
  SessionOptions options;
  Exchange exchange;
  const Json* expected = nullptr;
  as_input([&] {
    const Fields fields(saved, "exchange");
    exchange = exchange_from_json(fields, *model);
    expected = fields.object("answer");
    options.kv_type = fields.string("kv_type").value_or(options.kv_type);
    options.context = static_cast<int>(fields.integer("context", 0, 1 << 30).value_or(0));
    options.clearance = exchange.clearance;
  });
  if (expected == nullptr) throw Error(ErrorKind::kBadInput, "the exchange has no answer");
  if (exchange.constraint.any())
    exchange.sampling.mask =
        grammar_mask(constraint_grammar(exchange.constraint), std::make_shared<GrammarVocabulary>(model->tokenizer()));
  Session session(std::move(model), options);
  const Json got = answer_json(session.generate(exchange.prompt, exchange.sampling, {}, nullptr, progress));
  ReplayResult result;
  result.difference = answer_difference(*expected, got);
  result.same = result.difference.empty();
  if (expected->contains("tokens")) result.tokens = static_cast<int>(expected->at("tokens").size());
  if (const auto hash = Fields(*expected, "answer").string("logits_hash")) result.expected_hash = *hash;
  result.hash = got["logits_hash"].get<std::string>();
  return result;
}

}  // namespace fieldprint
