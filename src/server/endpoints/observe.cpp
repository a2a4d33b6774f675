// POST /api/observe: what one layer does with a conversation or a text: attention maps, the choice of experts.
#include "fieldprint/observe.h"

#include <cmath>

#include "server/api_error.h"
#include "server/chat_request.h"
#include "server/endpoint.h"

namespace fieldprint::server::endpoints_of {

void observe_layer(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  std::vector<TokenId> tokens;
  if (const auto prompt = fields.string("prompt")) {
    tokens = encode_prompt(service.tokenizer(), *prompt);
  } else {
    const ChatRequest request = read_chat(fields, service);
    const ChatFormat format(service.tokenizer(), service.chat_template(),
                            {.where = service.model_name, .variables = request.variables, .continue_last = true});
    for (const auto& span : format.spans(request.messages))
      tokens.insert(tokens.end(), span.tokens.begin(), span.tokens.end());
  }
  constexpr size_t kMost = 256;  // a map is a number for every two tokens and head
  const bool cut = tokens.size() > kMost;
  if (cut) tokens.erase(tokens.begin(), tokens.end() - static_cast<std::ptrdiff_t>(kMost));
  const int layers = service.model->info().layers;
  const auto layer = fields.integer("layer", 0, layers - 1).value_or(0);
  const Observation seen = observe(*service.model, tokens, static_cast<int>(layer));
  Json texts = Json::array();
  for (const TokenId token : tokens) texts.push_back(service.tokenizer().piece(token));
  const size_t n = tokens.size();
  Json heads = Json::array();
  for (size_t head = 0; head < static_cast<size_t>(seen.heads); ++head) {
    Json rows = Json::array();
    for (size_t row = 0; row < n; ++row) {  // a token sees none after it
      Json values = Json::array();
      for (size_t column = 0; column <= row; ++column)
        values.push_back(std::round(static_cast<double>(seen.attention[(head * n + row) * n + column]) * 1e4) / 1e4);
      rows.push_back(std::move(values));
    }
    heads.push_back(std::move(rows));
  }
  Json experts = Json::array();
  for (size_t row = 0; row < n && seen.experts > 0; ++row) {
    Json chosen = Json::array();
    for (size_t k = row * static_cast<size_t>(seen.active); k < (row + 1) * static_cast<size_t>(seen.active); ++k)
      chosen.push_back({{"expert", seen.chosen[k]}, {"weight", seen.expert_weights[k]}});
    experts.push_back(std::move(chosen));
  }
  send_json(reply, {{"layer", layer},
                    {"layers", layers},
                    {"heads", seen.heads},
                    {"tokens", texts},
                    {"cut", cut},
                    {"attention", heads},
                    {"experts", experts}});
}

}  // namespace fieldprint::server::endpoints_of
