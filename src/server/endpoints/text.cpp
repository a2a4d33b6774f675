// POST /tokenize, /detokenize, /apply-template: text and tokens, as llama.cpp's server has them, and with `prompt` in
// the place of `content` as vLLM's.
#include "server/chat_run.h"
#include "server/endpoint.h"
#include "server/service.h"

namespace fieldprint::server::endpoints_of {

void tokenize(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  const bool vllm = !fields.has("content") && fields.has("prompt");
  const EncodeOptions options{
      .add_special =
          vllm ? fields.boolean("add_special_tokens").value_or(true) : fields.boolean("add_special").value_or(false),
      .parse_special = fields.boolean("parse_special").value_or(true),
  };
  const auto tokens = service.tokenizer().encode(fields.required_string(vllm ? "prompt" : "content"), options);
  if (vllm)
    return send_json(reply, {{"tokens", tokens}, {"count", tokens.size()}, {"max_model_len", service.context()}});
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
  const std::string text = service.tokenizer().decode(tokens);
  send_json(reply, {{"content", text}, {"prompt", text}});
}

// As vLLM has it, whose answer evaluation harnesses ask for.
void tokenizer_info(Service& service, const HttpRequest&, HttpReply& reply) {
  const Tokenizer& tokenizer = service.tokenizer();
  const auto piece = [&](TokenId token) { return token == kNoToken ? Json() : Json(tokenizer.piece(token)); };
  const ChatTemplate* found = service.model->chat_template();
  send_json(reply, {{"tokenizer_class", "Fieldprint"},
                    {"bos_token", piece(tokenizer.bos())},
                    {"eos_token", piece(tokenizer.eos())},
                    {"pad_token", nullptr},
                    {"vocab_size", tokenizer.size()},
                    {"model_max_length", service.context()},
                    {"chat_template", found != nullptr ? Json(found->source()) : Json()}});
}

void apply_template(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const ChatRequest request = read_chat(Fields(body), service);
  const ChatFormat format = chat_format(service, request);
  send_json(reply, {{"prompt", format.text(request.messages)}});
}

}  // namespace fieldprint::server::endpoints_of
