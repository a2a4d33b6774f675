// Both eras of the protocol, message by message, over a stream.
#include "mcp/tool_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "base/descriptor.h"
#include "fieldprint/error.h"
#include "mcp/schema_check.h"
#include "mcp/stream_transport.h"

namespace fieldprint::mcp {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

Json schema(Json properties, Json required = Json::array()) {
  return {{"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

ServerOptions options() {
  ServerOptions options{
      .name = "tester", .title = "A test", .version = "1.0", .instructions = "Use it.", .tools = {}, .logging = true};
  options.tools.push_back({.name = "echo",
                           .title = "Echo",
                           .description = "Says it again.",
                           .input_schema = schema({{"text", {{"type", "string"}, {"maxLength", 10}}}}, {"text"}),
                           .output_schema = schema({{"text", {{"type", "string"}}}}, {"text"}),
                           .annotations = {{"readOnlyHint", true}},
                           .handler = [](const Json& arguments, ToolContext&) {
                             return ToolResult{.structured = {{"text", arguments["text"]}}};
                           }});
  options.tools.push_back({.name = "who",
                           .description = "Who asks.",
                           .input_schema = schema(Json::object()),
                           .handler = [](const Json&, ToolContext& context) {
                             return ToolResult{.text = context.principal() + " " + context.session() + " " +
                                                       context.client()};
                           }});
  options.tools.push_back({.name = "work",
                           .description = "Takes until it is cancelled, or 20 ms.",
                           .input_schema = schema({{"long", {{"type", "boolean"}}}}),
                           .handler = [](const Json& arguments, ToolContext& context) {
                             for (double done : {1.0, 0.5, 2.0}) context.progress(done, 2.0, "working");
                             context.log("debug", "a detail");
                             context.log("warning", {{"odd", true}});
                             const bool forever = arguments.value("long", false);
                             for (int i = 0; !context.cancelled() && (forever || i < 20); ++i)
                               std::this_thread::sleep_for(1ms);
                             return ToolResult{.text = "done"};
                           }});
  options.tools.push_back({.name = "fail",
                           .description = "Fails.",
                           .input_schema = schema({{"how", {{"type", "string"}}}}),
                           .handler = [](const Json& arguments, ToolContext&) -> ToolResult {
                             const std::string how = arguments.value("how", "");
                             if (how == "rpc")
                               throw RpcError(kMissingClientCapability, "no", {{"requiredCapabilities", 1}});
                             if (how == "std") throw std::runtime_error("unexpected");
                             throw Error(ErrorKind::kLimit, "there is a quota", "", "come back tomorrow");
                           }});
  return options;
}

// A client on the other end of a socket that the server serves in a thread of its own.
class Client {
 public:
  explicit Client(const StreamLimits& limits = {}) : server_(options()) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ours_.reset(fds[0]), theirs_.reset(fds[1]);
    reader_.emplace(ours_.get(), -1, 64 << 20);
    thread_ = std::thread([this, limits] {
      Peer peer("ann", "s1");
      LineReader reader(theirs_.get(), stop_.fd(), kMaxMessageBytes);
      LineWriter writer(theirs_.get(), 2s);
      serve_stream(server_, peer, reader, writer, limits);
      ::shutdown(theirs_.get(), SHUT_RDWR);
    });
  }
  ~Client() {
    stop_.set();
    thread_.join();
  }

  void send(std::string_view text) {
    std::string bytes(text);
    bytes += '\n';
    std::string_view left = bytes;
    while (!left.empty()) {
      const ssize_t sent = ::send(ours_.get(), left.data(), left.size(), MSG_NOSIGNAL);
      ASSERT_GT(sent, 0);
      left.remove_prefix(static_cast<size_t>(sent));
    }
  }
  Json next() {
    const Line line = reader_->next(10s);
    EXPECT_EQ(line.kind, Line::Kind::kLine);
    return line.kind == Line::Kind::kLine ? Json::parse(line.text) : Json::object();
  }
  Json ask(std::string_view text) {
    send(text);
    return next();
  }
  Json initialize(const std::string& version) {
    Json reply = ask(to_text({{"jsonrpc", "2.0"},
                              {"id", 0},
                              {"method", "initialize"},
                              {"params",
                               {{"protocolVersion", version},
                                {"capabilities", Json::object()},
                                {"clientInfo", {{"name", "old"}, {"version", "1"}}}}}}));
    send(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
    return reply;
  }
  Json call(Json id, const std::string& tool, Json arguments = Json::object(), Json meta = nullptr) {
    Json params = {{"name", tool}, {"arguments", std::move(arguments)}};
    if (!meta.is_null()) params["_meta"] = std::move(meta);
    return ask(to_text({{"jsonrpc", "2.0"}, {"id", std::move(id)}, {"method", "tools/call"}, {"params", params}}));
  }
  void hang_up() { ::shutdown(ours_.get(), SHUT_WR); }
  bool ended() { return reader_->next(10s).kind == Line::Kind::kEnd; }

 private:
  ToolServer server_;
  Descriptor ours_, theirs_;
  StopSignal stop_;
  std::optional<LineReader> reader_;
  std::thread thread_;
};

Json stateless_meta(Json more = Json::object()) {
  Json meta = {{kMetaVersion, kStatelessVersion},
               {kMetaClient, {{"name", "new"}, {"version", "2"}}},
               {kMetaCapabilities, Json::object()}};
  if (!more.is_null()) meta.update(more);
  return meta;
}

std::string stateless(const std::string& method, Json params = Json::object(), Json more = Json::object(), int id = 1) {
  params["_meta"] = stateless_meta(std::move(more));
  return to_text({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
}

int code(const Json& reply) { return reply.value("error", Json::object()).value("code", 0); }

TEST(ToolServer, InitializeAgreesOnAVersion) {
  for (const std::string_view version : kInitializeVersions) {
    Client client;
    const Json result = client.initialize(std::string(version))["result"];
    EXPECT_EQ(result["protocolVersion"], version);
    EXPECT_EQ(result["serverInfo"]["name"], "tester");
    EXPECT_TRUE(result["capabilities"].contains("tools"));
    EXPECT_EQ(result["instructions"], "Use it.");
    EXPECT_FALSE(result.contains("resultType"));
    const Json tool = client.ask(R"({"jsonrpc":"2.0","id":"a","method":"tools/list"})")["result"]["tools"][0];
    EXPECT_EQ(tool.contains("title"), version >= "2025-06-18");
    EXPECT_EQ(tool.contains("outputSchema"), version >= "2025-06-18");
    EXPECT_EQ(tool.contains("annotations"), version >= "2025-03-26");
    const Json called = client.call("b", "echo", {{"text", "hello"}})["result"];
    EXPECT_EQ(called["content"][0]["text"], R"({"text":"hello"})");
    EXPECT_EQ(called.contains("structuredContent"), version >= "2025-06-18");
    EXPECT_EQ(client.call(3, "who")["result"]["content"][0]["text"], "ann s1 old");
  }
  for (const char* unknown : {"2026-07-28", "2031-01-01", "1"}) {
    Client client;
    EXPECT_EQ(client.initialize(unknown)["result"]["protocolVersion"], "2025-11-25");
  }
}

TEST(ToolServer, NothingButPingComesBeforeInitialize) {
  Client client;
  EXPECT_EQ(client.ask(R"({"jsonrpc":"2.0","id":1,"method":"ping"})"),
            Json::parse(R"({"jsonrpc":"2.0","id":1,"result":{}})"));
  EXPECT_EQ(code(client.ask(R"({"jsonrpc":"2.0","id":2,"method":"tools/list"})")), kInvalidParams);
  EXPECT_EQ(code(client.ask(R"({"jsonrpc":"2.0","id":3,"method":"initialize","params":{}})")), kInvalidParams);
}

TEST(ToolServer, StatelessRequestsSayEverythingThemselves) {
  Client client;
  const Json discovered = client.ask(stateless("server/discover"))["result"];
  EXPECT_EQ(discovered["supportedVersions"], Json::array({"2026-07-28"}));
  EXPECT_EQ(discovered["resultType"], "complete");
  EXPECT_EQ(discovered["_meta"][kMetaServer]["version"], "1.0");
  EXPECT_GE(discovered["ttlMs"], 0);
  const Json listed = client.ask(stateless("tools/list"))["result"];
  EXPECT_EQ(listed["tools"].size(), 4u);
  EXPECT_EQ(listed["cacheScope"], "public");
  const Json called = client.ask(stateless("tools/call", {{"name", "who"}}))["result"];
  EXPECT_EQ(called["content"][0]["text"], "ann s1 new");
  EXPECT_EQ(called["resultType"], "complete");
  for (const char* removed : {"initialize", "ping", "logging/setLevel", "resources/subscribe"})
    EXPECT_EQ(code(client.ask(stateless(removed))), kMethodNotFound) << removed;
  const Json unsupported = client.ask(stateless("tools/list", {}, {{kMetaVersion, "2030-01-01"}}))["error"];
  EXPECT_EQ(unsupported["code"], kUnsupportedVersion);
  EXPECT_EQ(unsupported["data"], Json::parse(R"({"supported":["2026-07-28"],"requested":"2030-01-01"})"));
  EXPECT_EQ(code(client.ask(stateless("tools/list", {}, {{kMetaCapabilities, nullptr}}))), kInvalidParams);
  EXPECT_EQ(code(client.ask(stateless("tools/list", {}, {{kMetaLogLevel, "loud"}}))), kInvalidParams);
  EXPECT_EQ(code(client.ask(R"({"jsonrpc":"2.0","id":1,"method":"server/discover"})")), kInvalidParams);
}

TEST(ToolServer, BothErasShareAConnection) {
  Client client;
  client.initialize("2025-06-18");
  EXPECT_EQ(client.ask(stateless("tools/call", {{"name", "who"}}))["result"]["content"][0]["text"], "ann s1 new");
  EXPECT_EQ(client.call(2, "who")["result"]["content"][0]["text"], "ann s1 old");
}

TEST(ToolServer, ErrorsOfToolsAreForTheModelAndOthersForTheClient) {
  Client client;
  client.initialize("2025-11-25");
  Json result = client.call(1, "fail")["result"];
  EXPECT_EQ(result["isError"], true);
  EXPECT_EQ(result["content"][0]["text"], "there is a quota (come back tomorrow)");
  result = client.call(2, "echo", {{"text", "hello hello"}})["result"];
  EXPECT_EQ(result["isError"], true);
  EXPECT_EQ(result["content"][0]["text"], "arguments.text: should have at most 10 characters, not 11");
  const Json thrown = client.call(3, "fail", {{"how", "rpc"}})["error"];
  EXPECT_EQ(thrown["code"], kMissingClientCapability);
  EXPECT_EQ(thrown["data"]["requiredCapabilities"], 1);
  EXPECT_EQ(code(client.call(4, "fail", {{"how", "std"}})), kInternalError);
  EXPECT_EQ(code(client.call(5, "none")), kInvalidParams);
  EXPECT_EQ(code(client.call(6, "echo", Json::array())), kInvalidParams);
  EXPECT_EQ(code(client.ask(R"({"jsonrpc":"2.0","id":7,"method":"resources/list"})")), kMethodNotFound);
  EXPECT_EQ(code(client.ask(R"({"jsonrpc":"2.0","id":8,"method":"tools/list","params":{"cursor":"x"}})")),
            kInvalidParams);
}

TEST(ToolServer, BatchesBelongToOneVersion) {
  const std::string batch =
      R"([{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},)"
      R"({"jsonrpc":"2.0","id":2,"method":"none"},7,{"jsonrpc":"2.0","id":3,"method":"initialize"}])";
  Client client;
  EXPECT_EQ(code(client.ask(batch)), kInvalidRequest);
  client.initialize("2025-06-18");
  EXPECT_EQ(code(client.ask(batch)), kInvalidRequest);
  client.initialize("2025-03-26");
  const Json replies = client.ask(batch);
  ASSERT_EQ(replies.size(), 4u);
  EXPECT_EQ(replies[0]["result"], Json::object());
  EXPECT_EQ(code(replies[1]), kMethodNotFound);
  EXPECT_EQ(code(replies[2]), kInvalidRequest);
  EXPECT_EQ(code(replies[3]), kInvalidRequest);
  EXPECT_EQ(code(client.ask("[]")), kInvalidRequest);
}

TEST(ToolServer, ProgressAndLogsComeWhereTheyAreAskedFor) {
  Client client;
  client.initialize("2025-11-25");
  client.ask(R"({"jsonrpc":"2.0","id":9,"method":"logging/setLevel","params":{"level":"debug"}})");
  Json first = client.call(1, "work", Json::object(), {{"progressToken", "t"}});
  EXPECT_EQ(first["method"], "notifications/progress");
  EXPECT_EQ(first["params"], Json::parse(R"({"progressToken":"t","progress":1.0,"total":2.0,"message":"working"})"));
  EXPECT_EQ(client.next()["params"]["progress"], 2.0);  // 0.5 would not be an increase
  EXPECT_EQ(client.next()["params"]["level"], "debug");
  EXPECT_EQ(client.next()["params"]["data"], Json({{"odd", true}}));
  EXPECT_EQ(client.next()["result"]["content"][0]["text"], "done");
  EXPECT_EQ(code(client.ask(R"({"jsonrpc":"2.0","id":9,"method":"logging/setLevel","params":{"level":"x"}})")),
            kInvalidParams);
  client.ask(R"({"jsonrpc":"2.0","id":9,"method":"logging/setLevel","params":{"level":"emergency"}})");
  EXPECT_TRUE(client.call(2, "work").contains("result"));

  Client modern;
  EXPECT_TRUE(modern.ask(stateless("tools/call", {{"name", "work"}})).contains("result"));
  const Json logged = modern.ask(stateless("tools/call", {{"name", "work"}}, {{kMetaLogLevel, "info"}}));
  EXPECT_EQ(logged["params"]["level"], "warning");
}

TEST(ToolServer, CancelledCallsAreNotAnswered) {
  Client client;
  client.initialize("2025-11-25");
  client.send(R"({"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"work","arguments":{"long":true}}})");
  while (client.next().value("method", "") == "") {
  }
  EXPECT_EQ(code(client.call("x", "who")), kInvalidRequest);  // the id is taken
  client.send(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}})");
  client.send(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"nobody"}})");
  client.send(R"({"jsonrpc":"2.0","method":"notifications/cancelled"})");
  EXPECT_EQ(client.ask(R"({"jsonrpc":"2.0","id":2,"method":"ping"})")["id"], 2);
  client.hang_up();
  EXPECT_TRUE(client.ended());
}

