// Hermes, Qwen 2.5 and 3, Granite 4: <tool_call>{"name": ..., "arguments": {...}}</tool_call>, one call a block.
// Qwen2.5-Coder leaves the marks out as a rule: its whole answer is the JSON, bare, in a fence for code or in <tools>.
#include "chat/tool_format.h"

namespace fieldprint::formats {

// What stands in the fence or the tags that are all of `text`; `text` where it has none.
static std::string_view unwrapped(std::string_view text) {
  constexpr std::string_view kWrappings[][2] = {{"```json", "```"}, {"```", "```"}, {"<tools>", "</tools>"}};
  for (const auto& [begin, end] : kWrappings) {
    if (text.starts_with(begin) && text.ends_with(end) && text.size() >= begin.size() + end.size())
      return trimmed(text.substr(begin.size(), text.size() - begin.size() - end.size()));
  }
  return text;
}

static void read(std::string_view text, const ReplyOptions& options, Reply& reply) {
  constexpr std::string_view kBegin = "<tool_call>", kEnd = "</tool_call>";
  const std::string_view bare = unwrapped(trimmed(text));
  if (find_mark(text, kBegin, 0, options) != text.npos || (!bare.starts_with('{') && !bare.starts_with('[')))
    return read_marked(text, kBegin, kEnd, json_calls, options, reply);
  try {
    reply.calls = bare_calls(bare, options.tools);
  } catch (const CallRefusal& refusal) {
    keep_content(reply, text, 0, text.size());
    const bool meant = text.find("\"name\"") != text.npos && text.find("\"arguments\"") != text.npos;
    if (meant) reply.refusals.emplace_back(refusal.what());
  }
}

static PartialReply partial(std::string_view text, const ReplyOptions& options) {
  constexpr std::string_view kBegin = "<tool_call>", kEnd = "</tool_call>";
  PartialReply reply = partial_marked(text, kBegin, kEnd, json_calls, partial_json_calls, options);
  const std::string_view start = text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  // All of it may turn out to be a bare call.
  const bool bare = start.empty() || start[0] == '{' || start[0] == '[' || start[0] == '`' || start[0] == '<';
  if (bare && reply.settled == 0 && find_mark(text, kBegin, 0, options) == text.npos) reply.content = {};
  return reply;
}

static GrammarPtr grammar(const CallRules& rules) {
  const GrammarPtr newline = maybe(word("\n"));
  return marked_answer(rules, "<tool_call>",
                       in_order({newline, json_call_grammar(rules), newline, word("</tool_call>")}), "\n");
}

static std::string write(const std::vector<ToolCall>& calls) {
  std::string text;
  for (const ToolCall& call : calls) {
    const std::string list = calls_text({call});
    text += (text.empty() ? "" : "\n</tool_call>\n<tool_call>\n") + list.substr(1, list.size() - 2);
  }
  return text;
}

extern const ToolFormat kHermes;
const ToolFormat kHermes = {"hermes",
                            [](std::string_view source) {  // GLM has other things between these marks
                              return source.find("<tool_call>") != source.npos &&
                                     source.find("<arg_key>") == source.npos;
                            },
                            read,
                            partial,
                            grammar,
                            write,
                            "<tool_call>\n",
                            "\n</tool_call>"};

}  // namespace fieldprint::formats
