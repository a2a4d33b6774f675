// The memory as MCP tools: six, each a call of fieldprint/memory_calls.h. None endorses, releases or changes keys: what
// a model can ask for through them is to be remembered, recalled, shown and lowered, never to be raised.
#pragma once

#include <string>

#include "fieldprint/memory_calls.h"
#include "mcp/tool_server.h"

namespace fieldprint::mcp {

// `calls` outlives what is made of it. `version`: of the program, as clients are told it.
ServerOptions memory_tools(MemoryCalls& calls, const std::string& version);

// What `recall` gave, as a model reads it: each text in the quotes of JSON, which nothing in it can close.
std::string quoted_records(const Json& recalled);

// The adapter of a client: "mcp:" and its name in characters that are plain everywhere.
std::string mcp_adapter(const std::string& client);

}  // namespace fieldprint::mcp