TEST(ToolServer, SubscriptionsLastUntilTheEnd) {
  Client client({.calls = 2, .subscriptions = 2});
  const Json wanted = {{"notifications", {{"toolsListChanged", true}}}};
  const Json acknowledged = client.ask(stateless("subscriptions/listen", wanted, {}, 5));
  EXPECT_EQ(acknowledged["method"], "notifications/subscriptions/acknowledged");
  EXPECT_EQ(acknowledged["params"]["_meta"][kMetaSubscription], 5);
  EXPECT_EQ(acknowledged["params"]["notifications"], Json::object());
  EXPECT_EQ(client.ask(stateless("subscriptions/listen", wanted, {}, 6))["params"]["_meta"][kMetaSubscription], 6);
  EXPECT_EQ(code(client.ask(stateless("subscriptions/listen", wanted, {}, 7))), kInvalidRequest);
  EXPECT_EQ(code(client.ask(stateless("subscriptions/listen", {}, {}, 8))), kInvalidRequest);
  client.send(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}})");
  EXPECT_EQ(client.ask(stateless("server/discover", {}, {}, 9))["id"], 9);
  client.hang_up();  // a graceful end: the one that is left is answered
  const Json closed = client.next();
  EXPECT_EQ(closed["id"], 6);
  EXPECT_EQ(closed["result"]["_meta"][kMetaSubscription], 6);
  EXPECT_TRUE(client.ended());
}

