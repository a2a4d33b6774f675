// gpt-oss, https://cookbook.openai.com/articles/openai-harmony. An answer is messages of several channels:
//   <|channel|>analysis<|message|>TEXT<|end|>                                       reasoning
//   <|start|>assistant<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>JSON<|call|>   a call
//   <|start|>assistant<|channel|>final<|message|>TEXT<|return|>                     what the user is to read
// The prompt ends with <|start|>assistant, so the first of them has no start.
#include "chat/tool_format.h"

namespace fieldprint::formats {
namespace {

constexpr std::string_view kStart = "<|start|>", kChannel = "<|channel|>", kMessage = "<|message|>";
constexpr std::string_view kFunctions = "functions.";

struct Header {
  std::string_view channel, recipient;
};

// "assistant to=functions.f<|channel|>commentary json", "<|channel|>commentary to=functions.f <|constrain|>json"
Header header_of(std::string_view text) {
  const auto word = [](std::string_view from) { return from.substr(0, from.find_first_of(" \t\r\n<")); };
  Header header;
  if (const size_t at = text.find(kChannel); at != text.npos)
    header.channel = word(trimmed(text.substr(at + kChannel.size())));
  if (const size_t at = text.find("to="); at != text.npos) header.recipient = word(text.substr(at + 3));
  return header;
}

// Where a message ends that begins at `at`, and where the next one may begin.
struct End {
  size_t end, after;
};

End message_end(std::string_view text, size_t at, const ReplyOptions& options) {
  for (; (at = find_mark(text, "<|", at, options)) != text.npos; ++at) {
    for (const std::string_view mark :
         {std::string_view("<|end|>"), std::string_view("<|call|>"), std::string_view("<|return|>"), kStart}) {
      if (text.substr(at).starts_with(mark)) return {at, mark == kStart ? at : at + mark.size()};
    }
  }
  return {text.size(), text.size()};
}

void read(std::string_view text, const ReplyOptions& options, Reply& reply) {
  size_t at = 0;
  for (size_t message; (message = find_mark(text, kMessage, at, options)) != text.npos;) {
    const Header header = header_of(text.substr(at, message - at));
    const size_t begin = message + kMessage.size();
    const auto [end, after] = message_end(text, begin, options);
    if (header.recipient.starts_with(kFunctions)) {
      try {
        reply.calls.push_back(
            {std::string(header.recipient.substr(kFunctions.size())), json_arguments(text.substr(begin, end - begin))});
      } catch (const CallRefusal& refusal) {
        reply.refusals.emplace_back(refusal.what());
        keep_content(reply, text, at, after);
      }
    } else if (!header.recipient.empty() && header.recipient != "user") {
      reply.refusals.push_back("no function is named " + std::string(header.recipient));
      keep_content(reply, text, at, after);
    } else if (header.channel == "analysis") {
      if (!reply.reasoning.empty()) reply.reasoning += '\n';
      reply.reasoning += text.substr(begin, end - begin);
    } else {
      keep_content(reply, text, begin, end);
    }
    at = after;
  }
  keep_content(reply, text, at, text.size());  // a message without marks, or one that was cut off in its head
}

PartialReply partial(std::string_view text, const ReplyOptions& options) {
  PartialReply reply;
  const size_t message = find_mark(text, kMessage, 0, options);
  if (message == text.npos) return reply;
  const Header header = header_of(text.substr(0, message));
  const size_t begin = message + kMessage.size();
  const auto [end, after] = message_end(text, begin, options);
  if (end < text.size()) {
    reply.settled = after;
    return reply;
  }
  const size_t mark = text.substr(begin).rfind("<|"), known = text.size() - held_back(text, "<|");
  const size_t sure = mark == text.npos ? known : std::min(known, begin + mark);
  if (header.recipient.starts_with(kFunctions)) {
    if (options.valid_calls)
      reply.calls = {{std::string(header.recipient.substr(kFunctions.size())),
                      partial_json_object(text.substr(begin, sure - begin))}};
  } else if (header.recipient.empty() || header.recipient == "user") {
    (header.channel == "analysis" ? reply.reasoning : reply.content) = {begin, sure};
  }
  return reply;
}

// Free messages until one is addressed to a function; what stands in that is its arguments.
GrammarPtr grammar(const CallRules& rules) {
  constexpr std::string_view kTo = "to=functions.";
  std::vector<GrammarPtr> functions;
  for (const CallFunction& function : rules.functions) {
    functions.push_back(
        in_order({word(function.name), maybe(word("<|channel|>commentary")), maybe(word(" ")),
                  maybe(word("<|constrain|>")), maybe(word("json")), word(kMessage), function.arguments}));
  }
  const GrammarPtr call = one_of(std::move(functions));
  if (rules.required) return in_order({Grammar::until(kTo), call});
  const std::pair<std::string, GrammarPtr> trigger(kTo, call);
  return Grammar::with_triggers({&trigger, 1});
}

}  // namespace

extern const ToolFormat kHarmony;
const ToolFormat kHarmony = {"harmony",
                             [](std::string_view source) {
                               return source.find(kStart) != source.npos && source.find(kChannel) != source.npos &&
                                      source.find(kMessage) != source.npos;
                             },
                             read, partial, grammar};

}  // namespace fieldprint::formats
