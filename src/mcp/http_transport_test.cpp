#include "mcp/http_transport.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "base/descriptor.h"
#include "fieldprint/error.h"
#include "mcp/mirrored_headers.h"

namespace fieldprint::mcp {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

struct Got {
  int status = 0;
  std::string head, body;
  Json json() const { return Json::parse(body, nullptr, false); }
  int code() const { return json().value("error", Json::object()).value("code", 0); }
  std::string header(const std::string& name) const {
    const size_t at = head.find("\r\n" + name + ": ");
    return at == head.npos ? "" : head.substr(at + name.size() + 4, head.find("\r\n", at + 2) - at - name.size() - 4);
  }
};

class Connection {
 public:
  explicit Connection(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  void send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  bool read_until(const std::string& what) {
    char bytes[4096];
    while (all_.find(what) == all_.npos) {
      const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
      if (n <= 0) return false;
      all_.append(bytes, static_cast<size_t>(n));
    }
    return true;
  }
  const std::string& read_all() {
    read_until("\1never\1");
    return all_;
  }
  void close() { fd_.reset(); }

 private:
  Descriptor fd_;
  std::string all_;
};

using Headers = std::map<std::string, std::string>;

std::string request_text(const std::string& method, const Headers& more, const std::string& body = "",
                         const std::string& path = "/mcp") {
  Headers headers = {{"Host", "127.0.0.1"},
                     {"Connection", "close"},
                     {"Accept", "application/json, text/event-stream"},
                     {"Content-Type", "application/json"},
                     {"Content-Length", std::to_string(body.size())}};
  for (const auto& [name, value] : more) headers[name] = value;
  std::string text = method + " " + path + " HTTP/1.1\r\n";
  for (const auto& [name, value] : headers)
    if (value != "-") text += name + ": " + value + "\r\n";
  return text + "\r\n" + body;
}

class McpHttp : public testing::Test {
 protected:
  McpHttp() : server_(options()) {}

  ServerOptions options() {
    ServerOptions options{.name = "tester", .title = "", .version = "1.0", .instructions = "", .tools = {}};
    options.tools.push_back({.name = "who",
                             .description = "Who asks.",
                             .input_schema = Json::parse(R"({"type": "object", "properties": {
             "place": {"type": "string", "x-mcp-header": "Place"}, "count": {"type": "integer", "x-mcp-header": "Count"},
             "in": {"type": "object", "properties": {"sure": {"type": "boolean", "x-mcp-header": "Sure"}}}}})"),
                             .handler = [](const Json&, ToolContext& context) {
                               return ToolResult{.text = context.principal() + " " + context.session() + " " +
                                                         context.client()};
                             }});
    options.tools.push_back({.name = "work",
                             .description = "Works until it is cancelled.",
                             .input_schema = {{"type", "object"}},
                             .handler = [this](const Json& arguments, ToolContext& context) {
                               context.progress(1, {}, "begun");
                               const bool forever = arguments.value("long", false);
                               for (int i = 0; !context.cancelled() && (forever || i < 10); ++i)
                                 std::this_thread::sleep_for(1ms);
                               if (context.cancelled()) ++cancelled_;
                               return ToolResult{.text = "done"};
                             }});
    return options;
  }

  void start(HttpTransportOptions options = {}) { transport_.emplace(server_, options); }
  Got raw(const std::string& text) {
    Connection connection(transport_->port());
    connection.send(text);
    const std::string all = connection.read_all();
    const size_t end = all.find("\r\n\r\n");
    Got got{.head = all.substr(0, end), .body = end == all.npos ? "" : all.substr(end + 4)};
    if (all.size() > 12) got.status = std::stoi(all.substr(9, 3));
    return got;
  }
  Got post(const Json& body, const Headers& headers = {}) {
    return raw(request_text("POST", headers, body.is_string() ? body.get<std::string>() : to_text(body)));
  }

