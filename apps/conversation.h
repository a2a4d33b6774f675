// What has been said, and how it becomes the tokens that a model is to continue.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fieldprint/chat_template.h"
#include "fieldprint/model.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint::cli {

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

// Turns messages into a prompt by a model's template, or by one from a file.
class PromptMaker {
 public:
  // `template_file`: "" = the model's own. Throws Error kUnsupported where there is neither.
  PromptMaker(const Model& model, const std::string& template_file);

  std::string text(const std::vector<Message>& messages) const;  // ends where the assistant is to speak
  std::vector<TokenId> tokens(const std::string& text) const;    // one BOS where the vocabulary asks for it, never two

 private:
  const Model& model_;
  std::optional<ChatTemplate> own_;
};

// As JSON: {"messages": [{"role": ..., "content": ...}]}, the form that `fieldprint template` reads too.
std::string to_json(const std::vector<Message>& messages);
std::vector<Message> messages_from_json(const std::string& text, const std::string& where);  // Error kBadInput

// JSON of `value` as a string, whatever its bytes; for one line of many in ASCII, since some readers of lines take
// U+2028 for the end of one.
std::string json_string(const std::string& value, bool ascii = false);

}  // namespace fieldprint::cli
