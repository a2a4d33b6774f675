// What has been said, and how it becomes the tokens that a model is to continue.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fieldprint/chat_template.h"
#include "fieldprint/model.h"
#include "fieldprint/session.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint::cli {

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
  std::vector<ToolCall> calls = {};     // that an assistant made
  std::optional<SpanLabel> label = {};  // none: by its role
};

// Turns messages into a prompt by a model's template, or by one from a file.
class PromptMaker {
 public:
  // `template_file`: "" = the model's own. Throws Error kUnsupported where there is neither.
  // `tools_file`: "" = none, else a JSON list of functions as the OpenAI API has them; Error kBadInput where it is not
  // that.
  PromptMaker(const Model& model, const std::string& template_file, const std::string& tools_file = {});

  std::string text(const std::vector<Message>& messages) const;  // ends where the assistant is to speak
  Message answer(const std::string& text) const;                 // an assistant's, with the tool calls taken apart

  // The prompt cut where messages begin, each with its label; what opens the answer belongs to the answer. Templates
  // whose text cannot be cut so give one span; Error kUnsupported where a message has a clearance.
  std::vector<LabelledTokens> spans(const std::vector<Message>& messages) const;

 private:
  std::string rendered(const std::vector<Message>& messages, bool open) const;
  size_t template_words(const std::vector<Message>& messages) const;
  const Model& model_;
  const ChatTemplate& chat_template() const { return own_ ? *own_ : *model_.chat_template(); }
  std::optional<ChatTemplate> own_;
  std::string tools_;  // JSON, "" = none
};

// As JSON: {"messages": [{"role": ..., "content": ...}]}, the form that `fieldprint template` reads too.
std::string to_json(const std::vector<Message>& messages);
std::vector<Message> messages_from_json(const std::string& text, const std::string& where);  // Error kBadInput

// JSON of `value` as a string, whatever its bytes; for one line of many in ASCII, since some readers of lines take
// U+2028 for the end of one.
std::string json_string(const std::string& value, bool ascii = false);

}  // namespace fieldprint::cli
