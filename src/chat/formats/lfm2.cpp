// LFM2: <|tool_call_start|>[name(arg="v")]<|tool_call_end|>, Python's syntax, or JSON between the same marks.
#include "chat/python_literal.h"
#include "chat/tool_format.h"

namespace fieldprint::formats {

static std::vector<ToolCall> calls_of(std::string_view text) {
  const std::string_view begin = text.substr(std::min(text.find_first_not_of(" \t\r\n["), text.size()));
  if (begin.starts_with('{')) return json_calls(text);
  try {
    return parse_python_calls(text);
  } catch (const PythonRefusal& refusal) {
    throw CallRefusal(refusal.what());
  }
}

extern const ToolFormat kLfm2;
const ToolFormat kLfm2 = {"lfm2",
                          [](std::string_view source) {
                            return source.find("<|tool_call_start|>") != source.npos ||
                                   source.find("<|tool_list_start|>") != source.npos ||
                                   source.find("List of tools: ") != source.npos;  // LFM2.5 says no more
                          },
                          [](std::string_view text, const ReplyOptions& options, Reply& reply) {
                            read_marked(text, "<|tool_call_start|>", "<|tool_call_end|>", calls_of, options, reply);
                          }};

}  // namespace fieldprint::formats
