// A conversation and how it becomes the tokens that a model is to continue: messages, JSON, prompts cut into labelled
// spans.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat_template.h"
#include "fieldprint/labels.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

struct Message {
  std::string role;  // "system", "user", "assistant", "tool", or what else the template knows
  std::string content;
  std::vector<ToolCall> calls = {};     // that an assistant made
  std::optional<SpanLabel> label = {};  // none: by its role
};

// As JSON: {"messages": [{"role": ..., "content": ...}]}, with "tool_calls" as the OpenAI API has them. Labels are left
// out. Bytes that are not UTF-8 become U+FFFD.
std::string to_json(const std::vector<Message>& messages);
// Throws Error kBadInput, with `where`, for what has another form.
std::vector<Message> messages_from_json(std::string_view text, const std::string& where = {});

// A list of functions that a model may call, as the OpenAI API has them, in one line of JSON. Throws Error kBadInput,
// with `where`, for what has another form.
std::string tools_from_json(std::string_view text, const std::string& where = {});

struct ChatOptions {
  std::string tools;  // of tools_from_json(); "" = none
  std::string where;  // names the template in errors: the model's path
};

// Turns messages into prompts by a chat template, and answers into messages. Immutable; from any thread.
class ChatFormat {
 public:
  // Both must outlive it. Throws Error kUnsupported for tools where the template knows none.
  ChatFormat(const Tokenizer& tokenizer, const ChatTemplate& chat_template, ChatOptions options = {});

  // The prompt as text; it ends where the assistant is to speak. Throws as ChatTemplate::render.
  std::string text(const std::vector<Message>& messages) const;

  // The prompt cut where messages begin, each part with its label and encoded by itself; what opens the answer belongs
  // to the answer. Templates whose text cannot be cut so give one span. Throws as ChatTemplate::render; Error
  // kUnsupported where it cannot be cut and a message has a clearance.
  std::vector<LabelledTokens> spans(const std::vector<Message>& messages) const;

  // The assistant's message that an answer is; with tools, the calls are taken out of its text.
  Message answer(const std::string& text) const;

 private:
  std::string rendered(const std::vector<Message>& messages, bool open) const;
  size_t template_words(const std::vector<Message>& messages) const;

  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  ChatOptions options_;
};

}  // namespace fieldprint