  // 2026-07-28
  static Json stateless(const std::string& method, Json params = Json::object(), Json id = 1) {
    params["_meta"] = {{kMetaVersion, kStatelessVersion},
                       {kMetaClient, {{"name", "new"}, {"version", "2"}}},
                       {kMetaCapabilities, Json::object()}};
    return {{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"method", method}, {"params", std::move(params)}};
  }
  static Headers mirrored(const Json& message, Headers more = {}) {
    Headers headers = {{"MCP-Protocol-Version", std::string(kStatelessVersion)}, {"Mcp-Method", message["method"]}};
    if (message["params"].contains("name")) headers["Mcp-Name"] = message["params"]["name"];
    for (const auto& [name, value] : more) headers[name] = value;
    return headers;
  }
  Got ask(const Json& message, Headers more = {}) { return post(message, mirrored(message, std::move(more))); }

  // Before it
  std::string initialize(const std::string& version = "2025-11-25") {
    const Got got = post(Json{{"jsonrpc", "2.0"},
                              {"id", 0},
                              {"method", "initialize"},
                              {"params", {{"protocolVersion", version}, {"clientInfo", {{"name", "old"}}}}}});
    EXPECT_EQ(got.status, 200) << got.body;
    EXPECT_EQ(got.json()["result"]["protocolVersion"], version);
    return got.header("Mcp-Session-Id");
  }
  static Json plain(const std::string& method, Json params = Json::object(), Json id = 1) {
    return {{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"method", method}, {"params", std::move(params)}};
  }

  std::atomic<int> cancelled_ = 0;
  ToolServer server_;
  std::optional<HttpTransport> transport_;
};

TEST_F(McpHttp, StatelessRequestsNeedNoSession) {
  start({.principal = "ann"});
  Got got = ask(stateless("server/discover"));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.json()["result"]["supportedVersions"], Json::array({kStatelessVersion}));
  EXPECT_EQ(got.header("Mcp-Session-Id"), "");
  got = ask(stateless("tools/call", {{"name", "who"}}), {{"Mcp-Session-Id", "ignored"}});
  EXPECT_EQ(got.json()["result"]["content"][0]["text"], "ann http new");
  got = ask(stateless("nothing/there", Json::object(), "x"));
  EXPECT_EQ(got.status, 404);
  EXPECT_EQ(got.code(), kMethodNotFound);
  EXPECT_EQ(got.json()["id"], "x");
  EXPECT_EQ(ask(stateless("initialize")).status, 404);
  got = ask(stateless("tools/call", {{"name", "none"}}));
  EXPECT_EQ(got.code(), kInvalidParams);
  EXPECT_EQ(post(Json{{"jsonrpc", "2.0"}, {"method", "notifications/x"}},
                 {{"MCP-Protocol-Version", std::string(kStatelessVersion)}})
                .status,
            202);
  for (const char* method : {"GET", "DELETE"})
    EXPECT_EQ(raw(request_text(method, {{"MCP-Protocol-Version", std::string(kStatelessVersion)}})).status, 405);
}

