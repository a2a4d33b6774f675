// Answers taken apart: reasoning, tool calls, content.
#include <algorithm>

#include "chat/tool_format.h"

namespace fieldprint {

std::string_view tool_call_format(const ChatTemplate& chat_template) {
  for (const ToolFormat* format : tool_formats()) {
    if (format->fits(chat_template.source())) return format->name;
  }
  return {};
}

Reply parse_reply(std::string_view text, std::string_view name, const ReplyOptions& options) {
  constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>";
  Reply reply;
  size_t begin = 0;
  if (options.thinks) {
    const size_t first = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    const bool says = text.substr(first).starts_with(kThink);
    if (says || options.thinking) {
      const size_t inside = says ? first + kThink.size() : 0;
      const size_t end = std::min(text.find(kThinkEnd, inside), text.size());  // an answer may stop while it thinks
      reply.reasoning = trimmed(text.substr(inside, end - inside));
      begin = std::min(end + kThinkEnd.size(), text.size());
      begin = std::min(text.find_first_not_of("\r\n", begin), text.size());
    }
  }
  const std::string_view answer = text.substr(begin);
  const auto& all = tool_formats();
  const auto format = std::find_if(all.begin(), all.end(), [&](const ToolFormat* f) { return f->name == name; });
  ReplyOptions inside = options;
  if (options.is_mark) inside.is_mark = [&](size_t at) { return options.is_mark(begin + at); };
  if (format != all.end()) (*format)->read(answer, inside, reply);
  else keep_content(reply, answer, 0, answer.size());
  for (TextRange& range : reply.kept) range = {range.begin + begin, range.end + begin};
  return reply;
}

}  // namespace fieldprint
