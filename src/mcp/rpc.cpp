#include "mcp/rpc.h"

#include "base/json.h"

namespace fieldprint::mcp {

Json parse_text(std::string_view text) {
  try {
    return parse_ordered_json(text, "message", {.max_bytes = kMaxMessageBytes});
  } catch (const Error& error) {
    throw RpcError(kParseError, error.what());
  }
}

Json id_of(const Json& json) {
  if (!json.is_object()) return nullptr;
  const auto id = json.find("id");
  return id != json.end() && (id->is_string() || id->is_number_integer()) ? *id : Json();
}

bool is_notification(const Json& json) {
  if (!json.is_object() || json.contains("id")) return false;
  const auto method = json.find("method");
  return method != json.end() && method->is_string();
}

Message message_from(const Json& json) {
  const auto refuse = [](const char* what) { throw RpcError(kInvalidRequest, what); };
  if (!json.is_object()) refuse("a message has to be a JSON object");
  const auto version = json.find("jsonrpc");
  if (version == json.end() || *version != "2.0") refuse("'jsonrpc' has to be \"2.0\"");
  Message message;
  const auto method = json.find("method"), id = json.find("id"), params = json.find("params");
  if (method == json.end()) {
    if (!json.contains("result") && !json.contains("error")) refuse("the message has neither 'method' nor 'result'");
    message.kind = Message::Kind::kResponse;
    return message;
  }
  if (!method->is_string()) refuse("'method' has to be a string");
  message.method = method->get<std::string>();
  message.kind = id == json.end() ? Message::Kind::kNotification : Message::Kind::kRequest;
  if (message.kind == Message::Kind::kRequest) {
    message.id = id_of(json);
    if (message.id.is_null()) refuse("'id' has to be a string or an integer");
  }
  message.params = Json::object();
  if (params != json.end()) {
    if (!params->is_object()) throw RpcError(kInvalidParams, "'params' has to be an object");
    message.params = *params;
  }
  return message;
}

Json result_reply(const Json& id, Json result) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}};
}

Json error_reply(const Json& id, const RpcError& error) {
  Json reply = {{"jsonrpc", "2.0"}};
  if (!id.is_null()) reply["id"] = id;
  reply["error"] = {{"code", error.code}, {"message", error.what()}};
  if (!error.data.is_null()) reply["error"]["data"] = error.data;
  return reply;
}

Json notification(std::string_view method, Json params) {
  return {{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}};
}

std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace fieldprint::mcp
