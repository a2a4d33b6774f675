// Llama 3: the whole answer is {"name": ..., "parameters": {...}}, perhaps behind <|python_tag|>, several with ;
// between. There is no mark, so only functions that the model was given are called; any other JSON is an answer.
#include "chat/tool_format.h"

namespace fieldprint::formats {

static void read(std::string_view text, const ReplyOptions& options, Reply& reply) {
  constexpr std::string_view kTag = "<|python_tag|>";
  std::string_view rest = trimmed(text);
  const bool tagged = rest.starts_with(kTag);
  if (tagged) rest = trimmed(rest.substr(kTag.size()));
  if (!tagged && !rest.starts_with('{') && !rest.starts_with('[')) return keep_content(reply, text, 0, text.size());
  try {
    const std::vector<ToolCall> calls = bare_calls(rest, options.tools);
    reply.calls.insert(reply.calls.end(), calls.begin(), calls.end());
  } catch (const CallRefusal& refusal) {
    keep_content(reply, text, 0, text.size());
    const bool meant = tagged || (text.find("\"name\"") != text.npos && text.find("\"parameters\"") != text.npos);
    if (meant) reply.refusals.emplace_back(refusal.what());
  }
}

static PartialReply partial(std::string_view text, const ReplyOptions& options) {
  constexpr std::string_view kTag = "<|python_tag|>";
  PartialReply reply;
  std::string_view rest = text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  const bool tagged = rest.starts_with(kTag);
  if (tagged) rest.remove_prefix(kTag.size());
  if (!tagged && !rest.empty() && held_back(rest, kTag) < rest.size() && rest[0] != '{' && rest[0] != '[')
    reply.content = {0, text.size()};
  else if (options.valid_calls) reply.calls = partial_json_calls(rest);
  return reply;
}

// There is no mark: an answer that begins like a call is calls, and nothing else.
static GrammarPtr grammar(const CallRules& rules) {
  const GrammarPtr calls =
      in_order({maybe(word("<|python_tag|>")), listed(json_call_grammar(rules, "parameters"), "; ", rules.parallel)});
  if (rules.required) return calls;
  return one_of({calls, maybe(Grammar::from_regex(R"([^{\[<\s][\s\S]*)"))});
}

extern const ToolFormat kLlama3;
const ToolFormat kLlama3 = {"llama3",
                            [](std::string_view source) {
                              return source.find(R"({"name": function name, "parameters": dictionary)") != source.npos;
                            },
                            read, partial, grammar};

}  // namespace fieldprint::formats
