// A message as a client may send it, in both eras and as an HTTP request: answered or refused, whatever it is, and the
// answer is JSON.
#include <cstdlib>
#include <string>
#include <string_view>

#include "mcp/memory_tools.h"
#include "mcp/mirrored_headers.h"
#include "mcp/tool_server.h"
#include "mcp/wire.h"

namespace {

using namespace fieldprint;
using namespace fieldprint::mcp;

class NoMemory final : public MemoryCalls {
 public:
  std::string call(const MemoryCaller&, std::string_view method, std::string_view params) override {
    (void)Json::parse(params);
    if (method == "recall") return R"({"items":[{"id":"00","text":"x","kind":"OBS"}],"tokens":1})";
    return R"({"id":"00","status":"ADMITTED"})";
  }
};

void check(const Json& reply) {
  if (Json::parse(to_text(reply)) != reply && to_text(reply).find("\xEF\xBF\xBD") == std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  static NoMemory memory;
  static const ToolServer server(memory_tools(memory, "1"));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    hello_from(text);
  } catch (const Error&) {
  }
  Json json;
  try {
    json = parse_text(text);
  } catch (const RpcError& error) {
    check(error_reply(nullptr, error));
    return 0;
  }
  Peer peer("user", "s");
  peer.agree(std::string(kBatchVersion), "fuzzer", Json::object());
  const auto notify = [](const Json& note) { check(note); };
  try {
    if (json.is_array()) {
      check(server.answer_batch(json, peer, notify));
      return 0;
    }
    const Message message = message_from(json);
    if (message.kind == Message::Kind::kNotification) server.take_note(message, peer);
    if (message.kind != Message::Kind::kRequest) return 0;
    for (const Era era : {Era::kInitialize, Era::kStateless}) {
      Call call;
      call.close();  // a subscription ends at once
      if (const auto reply = server.answer(message, era, peer, call, notify)) check(*reply);
    }
    server::HttpRequest http;
    http.headers = {{"mcp-protocol-version", std::string(kStatelessVersion)}, {"mcp-method", message.method}};
    check_headers(http, message, server);
  } catch (const RpcError& error) {
    check(error_reply(id_of(json), error));
  }
  return 0;
}
