// A tool as a server offers it: a row of a table.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "mcp/rpc.h"

namespace fieldprint::mcp {

// Who calls, and how to speak to it while the call runs. Belongs to the call's thread; any of its functions may be
// called from it at any time.
class ToolContext {
 public:
  virtual ~ToolContext() = default;

  virtual const std::string& principal() const = 0;  // as the transport knows it, never from the message
  virtual const std::string& session() const = 0;    // the conversation, as far as there is one
  virtual const std::string& client() const = 0;     // the name that it gives itself; "" where it gives none
  virtual const Json& client_capabilities() const = 0;

  virtual bool cancelled() const = 0;  // nobody waits for the result any more
  // Are sent only where the client asked for them.
  virtual void progress(double done, std::optional<double> total, const std::string& message) = 0;
  virtual void log(const std::string& level, const Json& data) = 0;  // level: "debug", "info" ... "emergency"
};

struct ToolResult {
  std::string text = {};      // one block of text; where it is empty and there is `structured`, that as text
  Json structured = nullptr;  // of the output schema; null: none
  bool is_error = false;      // for the model to read and mend
  Json content = nullptr;     // blocks in place of `text`, where it takes others than text
};

struct Tool {
  std::string name = {}, title = {}, description = {};
  Json input_schema = {};  // of an object; what does not fit it never reaches the handler
  Json output_schema = nullptr;
  Json annotations = nullptr;  // readOnlyHint, destructiveHint, idempotentHint, openWorldHint
  // May run on several threads at once. Throws fieldprint::Error, which the model is told as a result that is an error,
  // or RpcError, which the client is told.
  std::function<ToolResult(const Json& arguments, ToolContext& context)> handler = {};
};

}  // namespace fieldprint::mcp