TEST_F(McpHttp, HeadersHaveToSayWhatTheBodySays) {
  start();
  const Json call = stateless("tools/call", {{"name", "who"}}), list = stateless("tools/list");
  const auto mismatch = [&](const Json& message, const Headers& more) {
    const Got got = ask(message, more);
    EXPECT_EQ(got.status, 400) << got.body;
    EXPECT_EQ(got.json().value("id", 0), 1);
    return got.code();
  };
  EXPECT_EQ(mismatch(list, {{"MCP-Protocol-Version", "-"}}), kHeaderMismatch);
  EXPECT_EQ(mismatch(list, {{"MCP-Protocol-Version", "2025-11-25"}}), kHeaderMismatch);
  EXPECT_EQ(mismatch(list, {{"Mcp-Method", "-"}}), kHeaderMismatch);
  EXPECT_EQ(mismatch(list, {{"Mcp-Method", "Tools/List"}}), kHeaderMismatch);
  EXPECT_EQ(mismatch(call, {{"Mcp-Name", "-"}}), kHeaderMismatch);
  EXPECT_EQ(mismatch(call, {{"Mcp-Name", "work"}}), kHeaderMismatch);
  EXPECT_EQ(mismatch(call, {{"Mcp-Name", "=?base64?d2hv!?="}}), kHeaderMismatch);
  EXPECT_EQ(ask(call, {{"Mcp-Name", "=?base64?d2hv?="}}).status, 200);
  EXPECT_EQ(ask(call, {{"Mcp-Name", "  who \t"}}).status, 200);
  Json future = list;
  future["params"]["_meta"][kMetaVersion] = "2030-01-01";
  EXPECT_EQ(mismatch(future, {{"MCP-Protocol-Version", "2030-01-01"}}), kUnsupportedVersion);
  EXPECT_EQ(mismatch(future, {}), kHeaderMismatch);
  Json bare = list;
  bare["params"].erase("_meta");
  EXPECT_EQ(mismatch(bare, {}), kInvalidParams);
  EXPECT_EQ(mismatch(bare, {{"MCP-Protocol-Version", "1999-01-01"}}), kInvalidParams);
  Json incapable = list;
  incapable["params"]["_meta"].erase(kMetaCapabilities);
  EXPECT_EQ(mismatch(incapable, {}), kInvalidParams);
}

TEST_F(McpHttp, MirroredParametersHaveToBeTheSame) {
  start();
  const auto status = [&](const Json& arguments, const Headers& headers) {
    return ask(stateless("tools/call", {{"name", "who"}, {"arguments", arguments}}), headers).status;
  };
  EXPECT_EQ(status({{"place", "here"}}, {{"Mcp-Param-Place", "here"}}), 200);
  EXPECT_EQ(status({{"place", "h\u00e9"}}, {{"Mcp-Param-Place", "=?base64?aMOp?="}}), 200);
  EXPECT_EQ(status({{"place", "here"}}, {}), 400);
  EXPECT_EQ(status({{"place", "here"}}, {{"Mcp-Param-Place", "there"}}), 400);
  EXPECT_EQ(status({{"place", nullptr}}, {{"Mcp-Param-Place", "there"}}), 400);
  EXPECT_EQ(status({{"place", "here"}}, {{"Mcp-Param-Place", "=?base64?aGVyZ?="}}), 400);
  EXPECT_EQ(status({{"count", 42}}, {{"Mcp-Param-Count", "42.0"}}), 200);
  EXPECT_EQ(status({{"count", 42}}, {{"Mcp-Param-Count", "43"}}), 400);
  EXPECT_EQ(status({{"count", 42}}, {{"Mcp-Param-Count", "x"}}), 400);
  EXPECT_EQ(status({{"in", {{"sure", true}}}}, {{"Mcp-Param-Sure", "true"}}), 200);
  EXPECT_EQ(status({{"in", {{"sure", true}}}}, {{"Mcp-Param-Sure", "false"}}), 400);
  EXPECT_EQ(status(Json::object(), {}), 200);
}

TEST_F(McpHttp, ProgressMakesAStreamOfAReply) {
  start();
  Json call = stateless("tools/call", {{"name", "work"}});
  call["params"]["_meta"]["progressToken"] = 7;
  Got got = ask(call);
  EXPECT_THAT(got.head, HasSubstr("text/event-stream"));
  EXPECT_THAT(got.head, HasSubstr("X-Accel-Buffering: no"));
  EXPECT_LT(got.body.find("notifications/progress"), got.body.find("\"result\""));
  EXPECT_THAT(ask(call, {{"Accept", "application/json"}}).head, HasSubstr("application/json"));
  EXPECT_EQ(ask(call, {{"Accept", "text/html"}}).status, 406);
}

