// The stdio transport: a peer's messages, one a line, on a pair of descriptors or on a socket.
// https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/stdio
#pragma once

#include <cstddef>

#include "mcp/lines.h"
#include "mcp/tool_server.h"

namespace fieldprint::mcp {

struct StreamLimits {
  size_t calls = 32;         // tool calls at once; further messages wait
  size_t subscriptions = 8;  // at once; further ones are refused
};

// Answers until the input ends: then what is under way is finished first. Where the client does not take its answers
// any more, what is under way is cancelled. Tool calls have threads of their own and are answered as they are done;
// everything else is answered in its order.
void serve_stream(const ToolServer& server, Peer& peer, LineReader& reader, LineWriter& writer,
                  const StreamLimits& limits = {});

}  // namespace fieldprint::mcp