TEST(ToolServer, WhatIsNoMessageIsAnsweredWithAnError) {
  Client client;
  const auto refused = [&](std::string_view text) { return code(client.ask(text)); };
  EXPECT_EQ(refused("{"), kParseError);
  EXPECT_EQ(refused("nonsense"), kParseError);
  EXPECT_EQ(refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}"), kParseError);
  EXPECT_EQ(refused(std::string("{\"a\":\"\0\"}", 9)), kParseError);
  EXPECT_EQ(refused(std::string(100'000, '[')), kParseError);
  EXPECT_EQ(refused("7"), kInvalidRequest);
  EXPECT_EQ(refused("{}"), kInvalidRequest);
  EXPECT_EQ(refused(R"({"jsonrpc":"1.0","id":1,"method":"ping"})"), kInvalidRequest);
  EXPECT_EQ(refused(R"({"jsonrpc":"2.0","id":null,"method":"ping"})"), kInvalidRequest);
  EXPECT_EQ(refused(R"({"jsonrpc":"2.0","id":{},"method":"ping"})"), kInvalidRequest);
  EXPECT_EQ(refused(R"({"jsonrpc":"2.0","id":1,"method":7})"), kInvalidRequest);
  EXPECT_EQ(refused(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":[]})"), kInvalidParams);
  EXPECT_EQ(refused(std::string(kMaxMessageBytes + 1, ' ')), kInvalidRequest);
  const Json known = client.ask(R"({"jsonrpc":"1.0","id":17,"method":"ping"})");
  EXPECT_EQ(known["id"], 17);
  client.send(R"({"jsonrpc":"2.0","method":"notifications/x","params":7})");  // a notification is never answered
  client.send(R"({"jsonrpc":"2.0","id":4,"result":{}})");
  client.send("\r");
  client.send("");
  EXPECT_EQ(client.ask("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\r")["id"], 2);
  const std::string large(kMaxMessageBytes - 200, 'x');  // just fits
  EXPECT_EQ(code(client.ask(to_text({{"jsonrpc", "2.0"}, {"id", 3}, {"method", large}}))), kInvalidParams);
}

TEST(ToolServer, WhatIsUnderWayIsAnsweredBeforeTheEnd) {
  Client client;
  client.initialize("2025-11-25");
  client.send(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"work"}})");
  client.hang_up();
  Json reply = client.next();
  while (reply.contains("method")) reply = client.next();
  EXPECT_EQ(reply["id"], 1);
  EXPECT_TRUE(client.ended());
}

TEST(ToolServer, ManyCallsAtOnceAreAllAnswered) {
  Client client({.calls = 3});
  client.initialize("2025-11-25");
  for (int i = 1; i <= 200; ++i)
    client.send(to_text({{"jsonrpc", "2.0"}, {"id", i}, {"method", "tools/call"}, {"params", {{"name", "who"}}}}));
  std::set<int> ids;
  for (int i = 1; i <= 200; ++i) ids.insert(client.next()["id"].get<int>());
  EXPECT_EQ(ids.size(), 200u);
}

TEST(SchemaCheck, NamesWhatIsWrong) {
  const Json schema =
      Json::parse(R"({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
    "a": {"type": "integer", "minimum": 1, "maximum": 5}, "b": {"type": "array", "maxItems": 2, "items": {"enum": ["x", "y"]}},
    "c": {"type": ["string", "null"], "minLength": 2}, "d": {"type": "object", "additionalProperties": {"type": "boolean"}}}})");
  const auto fault = [&](const char* text) { return schema_fault(Json::parse(text), schema, "arguments"); };
  EXPECT_EQ(fault(R"({"a": 5, "b": ["x", "y"], "c": null, "d": {"e": true}})"), "");
  EXPECT_EQ(fault(R"({"a": 5.0, "c": "üü"})"), "");
  EXPECT_EQ(fault("[]"), "arguments: should be of type object");
  EXPECT_EQ(fault("{}"), "arguments: 'a' is missing");
  EXPECT_EQ(fault(R"({"a": 1.5})"), "arguments.a: should be of type integer");
  EXPECT_EQ(fault(R"({"a": 0})"), "arguments.a: should be at least 1");
  EXPECT_EQ(fault(R"({"a": 6})"), "arguments.a: should be at most 5");
  EXPECT_EQ(fault(R"({"a": 1, "b": ["x", "z"]})"), R"(arguments.b[1]: should be one of ["x","y"])");
  EXPECT_EQ(fault(R"({"a": 1, "b": ["x", "x", "x"]})"), "arguments.b: should have at most 2 items, not 3");
  EXPECT_EQ(fault(R"({"a": 1, "c": "ü"})"), "arguments.c: should have at least 2 characters");
  EXPECT_EQ(fault(R"({"a": 1, "c": 7})"), "arguments.c: should be of type string or null");
  EXPECT_EQ(fault(R"({"a": 1, "d": {"e": 1}})"), "arguments.d.e: should be of type boolean");
  EXPECT_EQ(fault(R"({"a": 1, "x": 1})"), "arguments.x: is not known");
}

}  // namespace
}  // namespace fieldprint::mcp
