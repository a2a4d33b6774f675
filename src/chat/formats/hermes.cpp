// Hermes, Qwen 2.5 and 3, Granite 4: <tool_call>{"name": ..., "arguments": {...}}</tool_call>, one call a block.
#include "chat/tool_format.h"

namespace fieldprint::formats {

extern const ToolFormat kHermes;
const ToolFormat kHermes = {"hermes",
                            [](std::string_view source) {  // GLM has other things between these marks
                              return source.find("<tool_call>") != source.npos &&
                                     source.find("<arg_key>") == source.npos;
                            },
                            [](std::string_view text, const ReplyOptions& options, Reply& reply) {
                              read_marked(text, "<tool_call>", "</tool_call>", json_calls, options, reply);
                            }};

}  // namespace fieldprint::formats
