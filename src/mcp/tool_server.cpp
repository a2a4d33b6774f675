#include "mcp/tool_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <new>

#include "fieldprint/error.h"
#include "mcp/schema_check.h"

namespace fieldprint::mcp {
namespace {

constexpr std::array<std::string_view, 8> kLogLevels = {"debug", "info",     "notice", "warning",
                                                        "error", "critical", "alert",  "emergency"};
constexpr int64_t kListMilliseconds =
    3600'000;  // for which a client may keep the list of tools: it changes with the program

// -1: not a level.
ptrdiff_t level_rank(std::string_view level) {
  const auto found = std::find(kLogLevels.begin(), kLogLevels.end(), level);
  return found == kLogLevels.end() ? -1 : found - kLogLevels.begin();
}

std::string string_member(const Json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json object_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_object() ? *found : Json::object();
}

class RunningCall final : public ToolContext {
 public:
  RunningCall(const Peer& peer, const Call& call, const ToolServer::Notify& notify, const Json& meta)
      : peer_(peer), call_(call), notify_(notify) {
    const auto token = meta.find("progressToken");
    if (token != meta.end() && (token->is_string() || token->is_number_integer())) token_ = *token;
  }

  const std::string& principal() const override { return peer_.principal(); }
  const std::string& session() const override { return peer_.session(); }
  const std::string& client() const override { return client_; }
  const Json& client_capabilities() const override { return capabilities_; }
  bool cancelled() const override { return call_.cancelled(); }

  void progress(double done, std::optional<double> total, const std::string& message) override {
    if (token_.is_null() || call_.cancelled() || (last_ && !(done > *last_))) return;  // it has to increase
    last_ = done;
    Json params = {{"progressToken", token_}, {"progress", done}};
    if (total) params["total"] = *total;
    if (!message.empty()) params["message"] = message;
    notify_(notification("notifications/progress", std::move(params)));
  }

  void log(const std::string& level, const Json& data) override {
    if (least_ < 0 || level_rank(level) < least_ || call_.cancelled()) return;
    notify_(notification("notifications/message", {{"level", level}, {"data", data}}));
  }

  void be(std::string client, Json capabilities, ptrdiff_t least) {
    client_ = std::move(client);
    capabilities_ = std::move(capabilities);
    least_ = least;
  }

