#include <fmt/format.h>

#include <algorithm>

#include "chat/messages.h"
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

// The name under which a template looks for an assistant's reasoning; "" where it does not.
static std::string_view reasoning_key(const std::string& source) {
  if (source.find("reasoning_content") != std::string::npos) return "reasoning_content";
  for (const char* use : {"message.thinking", "'thinking'", "\"thinking\""}) {
    if (source.find(use) != std::string::npos) return "thinking";
  }
  return {};
}

RenderedPrompt ChatFormat::rendered(const std::vector<Message>& messages, bool open) const {
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
          R"({{"messages":[{}],"tools":{},"documents":null,"add_generation_prompt":{},"bos_token":{},"eos_token":{}}})",
          message_list(messages, {.reasoning = reasoning_key(template_.source())}),
          options_.tools.empty() ? "null" : options_.tools, open, json_string(name(tokenizer_.bos())),
          json_string(name(tokenizer_.eos()))),
      options);
  if (options_.content_specials) prompt.content.clear();
  return prompt;
}

namespace {

// Where `text` shows the control tokens among `tokens`, whose decoding it begins.
std::vector<TextRange> control_ranges(const Tokenizer& tokenizer, std::span<const TokenId> tokens,
                                      const std::string& text) {
  std::vector<TextRange> ranges;
  StreamDecoder decoder(tokenizer, true);
  std::string decoded;
  for (const TokenId token : tokens) {
    decoded += decoder.push(token);
    const std::string_view piece = tokenizer.piece(token);
    if (tokenizer.piece(token, false).empty() && !piece.empty() && decoded.ends_with(piece))
      ranges.push_back({decoded.size() - piece.size(), decoded.size()});
  }
  const size_t same =
      static_cast<size_t>(std::mismatch(text.begin(), text.end(), decoded.begin(), decoded.end()).first - text.begin());
  std::erase_if(ranges, [&](const TextRange& range) { return range.end > same; });
  return ranges;
}

}  // namespace

bool ChatFormat::shows_control() const { return !options_.tools.empty() || tool_call_format(template_) == "harmony"; }

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
  Message message{.role = "assistant", .content = text, .control = control_ranges(tokenizer_, tokens, text)};
  const std::string& source = template_.source();
  ReplyOptions options{.tools = options_.tools, .thinks = source.find("</think>") != std::string::npos};
  const std::string_view format = shows_control() ? tool_call_format(template_) : "";
  if (!options.thinks && format.empty()) return message;
  options.thinking = options.thinks && opens_thought();
  if (!tokens.empty()) {
    options.is_mark = [&](size_t at) {
      constexpr size_t kLongest = 64;  // of a token that stands between < and >
      const auto found = std::lower_bound(message.control.begin(), message.control.end(), at,
                                          [](const TextRange& range, size_t place) { return range.begin < place; });
      if (found != message.control.end() && found->begin == at) return true;
      const std::string_view near = std::string_view(text).substr(at, kLongest);
      const TokenId token = tokenizer_.find(near.substr(0, near.find('>') + 1));
      return token == kNoToken || !tokenizer_.piece(token, false).empty();  // no control token, so it cannot be faked
    };
  }
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
    for (size_t i = 0; good && i < messages.size(); ++i) {
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