TEST_F(McpHttp, AClientThatLeavesCancels) {
  start();
  Json call = stateless("tools/call", {{"name", "work"}, {"arguments", {{"long", true}}}});
  call["params"]["_meta"]["progressToken"] = "t";
  Connection connection(transport_->port());
  connection.send(request_text("POST", mirrored(call), to_text(call)));
  EXPECT_TRUE(connection.read_until("notifications/progress"));
  connection.close();
  for (int i = 0; i < 1000 && cancelled_ == 0; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_EQ(cancelled_, 1);
}

TEST_F(McpHttp, SubscriptionsAreAcknowledgedAndEndWithTheServer) {
  start();
  const Json listen = stateless("subscriptions/listen", {{"notifications", {{"toolsListChanged", true}}}}, "s");
  Connection connection(transport_->port());
  connection.send(request_text("POST", mirrored(listen), to_text(listen)));
  EXPECT_TRUE(connection.read_until("notifications/subscriptions/acknowledged"));
  transport_->stop(5s);
  EXPECT_THAT(connection.read_all(), HasSubstr(R"("id":"s","result")"));
  transport_.reset();
}

TEST_F(McpHttp, SessionsOfTheInitializeEra) {
  start({.principal = "ann"});
  const std::string id = initialize();
  EXPECT_EQ(id.size(), 32u);
  const Headers session = {{"Mcp-Session-Id", id}, {"MCP-Protocol-Version", "2025-11-25"}};
  EXPECT_EQ(post(Json{{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}, session).status, 202);
  EXPECT_EQ(post(plain("tools/call", {{"name", "who"}}), session).json()["result"]["content"][0]["text"],
            "ann http-" + id + " old");
  EXPECT_EQ(post(plain("ping"), {{"Mcp-Session-Id", id}}).json()["result"], Json::object());
  EXPECT_EQ(post(plain("tools/list")).status, 400);
  EXPECT_EQ(post(plain("tools/list"), {{"Mcp-Session-Id", "none"}}).status, 404);
  EXPECT_EQ(post(plain("tools/list"), {{"Mcp-Session-Id", id}, {"MCP-Protocol-Version", "1.0"}}).status, 400);
  EXPECT_EQ(post(Json::array({plain("ping")}), session).status, 400);
  EXPECT_EQ(post(plain("none"), session).code(), kMethodNotFound);

  const std::string old = initialize("2025-03-26");
  const Json batch = Json::array({plain("ping", {}, 1), plain("ping", {}, 2)});
  EXPECT_EQ(post(batch, {{"Mcp-Session-Id", old}}).json().size(), 2u);

  Connection stream(transport_->port());
  stream.send(request_text("GET", session));
  EXPECT_TRUE(stream.read_until(": here"));
  EXPECT_EQ(raw(request_text("DELETE", session)).status, 204);
  EXPECT_THAT(stream.read_all(), EndsWith("0\r\n\r\n"));  // an end, not a break
  EXPECT_EQ(post(plain("tools/list"), session).status, 404);
  EXPECT_EQ(raw(request_text("DELETE", session)).status, 404);
  EXPECT_EQ(raw(request_text("GET", {})).status, 400);
}

TEST_F(McpHttp, CancellingInASession) {
  start();
  const Headers session = {{"Mcp-Session-Id", initialize()}};
  Json call = plain("tools/call", {{"name", "work"}, {"arguments", {{"long", true}}}}, "c");
  call["params"]["_meta"]["progressToken"] = "t";
  Connection connection(transport_->port());
  connection.send(request_text("POST", session, to_text(call)));
  EXPECT_TRUE(connection.read_until("notifications/progress"));
  const Json cancel = {{"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", "c"}}}};
  EXPECT_EQ(post(cancel, session).status, 202);
  EXPECT_THAT(connection.read_all(), testing::Not(HasSubstr("\"result\"")));
  EXPECT_EQ(cancelled_, 1);
}