 private:
  const Peer& peer_;
  const Call& call_;
  const ToolServer::Notify& notify_;
  Json token_ = nullptr, capabilities_ = Json::object();
  std::string client_;
  std::optional<double> last_;
  ptrdiff_t least_ = -1;  // of log levels; -1: nothing is sent
};

}  // namespace

ToolServer::ToolServer(ServerOptions options) : options_(std::move(options)) {}

Era ToolServer::era_of(const Message& request, const Peer& peer) {
  const auto meta = request.params.find("_meta");
  if (meta != request.params.end() && meta->is_object() && meta->contains(kMetaVersion)) return Era::kStateless;
  if (request.method == "server/discover") return Era::kStateless;
  if (!peer.agreed().version.empty() || request.method == "initialize" || request.method == "ping")
    return Era::kInitialize;
  throw RpcError(kInvalidParams,
                 fmt::format("the request says no protocol version: send initialize first, or {} in _meta (this server "
                             "speaks {} and, after initialize, {} and older)",
                             kMetaVersion, kStatelessVersion, kInitializeVersions[0]));
}

void ToolServer::check_meta(const Message& request) {
  const auto meta = request.params.find("_meta");
  if (meta == request.params.end() || !meta->is_object())
    throw RpcError(kInvalidParams,
                   "params._meta is missing: it says the protocol version and the client's capabilities");
  const auto version = meta->find(kMetaVersion), capabilities = meta->find(kMetaCapabilities);
  if (version == meta->end() || !version->is_string())
    throw RpcError(kInvalidParams, fmt::format("params._meta has no {}", kMetaVersion));
  if (*version != kStatelessVersion)
    throw RpcError(kUnsupportedVersion, "Unsupported protocol version",
                   {{"supported", Json::array({kStatelessVersion})}, {"requested", *version}});
  if (capabilities == meta->end() || !capabilities->is_object())
    throw RpcError(kInvalidParams, fmt::format("params._meta has no {}", kMetaCapabilities));
  const auto level = meta->find(kMetaLogLevel);
  if (level != meta->end() && (!level->is_string() || level_rank(level->get<std::string>()) < 0))
    throw RpcError(kInvalidParams, fmt::format("{} is no log level", to_text(*level)));
}

std::optional<Json> ToolServer::answer(const Message& request, Era era, Peer& peer, Call& call,
                                       const Notify& notify) const {
  const auto failed = [&](const RpcError& error) { return error_reply(request.id, error); };
  std::optional<Json> reply;
  try {
    Json result =
        era == Era::kStateless ? stateless(request, peer, call, notify) : initialized(request, peer, call, notify);
    reply = result_reply(request.id, std::move(result));
  } catch (const RpcError& error) {
    reply = failed(error);
  } catch (const Error& error) {
    reply = failed(RpcError(kInternalError, error.what()));
  } catch (const std::bad_alloc&) {
    reply = failed(RpcError(kInternalError, "there is not enough memory for this request"));
  } catch (const std::exception& error) {
    reply = failed(RpcError(kInternalError, error.what()));
  }
  return call.cancelled() ? std::nullopt : std::move(reply);
}

Json ToolServer::answer_batch(const Json& batch, Peer& peer, const Notify& notify) const {
  if (peer.agreed().version != kBatchVersion)
    throw RpcError(kInvalidRequest, "this version of the protocol has no batches: send one message at a time");
  if (batch.empty()) throw RpcError(kInvalidRequest, "the batch is empty");
  Json replies = Json::array();
  for (const Json& each : batch) {
    try {
      const Message message = message_from(each);
      if (message.method == "initialize") throw RpcError(kInvalidRequest, "initialize is no part of a batch");
      if (message.kind == Message::Kind::kNotification) take_note(message, peer);
      if (message.kind != Message::Kind::kRequest) continue;
      const auto call = peer.begin(message.id);
      auto reply = answer(message, Era::kInitialize, peer, *call, notify);
      peer.end(message.id);
      if (reply) replies.push_back(std::move(*reply));
    } catch (const RpcError& error) {
      if (!is_notification(each)) replies.push_back(error_reply(id_of(each), error));
    }
  }
  return replies;
}

bool ToolServer::takes_long(const Message& request) {
  return request.method == "tools/call" || request.method == "subscriptions/listen";
}

void ToolServer::take_note(const Message& notification, Peer& peer) const {
  if (notification.method != "notifications/cancelled") return;
  if (const auto id = notification.params.find("requestId"); id != notification.params.end()) peer.cancel(*id);
}

const Tool* ToolServer::find(std::string_view name) const {
  const auto found =
      std::find_if(options_.tools.begin(), options_.tools.end(), [&](const Tool& tool) { return tool.name == name; });
  return found == options_.tools.end() ? nullptr : &*found;
}

Json ToolServer::stateless(const Message& request, Peer& peer, Call& call, const Notify& notify) const {
  check_meta(request);
  const Json& meta = request.params.at("_meta");
  Json result;
  if (request.method == "server/discover") {
    result = {{"supportedVersions", Json::array({kStatelessVersion})}, {"capabilities", capabilities()}};
    if (!options_.instructions.empty()) result["instructions"] = options_.instructions;
    result.update({{"ttlMs", kListMilliseconds}, {"cacheScope", "public"}});
  } else if (request.method == "tools/list") {
    result = list_tools(request.params, kStatelessVersion);
    result.update({{"ttlMs", kListMilliseconds}, {"cacheScope", "public"}});
  } else if (request.method == "tools/call") {
    RunningCall context(peer, call, notify, meta);
    context.be(string_member(object_member(meta, kMetaClient), "name"), meta.at(kMetaCapabilities),
               level_rank(string_member(meta, kMetaLogLevel)));
    result = call_tool(request.params, context, kStatelessVersion);
  } else if (request.method == "subscriptions/listen") {
    if (!request.params.contains("notifications") || !request.params["notifications"].is_object())
      throw RpcError(kInvalidParams, "params.notifications has to be an object");
    // Nothing here ever changes: of what the client would like to hear about nothing is agreed to.
    notify(notification("notifications/subscriptions/acknowledged",
                        {{"_meta", {{kMetaSubscription, request.id}}}, {"notifications", Json::object()}}));
    while (!call.wait_for(std::chrono::hours(1))) {
    }
    result = {{"_meta", {{kMetaSubscription, request.id}}}};
  } else {
    throw RpcError(kMethodNotFound, fmt::format("Method not found: {}", request.method));
  }
  result["resultType"] = "complete";
  result["_meta"][kMetaServer] = identity();
  return result;
}

Json ToolServer::initialized(const Message& request, Peer& peer, Call& call, const Notify& notify) const {
  const Json& params = request.params;
  if (request.method == "ping") return Json::object();
  if (request.method == "initialize") {
    const std::string wanted = string_member(params, "protocolVersion");
    if (wanted.empty()) throw RpcError(kInvalidParams, "params.protocolVersion has to be a string");
    const auto spoken = std::find(std::begin(kInitializeVersions), std::end(kInitializeVersions), wanted);
    const std::string version(spoken == std::end(kInitializeVersions) ? kInitializeVersions[0] : *spoken);
    peer.agree(version, string_member(object_member(params, "clientInfo"), "name"),
               object_member(params, "capabilities"));
    Json result = {{"protocolVersion", version}, {"capabilities", capabilities()}, {"serverInfo", identity()}};
    if (!options_.instructions.empty()) result["instructions"] = options_.instructions;
    return result;
  }
  const Peer::Agreed agreed = peer.agreed();
  if (agreed.version.empty()) throw RpcError(kInvalidRequest, "initialize comes first");
  if (request.method == "tools/list") return list_tools(params, agreed.version);
  if (request.method == "tools/call") {
    RunningCall context(peer, call, notify, object_member(params, "_meta"));
    context.be(agreed.client, agreed.capabilities, options_.logging ? level_rank(agreed.log_level) : -1);
    return call_tool(params, context, agreed.version);
  }
  if (request.method == "logging/setLevel" && options_.logging) {
    const std::string level = string_member(params, "level");
    if (level_rank(level) < 0) throw RpcError(kInvalidParams, fmt::format("'{}' is no log level", level));
    peer.set_log_level(level);
    return Json::object();
  }
  throw RpcError(kMethodNotFound, fmt::format("Method not found: {}", request.method));
}

Json ToolServer::list_tools(const Json& params, std::string_view version) const {
  if (const auto cursor = params.find("cursor"); cursor != params.end() && !cursor->is_null())
    throw RpcError(kInvalidParams, "there is no such page of the list");  // it has one
  Json tools = Json::array();
  for (const Tool& tool : options_.tools) {
    Json entry = {{"name", tool.name}};
    if (version >= "2025-06-18" && !tool.title.empty()) entry["title"] = tool.title;
    entry["description"] = tool.description;
    entry["inputSchema"] = tool.input_schema;
    if (version >= "2025-06-18" && !tool.output_schema.is_null()) entry["outputSchema"] = tool.output_schema;
    if (version >= "2025-03-26" && !tool.annotations.is_null()) entry["annotations"] = tool.annotations;
    tools.push_back(std::move(entry));
  }
  return {{"tools", std::move(tools)}};
}

Json ToolServer::call_tool(const Json& params, ToolContext& context, std::string_view version) const {
  const std::string name = string_member(params, "name");
  const Tool* tool = find(name);
  if (tool == nullptr) throw RpcError(kInvalidParams, fmt::format("Unknown tool: {}", name));
  const auto given = params.find("arguments");
  const Json arguments = given == params.end() || given->is_null() ? Json::object() : *given;
  if (!arguments.is_object()) throw RpcError(kInvalidParams, "params.arguments has to be an object");
  ToolResult result;
  if (const std::string fault = schema_fault(arguments, tool->input_schema, "arguments"); !fault.empty()) {
    result = {.text = fault, .is_error = true};
  } else {
    try {
      result = tool->handler(arguments, context);
    } catch (const Error& error) {
      result = {
          .text = error.hint().empty() ? std::string(error.what()) : fmt::format("{} ({})", error.what(), error.hint()),
          .is_error = true};
    }
  }
  if (result.content.is_null()) {
    const bool as_json = result.text.empty() && !result.structured.is_null();
    result.content = Json::array({{{"type", "text"}, {"text", as_json ? to_text(result.structured) : result.text}}});
  }
  Json reply = {{"content", std::move(result.content)}};
  if (version >= "2025-06-18" && !result.structured.is_null())
    reply["structuredContent"] = std::move(result.structured);
  reply["isError"] = result.is_error;
  return reply;
}

Json ToolServer::identity() const {
  Json identity = {{"name", options_.name}};
  if (!options_.title.empty()) identity["title"] = options_.title;
  identity["version"] = options_.version;
  return identity;
}

Json ToolServer::capabilities() const {
  Json capabilities = {{"tools", Json::object()}};
  if (options_.logging) capabilities["logging"] = Json::object();
  return capabilities;
}

}  // namespace fieldprint::mcp
