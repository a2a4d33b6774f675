#include "conversation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fieldprint/error.h"
#include "files.h"

namespace fieldprint::cli {

using nlohmann::ordered_json;

static std::string dumped(const ordered_json& value, int indent = -1) {
  return value.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

static ordered_json message_list(const std::vector<Message>& messages) {
  ordered_json list = ordered_json::array();
  for (const auto& message : messages) list.push_back({{"role", message.role}, {"content", message.content}});
  return list;
}

PromptMaker::PromptMaker(const Model& model, const std::string& template_file) : model_(model) {
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
}

std::string PromptMaker::text(const std::vector<Message>& messages) const {
  const Tokenizer& tokenizer = model_.tokenizer();
  const auto name = [&](TokenId token) {
    return token == kNoToken ? std::string() : std::string(tokenizer.piece(token));
  };
  ordered_json variables;
  variables["messages"] = message_list(messages);
  variables["tools"] = nullptr;  // Transformers passes these two always, so templates ask `if tools`
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = true;
  variables["bos_token"] = name(tokenizer.bos());
  variables["eos_token"] = name(tokenizer.eos());
  return (own_ ? *own_ : *model_.chat_template()).render(dumped(variables));
}

std::vector<TokenId> PromptMaker::tokens(const std::string& text) const {
  return encode_prompt(model_.tokenizer(), text);
}

std::string to_json(const std::vector<Message>& messages) {
  return dumped({{"messages", message_list(messages)}}, 2) + "\n";
}

std::vector<Message> messages_from_json(const std::string& text, const std::string& where) {
  const Error refusal(ErrorKind::kBadInput, "this is no saved conversation", where,
                      "it should look like {\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}");
  const auto json = ordered_json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains("messages") || !json["messages"].is_array())
    throw refusal;
  std::vector<Message> messages;
  for (const auto& entry : json["messages"]) {
    if (!entry.is_object() || !entry.contains("role") || !entry.contains("content")) throw refusal;
    if (!entry["role"].is_string() || !entry["content"].is_string()) throw refusal;
    messages.push_back({entry["role"], entry["content"]});
  }
  return messages;
}

std::string json_string(const std::string& value, bool ascii) {
  return ordered_json(value).dump(-1, ' ', ascii, ordered_json::error_handler_t::replace);
}

}  // namespace fieldprint::cli