TEST_F(McpHttp, SessionsMakeRoomForNewOnes) {
  start({.sessions = 2});
  const std::string first = initialize(), second = initialize();
  post(plain("ping"), {{"Mcp-Session-Id", first}});
  const std::string third = initialize();
  EXPECT_EQ(post(plain("ping"), {{"Mcp-Session-Id", first}}).status, 200);
  EXPECT_EQ(post(plain("ping"), {{"Mcp-Session-Id", second}}).status, 404);
  EXPECT_EQ(post(plain("ping"), {{"Mcp-Session-Id", third}}).status, 200);
}

TEST_F(McpHttp, PagesOfOtherPlacesAreRefused) {
  start();
  const Json list = stateless("tools/list");
  EXPECT_EQ(ask(list, {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(ask(list, {{"Host", "127.0.0.1.evil.example:80"}}).status, 403);
  EXPECT_EQ(ask(list, {{"Host", "-"}}).status, 403);
  EXPECT_EQ(ask(list, {{"Host", "localhost:3000"}}).status, 200);
  EXPECT_EQ(ask(list, {{"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(ask(list, {{"Origin", "null"}}).status, 403);
  EXPECT_EQ(ask(list, {{"Origin", "http://localhost:6274"}}).status, 200);
  EXPECT_EQ(ask(list, {{"Content-Type", "text/plain"}}).status, 415);
  EXPECT_EQ(raw(request_text("OPTIONS", {{"Origin", "http://localhost:6274"}})).status, 405);
  EXPECT_EQ(raw(request_text("POST", {}, "{}", "/other")).status, 404);
  EXPECT_THROW(HttpTransport(server_, {.host = "0.0.0.0"}), Error);
}

TEST_F(McpHttp, ATokenIsAskedForWhereThereIsOne) {
  start({.token = "secret"});
  const Json list = stateless("tools/list");
  Got got = ask(list);
  EXPECT_EQ(got.status, 401);
  EXPECT_EQ(got.header("WWW-Authenticate"), "Bearer");
  EXPECT_EQ(ask(list, {{"Authorization", "Bearer secrets"}}).status, 401);
  EXPECT_EQ(ask(list, {{"Authorization", "Bearer secret"}}).status, 200);
}

TEST_F(McpHttp, WhatIsNoMessageIsAnsweredWithAnError) {
  start();
  for (const char* body : {"", "{", "\xff", "7", "{}", "[]"}) EXPECT_EQ(post(Json(body)).status, 400) << body;
  EXPECT_EQ(post(Json("{")).code(), kParseError);
  EXPECT_EQ(post(Json(std::string(200'000, '['))).code(), kParseError);
  EXPECT_EQ(raw(request_text("POST", {{"Content-Length", "5000000"}})).status, 413);
  EXPECT_EQ(post(plain("tools/list"), {{"MCP-Protocol-Version", std::string(kStatelessVersion)}}).status, 400);
}

TEST(MirroredHeaders, Base64IsStrict) {
  EXPECT_EQ(decoded_header("us-west1"), "us-west1");
  EXPECT_EQ(decoded_header("=?base64?SGVsbG8sIOS4lueVjA==?="), "Hello, \u4e16\u754c");
  EXPECT_EQ(decoded_header("=?base64?IHBhZGRlZCA=?="), " padded ");
  EXPECT_EQ(decoded_header("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="), "=?base64?literal?=");
  EXPECT_EQ(decoded_header("=?base64?"
                           "?="),
            "");
  EXPECT_EQ(decoded_header("=?BASE64?SGVs?="), "=?BASE64?SGVs?=");
  for (const char* wrong :
       {"=?base64?SGVsbG8?=", "=?base64?SGVs bG8?=", "=?base64?====?=", "=?base64?SG=s?=", "=?base64?SGV$?="})
    EXPECT_EQ(decoded_header(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace fieldprint::mcp
