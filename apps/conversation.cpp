#include "conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "files.h"

namespace fieldprint::cli {

using nlohmann::ordered_json;

static std::string dumped(const ordered_json& value, int indent = -1) {
  return value.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

static ordered_json message_list(const std::vector<Message>& messages) {
  ordered_json list = ordered_json::array();
  for (const auto& message : messages) {
    auto& entry = list.emplace_back(ordered_json{{"role", message.role}, {"content", message.content}});
    for (const auto& call : message.calls) {
      entry["tool_calls"].push_back(
          {{"type", "function"},
           {"function", {{"name", call.name}, {"arguments", ordered_json::parse(call.arguments)}}}});
    }
  }
  return list;
}

static std::string read_tools(const std::string& file) {
  const std::string text = read_file(file);
  check_json(text, file);
  const auto tools = ordered_json::parse(text);
  bool good = tools.is_array() && !tools.empty();
  for (size_t i = 0; good && i < tools.size(); ++i) {
    const auto& function = tools[i].is_object() && tools[i].contains("function") ? tools[i]["function"] : tools[i];
    good = function.is_object() && function.contains("name") && function["name"].is_string();
  }
  if (!good)
    throw Error(ErrorKind::kBadInput, "this is no list of tools", file,
                R"(it should look like [{"type": "function", "function": {"name": ..., "parameters": {...}}}])");
  return dumped(tools);
}

PromptMaker::PromptMaker(const Model& model, const std::string& template_file, const std::string& tools_file)
    : model_(model) {
  if (!template_file.empty()) {
    try {
      own_.emplace(read_file(template_file));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadInput) throw;
      throw Error(ErrorKind::kBadInput, error.what(), template_file, error.hint());
    }
  } else if (model.chat_template() == nullptr) {
    throw Error(ErrorKind::kUnsupported, "this model has no chat template", model.info().path,
                "`fieldprint run --raw` lets it continue a text; --template FILE gives it a template");
  }
  if (tools_file.empty()) return;
  tools_ = read_tools(tools_file);
  if (chat_template().source().find("tools") == std::string::npos)
    throw Error(ErrorKind::kUnsupported, "this model's chat template knows no tools", model.info().path);
}

std::string PromptMaker::text(const std::vector<Message>& messages) const { return rendered(messages, true); }

std::string PromptMaker::rendered(const std::vector<Message>& messages, bool open) const {
  const Tokenizer& tokenizer = model_.tokenizer();
  const auto name = [&](TokenId token) {
    return token == kNoToken ? std::string() : std::string(tokenizer.piece(token));
  };
  ordered_json variables;
  variables["messages"] = message_list(messages);
  // Transformers passes these two always, so templates ask `if tools`.
  variables["tools"] = tools_.empty() ? ordered_json() : ordered_json::parse(tools_);
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = open;
  variables["bos_token"] = name(tokenizer.bos());
  variables["eos_token"] = name(tokenizer.eos());
  return chat_template().render(dumped(variables));
}

Message PromptMaker::answer(const std::string& text) const {
  if (tools_.empty()) return {"assistant", text};
  Reply reply = parse_reply(text, tool_call_format(chat_template()));
  // A template that knows nothing of calls gets them back as they were written.
  const bool knows = chat_template().source().find("tool_calls") != std::string::npos;
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
size_t PromptMaker::template_words(const std::vector<Message>& messages) const {
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

std::vector<LabelledTokens> PromptMaker::spans(const std::vector<Message>& messages) const {
  const std::string whole = text(messages);
  const auto whole_ids = encode_prompt(model_.tokenizer(), whole);
  const bool secret =
      std::any_of(messages.begin(), messages.end(), [](const Message& m) { return label_of(m).clearance > 0; });
  std::vector<LabelledTokens> cut;
  std::vector<TokenId> joined;
  const auto add = [&](const SpanLabel& label, const std::string& piece) {
    // Each piece by itself: the tokens of one say nothing of another's text.
    auto ids = cut.empty() ? encode_prompt(model_.tokenizer(), piece)
                           : model_.tokenizer().encode(piece, {.add_special = false, .parse_special = true});
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
                model_.info().path, "--raw takes documents without a template");
  }
  return {{{.kind = SpanKind::kUser}, whole_ids}};
}

std::string to_json(const std::vector<Message>& messages) {
  return dumped({{"messages", message_list(messages)}}, 2) + "\n";
}

std::vector<Message> messages_from_json(const std::string& text, const std::string& where) {
  const Error refusal(ErrorKind::kBadInput, "this is no saved conversation", where,
                      "it should look like {\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}");
  check_json(text, where);
  const auto json = ordered_json::parse(text);
  if (!json.is_object() || !json.contains("messages") || !json["messages"].is_array()) throw refusal;
  std::vector<Message> messages;
  for (const auto& entry : json["messages"]) {
    if (!entry.is_object() || !entry.contains("role") || !entry.contains("content")) throw refusal;
    if (!entry["role"].is_string() || !entry["content"].is_string()) throw refusal;
    auto& message = messages.emplace_back(Message{entry["role"], entry["content"]});
    for (const auto& call : entry.value("tool_calls", ordered_json::array())) {
      if (!call.is_object() || !call.contains("function")) throw refusal;
      const auto& function = call["function"];
      if (!function.is_object() || !function.contains("name") || !function["name"].is_string()) throw refusal;
      if (!function.contains("arguments") || !function["arguments"].is_object()) throw refusal;
      message.calls.push_back({function["name"], dumped(function["arguments"])});
    }
  }
  return messages;
}

std::string json_string(const std::string& value, bool ascii) {
  return ordered_json(value).dump(-1, ' ', ascii, ordered_json::error_handler_t::replace);
}

}  // namespace fieldprint::cli
