// Any bytes as an answer, in every format of tool calls: what is kept is what was written, in order, and a call's
// arguments are a JSON object.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "chat/tool_format.h"
#include "fieldprint/json.h"

namespace {

using namespace fieldprint;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const ToolFormat* format : tool_formats()) {
    for (const bool thinking : {false, true}) {
      ReplyOptions options;
      options.tools = R"([{"name":"f","parameters":{"properties":{"i":{"type":"integer"},"s":{"type":"string"}}}}])";
      options.thinks = options.thinking = thinking;
      const Reply reply = parse_reply(text, format->name, options);
      std::string kept;
      size_t done = 0;
      for (const TextRange& range : reply.kept) {
        require(range.begin >= done && range.begin < range.end && range.end <= size);
        kept += text.substr(range.begin, range.end - range.begin);
        done = range.end;
      }
      require(kept == reply.content);
      for (const ToolCall& call : reply.calls) {
        require(call.arguments.starts_with('{'));
        check_json(call.arguments);
      }
    }
  }
  return 0;
}
