// What is said on the daemon's socket before and beside MCP: one JSON object a line.
//
//   the client's first line: {"role": "mcp" | "call", "version": 1, "principal"?, "session"?, "adapter"?}
//   the daemon's: {"role", "version"}, or {"error"} and the end
//   mcp: MCP's messages from there on, both ways
//   call: {"id", "method", "params"} -> {"id", "result"} or {"id", "error": {"kind", "message", "hint"?}}, in order
#pragma once

#include <string>
#include <string_view>

#include "fieldprint/error.h"
#include "fieldprint/memory_calls.h"
#include "mcp/rpc.h"

namespace fieldprint::mcp {

inline constexpr int kWireVersion = 1;

struct Hello {
  std::string role;
  MemoryCaller caller = {};
};

std::string hello_text(const Hello& hello);
// Throws Error kBadInput for what is none, kUnsupported for another version.
Hello hello_from(std::string_view text);
std::string greeting_text(const Hello& hello);

// Throws Error kBadInput for what is no JSON.
Json json_from(std::string_view text);

Json error_json(const Error& error);
Error error_from(const Json& json);

}  // namespace fieldprint::mcp
