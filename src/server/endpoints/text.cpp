// POST /tokenize, /detokenize, /apply-template: text and tokens, as llama.cpp's server has them.
#include "server/chat_run.h"
#include "server/endpoint.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {

void tokenize(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  const auto tokens = service.tokenizer().encode(fields.required_string("content"),
                                                 {.add_special = fields.boolean("add_special").value_or(false),
                                                  .parse_special = fields.boolean("parse_special").value_or(true)});
  if (!fields.boolean("with_pieces").value_or(false)) return send_json(reply, {{"tokens", tokens}});
  Json list = Json::array();
  for (const TokenId token : tokens) list.push_back({{"id", token}, {"piece", service.tokenizer().piece(token)}});
  send_json(reply, {{"tokens", list}});
}

void detokenize(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  std::vector<TokenId> tokens;
  for (const Json& token : fields.required_array("tokens")) {
    if (!token.is_number_integer() || token.get<int64_t>() < 0 || token.get<int64_t>() >= service.tokenizer().size())
      fields.refuse("tokens", "should hold ids of the model's vocabulary");
    tokens.push_back(token.get<TokenId>());
  }
  send_json(reply, {{"content", service.tokenizer().decode(tokens)}});
}

void apply_template(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const ChatRequest request = read_chat(Fields(body), service);
  const ChatFormat format = chat_format(service, request);
  send_json(reply, {{"prompt", format.text(request.messages)}});
}

}  // namespace fieldprint::server::endpoints_of
