#include <fmt/format.h>

#include <algorithm>

#include "chat/control_marks.h"
#include "chat/messages.h"
#include "chat/tool_format.h"
#include "fieldprint/chat.h"
#include "fieldprint/error.h"
#include "fieldprint/json.h"

namespace fieldprint {

ChatFormat::ChatFormat(const Tokenizer& tokenizer, const ChatTemplate& chat_template, ChatFormatOptions options)
    : tokenizer_(tokenizer), template_(chat_template), options_(std::move(options)) {
  if (!options_.tools.empty() && template_.source().find("tools") == std::string::npos)
    throw Error(ErrorKind::kUnsupported, "this model's chat template knows no tools", options_.where);
}

std::string ChatFormat::text(const std::vector<Message>& messages) const { return rendered(messages, true).text; }

bool ChatFormat::continues(const std::vector<Message>& messages) const {
  return options_.continue_last && messages.size() > 1 && messages.back().role == "assistant" &&
         messages.back().calls.empty();
}

// The members of a JSON object, each behind a comma.
static std::string members(std::string_view object) {
  const size_t begin = object.find_first_not_of(" \t\r\n{"), end = object.find_last_not_of(" \t\r\n}");
  if (begin == object.npos || end == object.npos || end < begin) return {};
  return "," + std::string(object.substr(begin, object.rfind('}') - begin));
}

// The name under which a template looks for an assistant's reasoning; "" where it does not.
static std::string_view reasoning_key(const std::string& source) {
  if (source.find("reasoning_content") != std::string::npos) return "reasoning_content";
  for (const char* use : {"message.thinking", "'thinking'", "\"thinking\""}) {
    if (source.find(use) != std::string::npos) return "thinking";
  }
  return {};
}

// Calls that the template has no words for are written into their messages, as the model wrote them.
static void write_calls(std::vector<Message>& messages, const ChatTemplate& chat_template) {
  if (chat_template.source().find("tool_calls") != std::string::npos) return;
  const std::string_view name = tool_call_format(chat_template);
  for (const ToolFormat* format : tool_formats()) {
    if (format->name != name || format->write == nullptr) continue;
    for (Message& message : messages) {
      if (message.calls.empty() || message.content.find(format->begin_mark) != std::string::npos) continue;
      std::string& text = message.content;
      const auto add_mark = [&](std::string_view mark) {
        message.control.push_back({text.size(), text.size() + mark.size()});
        text += mark;
      };
      try {
        const std::string calls = format->write(message.calls);
        add_mark(format->begin_mark);
        text += calls;
        add_mark(format->end_mark);
      } catch (const CallRefusal&) {  // arguments that are no object: as they are, in JSON
        text += calls_text(message.calls);
      }
    }
  }
}

RenderedPrompt ChatFormat::rendered(const std::vector<Message>& given, bool open) const {
  std::vector<Message> messages = given;
  write_calls(messages, template_);
  if (open && continues(messages)) {
    RenderedPrompt prompt = rendered({messages.begin(), messages.end() - 1}, true);
    const size_t begin = prompt.text.size();
    prompt.text += messages.back().content;
    if (!options_.content_specials && prompt.text.size() > begin) prompt.content.push_back({begin, prompt.text.size()});
    return prompt;
  }
  const auto name = [&](TokenId token) {
    return token == kNoToken ? std::string() : std::string(tokenizer_.piece(token));
  };
  RenderOptions options;
  for (size_t i = 0; i < messages.size(); ++i) {
    for (const TextRange& range : messages[i].control) options.control.push_back({i, range});
  }
  // Transformers passes tools and documents always, so templates ask `if tools`.
  RenderedPrompt prompt = template_.render_prompt(
      fmt::format(
          R"({{"messages":[{}],"tools":{},"documents":null,"add_generation_prompt":{},"bos_token":{},"eos_token":{}{}}})",
          message_list(messages, {.reasoning = reasoning_key(template_.source())}),
          options_.tools.empty() ? "null" : options_.tools, open, json_string(name(tokenizer_.bos())),
          json_string(name(tokenizer_.eos())), members(options_.variables)),
      options);
  if (options_.content_specials) prompt.content.clear();
  return prompt;
}

bool ChatFormat::shows_control() const { return !options_.tools.empty() || tool_call_format(template_) == "harmony"; }

std::string_view ChatFormat::call_format() const { return shows_control() ? tool_call_format(template_) : ""; }

bool ChatFormat::thinks() const { return template_.source().find("</think>") != std::string::npos; }

// Whether the prompt ends inside of a thought.
bool ChatFormat::opens_thought() const {
  try {
    const std::string prompt = text({{"user", "?"}});
    return std::string_view(prompt).substr(0, prompt.find_last_not_of(" \t\r\n") + 1).ends_with("<think>");
  } catch (const Error&) {  // it wants other messages
    return false;
  }
}

Message ChatFormat::answer(const std::string& text, std::span<const TokenId> tokens) const {
  ControlMarks marks(tokenizer_);
  for (const TokenId token : tokens) marks.push(token);
  Message message{.role = "assistant", .content = text, .control = marks.within(text)};
  const std::string& source = template_.source();
  ReplyOptions options{.tools = options_.tools, .thinks = thinks()};
  const std::string_view format = call_format();
  if (!options.thinks && format.empty()) return message;
  options.thinking = options.thinks && opens_thought();
  if (!tokens.empty()) options.is_mark = [&](size_t at) { return marks.is_mark(text, at); };
  Reply reply = parse_reply(text, format, options);
  message.calls = std::move(reply.calls);
  message.refusals = std::move(reply.refusals);
  message.reasoning = std::move(reply.reasoning);
  // A template that knows nothing of calls gets them back as they were written.
  if (!message.calls.empty() && source.find("tool_calls") == std::string::npos) reply = parse_reply(text, "", options);
  std::vector<TextRange> control;
  size_t before = 0;
  for (const TextRange& kept : reply.kept) {
    for (const TextRange& range : message.control) {
      if (kept.begin <= range.begin && range.end <= kept.end)
        control.push_back({range.begin - kept.begin + before, range.end - kept.begin + before});
    }
    before += kept.end - kept.begin;
  }
  message.control = std::move(control);
  message.content = std::move(reply.content);
  return message;
}

static SpanLabel label_of(const Message& message) {
  if (message.label) return *message.label;
  if (message.role == "system") return {.kind = SpanKind::kSystem};
  if (message.role == "tool") return {.kind = SpanKind::kTool};
  if (message.role == "assistant") return {.kind = SpanKind::kGenerated};
  return {.kind = SpanKind::kUser};
}

// How many bytes of a prompt a template says by itself before the first message: a BOS, a system message of its own. It
// is what the first message has in front of it and a second one of the same kind has not.
size_t ChatFormat::template_words(const std::vector<Message>& messages) const {
  try {
    const std::string once = rendered({messages.front()}, false).text;
    const std::string twice = rendered({messages.front(), messages.front()}, false).text;
    if (!twice.starts_with(once)) return 0;
    const std::string second = twice.substr(once.size());
    return !second.empty() && once.ends_with(second) ? once.size() - second.size() : 0;
  } catch (const Error&) {  // it wants the roles to take turns
    return 0;
  }
}

std::vector<LabelledTokens> ChatFormat::spans(const std::vector<Message>& messages) const {
  const RenderedPrompt whole = rendered(messages, true);
  const auto whole_ids = encode_prompt(tokenizer_, whole.text, whole.content);
  const bool secret =
      std::any_of(messages.begin(), messages.end(), [](const Message& m) { return label_of(m).clearance > 0; });
  std::vector<LabelledTokens> cut;
  std::vector<TokenId> joined;
  const auto add = [&](const SpanLabel& label, size_t begin, size_t end) {
    // Each piece by itself: the tokens of one say nothing of another's text.
    const std::string_view piece = std::string_view(whole.text).substr(begin, end - begin);
    std::vector<TextRange> content;
    for (const TextRange& range : whole.content) {
      if (range.end > begin && range.begin < end)
        content.push_back({std::max(range.begin, begin) - begin, std::min(range.end, end) - begin});
    }
    auto ids = cut.empty() ? encode_prompt(tokenizer_, piece, content)
                           : tokenizer_.encode(piece, {.add_special = false, .parse_special = true, .plain = content});
    joined.insert(joined.end(), ids.begin(), ids.end());
    cut.push_back({label, std::move(ids)});
  };
  size_t done = template_words(messages);
  if (done > 0) add({.kind = SpanKind::kSystem, .source = "chat template"}, 0, done);
  bool good = true;
  try {
    const size_t closed = messages.size() - (continues(messages) ? 1 : 0);  // what follows is the answer's beginning
    for (size_t i = 0; good && i < closed; ++i) {
      const std::string part =
          rendered({messages.begin(), messages.begin() + static_cast<ptrdiff_t>(i) + 1}, false).text;
      good = part.size() >= done && whole.text.starts_with(part);
      if (!good) break;
      add(label_of(messages[i]), done, part.size());
      done = part.size();
    }
  } catch (const Error&) {  // some templates refuse a conversation that ends so
    good = false;
  }
  if (good && done < whole.text.size()) add({.kind = SpanKind::kGenerated}, done, whole.text.size());
  if (good && (secret || joined == whole_ids)) return cut;
  if (secret) {
    throw Error(ErrorKind::kUnsupported, "this chat template cannot be cut into messages, so none can have a clearance",
                options_.where, "--raw takes documents without a template");
  }
  LabelledTokens one;
  one.label.kind = SpanKind::kUser;
  one.tokens = whole_ids;
  return {std::move(one)};
}

}  // namespace fieldprint
