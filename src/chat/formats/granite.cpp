// Granite 3: <|tool_call|>[{"name": ..., "arguments": {...}}, ...] to the end of the answer.
#include "chat/tool_format.h"

namespace fieldprint::formats {

extern const ToolFormat kGranite;
const ToolFormat kGranite = {
    "granite",
    [](std::string_view source) { return source.find("<|tool_call|>") != source.npos; },
    [](std::string_view text, const ReplyOptions& options, Reply& reply) {
      read_marked(text, "<|tool_call|>", "<|end_of_text|>", json_calls, options, reply);
    },
    [](std::string_view text, const ReplyOptions& options) {
      return partial_marked(text, "<|tool_call|>", "<|end_of_text|>", json_calls, partial_json_calls, options);
    },
    [](const CallRules& rules) { return marked_answer(rules, "<|tool_call|>", json_call_list_grammar(rules), ""); },
    calls_text,
    "<|tool_call|>"};

}  // namespace fieldprint::formats
