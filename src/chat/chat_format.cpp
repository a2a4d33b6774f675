#include <algorithm>

#include "chat/messages.h"
#include "fieldprint/chat.h"
#include "fieldprint/error.h"

namespace fieldprint {

ChatFormat::ChatFormat(const Tokenizer& tokenizer, const ChatTemplate& chat_template, ChatOptions options)
    : tokenizer_(tokenizer), template_(chat_template), options_(std::move(options)) {
  if (!options_.tools.empty() && template_.source().find("tools") == std::string::npos)
    throw Error(ErrorKind::kUnsupported, "this model's chat template knows no tools", options_.where);
}

std::string ChatFormat::text(const std::vector<Message>& messages) const { return rendered(messages, true); }

std::string ChatFormat::rendered(const std::vector<Message>& messages, bool open) const {
  const auto name = [&](TokenId token) {
    return token == kNoToken ? std::string() : std::string(tokenizer_.piece(token));
  };
  nlohmann::ordered_json variables;
  variables["messages"] = message_list(messages);
  // Transformers passes these two always, so templates ask `if tools`.
  variables["tools"] =
      options_.tools.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json::parse(options_.tools);
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = open;
  variables["bos_token"] = name(tokenizer_.bos());
  variables["eos_token"] = name(tokenizer_.eos());
  return template_.render(dumped(variables));
}

Message ChatFormat::answer(const std::string& text) const {
  if (options_.tools.empty()) return {"assistant", text};
  Reply reply = parse_reply(text, tool_call_format(template_));
  // A template that knows nothing of calls gets them back as they were written.
  const bool knows = template_.source().find("tool_calls") != std::string::npos;
  return {"assistant", knows ? std::move(reply.content) : text, std::move(reply.calls)};
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
    const std::string once = rendered({messages.front()}, false);
    const std::string twice = rendered({messages.front(), messages.front()}, false);
    if (!twice.starts_with(once)) return 0;
    const std::string second = twice.substr(once.size());
    return !second.empty() && once.ends_with(second) ? once.size() - second.size() : 0;
  } catch (const Error&) {  // it wants the roles to take turns
    return 0;
  }
}

std::vector<LabelledTokens> ChatFormat::spans(const std::vector<Message>& messages) const {
  const std::string whole = text(messages);
  const auto whole_ids = encode_prompt(tokenizer_, whole);
  const bool secret =
      std::any_of(messages.begin(), messages.end(), [](const Message& m) { return label_of(m).clearance > 0; });
  std::vector<LabelledTokens> cut;
  std::vector<TokenId> joined;
  const auto add = [&](const SpanLabel& label, const std::string& piece) {
    // Each piece by itself: the tokens of one say nothing of another's text.
    auto ids = cut.empty() ? encode_prompt(tokenizer_, piece)
                           : tokenizer_.encode(piece, {.add_special = false, .parse_special = true});
    joined.insert(joined.end(), ids.begin(), ids.end());
    cut.push_back({label, std::move(ids)});
  };
  size_t done = template_words(messages);
  if (done > 0) add({.kind = SpanKind::kSystem, .source = "chat template"}, whole.substr(0, done));
  bool good = true;
  try {
    for (size_t i = 0; good && i < messages.size(); ++i) {
      const std::string part = rendered({messages.begin(), messages.begin() + static_cast<ptrdiff_t>(i) + 1}, false);
      good = part.size() >= done && whole.starts_with(part);
      if (!good) break;
      add(label_of(messages[i]), part.substr(done));
      done = part.size();
    }
  } catch (const Error&) {  // some templates refuse a conversation that ends so
    good = false;
  }
  if (good && done < whole.size()) add({.kind = SpanKind::kGenerated}, whole.substr(done));
  if (good && (secret || joined == whole_ids)) return cut;
  if (secret) {
    throw Error(ErrorKind::kUnsupported, "this chat template cannot be cut into messages, so none can have a clearance",
                options_.where, "--raw takes documents without a template");
  }
  return {{{.kind = SpanKind::kUser}, whole_ids}};
}

}  // namespace fieldprint
