// What a server of tools answers, in both eras of the protocol, whatever carries the messages:
// - stateless (2026-07-28): each request says its version and who asks in `_meta`; server/discover, tools/list,
//   tools/call, subscriptions/listen.
// - `initialize` (2024-11-05 to 2025-11-25): a handshake first; ping, tools/list, tools/call, logging/setLevel.
// https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mcp/peer.h"
#include "mcp/rpc.h"
#include "mcp/tool.h"

namespace fieldprint::mcp {

inline constexpr std::string_view kStatelessVersion = "2026-07-28";
inline constexpr std::string_view kInitializeVersions[] = {"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};
inline constexpr std::string_view kBatchVersion = "2025-03-26";  // the only one with batches

// Keys of `_meta`.
inline constexpr const char* kMetaVersion = "io.modelcontextprotocol/protocolVersion";
inline constexpr const char* kMetaClient = "io.modelcontextprotocol/clientInfo";
inline constexpr const char* kMetaCapabilities = "io.modelcontextprotocol/clientCapabilities";
inline constexpr const char* kMetaLogLevel = "io.modelcontextprotocol/logLevel";
inline constexpr const char* kMetaServer = "io.modelcontextprotocol/serverInfo";
inline constexpr const char* kMetaSubscription = "io.modelcontextprotocol/subscriptionId";

struct ServerOptions {
  std::string name, title, version;
  std::string instructions;  // for the model: how to use the tools
  std::vector<Tool> tools;   // in the order that they are listed in
  bool logging = false;      // tools call ToolContext::log()
};

enum class Era { kStateless, kInitialize };

// Immutable: any thread, for any number of peers.
class ToolServer {
 public:
  using Notify = std::function<void(const Json& notification)>;  // to the client that asked; must not throw

  explicit ToolServer(ServerOptions options);

  // On a channel that both eras share. Throws RpcError kInvalidParams for a request that belongs to neither: without a
  // version, before `initialize`.
  static Era era_of(const Message& request, const Peer& peer);

  // Throws RpcError for a stateless request without what its `_meta` has to say (kInvalidParams), or of a version that
  // is not spoken here (kUnsupportedVersion). answer() checks it too.
  static void check_meta(const Message& request);

  // The reply to a request; none where it was cancelled. May take as long as the tool does. Does not throw.
  std::optional<Json> answer(const Message& request, Era era, Peer& peer, Call& call, const Notify& notify) const;

  // Whether its answer may take long, so that others should not wait for it.
  static bool takes_long(const Message& request);

  // A notification of the client's. What is not known is ignored.
  void take_note(const Message& notification, Peer& peer) const;

  // The replies to a batch, in its order; empty where it asks nothing. Throws RpcError kInvalidRequest where the peer's
  // version has no batches.
  Json answer_batch(const Json& batch, Peer& peer, const Notify& notify) const;

  const Tool* find(std::string_view name) const;  // null: there is none

 private:
  Json stateless(const Message& request, Peer& peer, Call& call, const Notify& notify) const;
  Json initialized(const Message& request, Peer& peer, Call& call, const Notify& notify) const;
  Json call_tool(const Json& params, ToolContext& context, std::string_view version) const;
  Json list_tools(const Json& params, std::string_view version) const;
  Json identity() const;
  Json capabilities() const;

  ServerOptions options_;
};

}  // namespace fieldprint::mcp
