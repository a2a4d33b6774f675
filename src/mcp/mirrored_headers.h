// The headers in which a request of 2026-07-28 says again, for whatever stands between client and server, what its body
// says. Where the two differ, somebody in between decided on something that is not what is done: such requests are
// refused. https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#request-metadata
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mcp/tool_server.h"
#include "server/http.h"

namespace fieldprint::mcp {

// Throws RpcError kHeaderMismatch, or what ToolServer::check_meta() throws.
void check_headers(const server::HttpRequest& http, const Message& request, const ToolServer& server);

// What stands in =?base64?...?=, or the value as it is; none where the base64 is wrong.
std::optional<std::string> decoded_header(std::string_view value);

}  // namespace fieldprint::mcp
