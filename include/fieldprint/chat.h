// A conversation and how it becomes the tokens that a model is to continue: messages, JSON, prompts cut into labelled
// spans.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/chat_template.h"
#include "fieldprint/grammar.h"
#include "fieldprint/labels.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

struct Message {
  std::string role;  // "system", "user", "assistant", "tool", or what else the template knows
  std::string content;
  std::vector<ToolCall> calls = {};     // that an assistant made
  std::optional<SpanLabel> label = {};  // none: by its role
  // Bytes of the content, ascending, that are control tokens, since the model wrote them as such. All other content is
  // ordinary text, whatever it looks like.
  std::vector<TextRange> control = {};
  std::vector<std::string> refusals = {};  // of an answer: why what looks like a call is left in its content
  std::string reasoning = {};              // what an assistant thought before it answered
};

// As JSON: {"messages": [{"role": ..., "content": ...}]}, with "tool_calls" as the OpenAI API has them, their arguments
// as they are to the last digit; ours is "control_tokens": [[begin, end], ...], the ranges of Message::control. Labels
// are left out; reasoning is "reasoning_content". Bytes that are not UTF-8 become U+FFFD.
std::string to_json(const std::vector<Message>& messages);
// Throws Error kBadInput, with `where`, for what has another form.
std::vector<Message> messages_from_json(std::string_view text, const std::string& where = {});

// A list of functions that a model may call, as the OpenAI API has them, in one line of JSON. Throws Error kBadInput,
// with `where`, for what has another form.
std::string tools_from_json(std::string_view text, const std::string& where = {});

struct ChatFormatOptions {
  std::string tools = {};         // of tools_from_json(); "" = none
  std::string where = {};         // names the template in errors: the model's path
  bool content_specials = false;  // control tokens that content names are control tokens: whoever wrote it can then end
                                  // its message and speak as the system
  std::string variables = {};     // a JSON object: further variables of the template, as {"enable_thinking": false}
  bool continue_last = false;     // a last message of the assistant is the beginning of the answer, which goes on
  bool valid_calls = false;       // calls are made by a grammar: see ReplyOptions
};

class ReplyStream;

// Turns messages into prompts by a chat template, and answers into messages. Control tokens come from the template's
// own words alone: what messages, tool results and documents say stays text. Immutable; from any thread.
class ChatFormat {
 public:
  // Both must outlive it. Throws Error kUnsupported for tools where the template knows none.
  ChatFormat(const Tokenizer& tokenizer, const ChatTemplate& chat_template, ChatFormatOptions options = {});

  // The prompt as text; it ends where the assistant is to speak. Throws as ChatTemplate::render.
  std::string text(const std::vector<Message>& messages) const;

  // The same with where each byte comes from. Not `open`: the conversation as it stands, and nobody is to speak.
  RenderedPrompt rendered(const std::vector<Message>& messages, bool open) const;

  // The prompt cut where messages begin, each part with its label and encoded by itself; what opens the answer belongs
  // to the answer. Templates whose text cannot be cut so give one span. Throws as ChatTemplate::render; Error
  // kUnsupported where it cannot be cut and a message has a clearance.
  std::vector<LabelledTokens> spans(const std::vector<Message>& messages) const;

  // Whether answers are to be generated with their control tokens shown (SamplingOptions::special): calls, or channels
  // that the template's models always write, stand between them.
  bool shows_control() const;

  // The assistant's message that an answer is: reasoning is taken out of its text where the template knows of it, with
  // tools the calls. `tokens`: those of the answer where its text shows control tokens, so that they go back as such,
  // and text that looks like one is none; else none.
  Message answer(const std::string& text, std::span<const TokenId> tokens = {}) const;

  // How its models write calls, one of tool_call_format(); "" where none are looked for.
  std::string_view call_format() const;
  // Whether answers begin inside of a thought, which the prompt has opened; thinks(): whether they may think at all.
  bool opens_thought() const;
  bool thinks() const;

 private:
  friend class ReplyStream;
  size_t template_words(const std::vector<Message>& messages) const;
  bool continues(const std::vector<Message>& messages) const;

  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  ChatFormatOptions options_;
};

struct CallGrammarOptions {
  bool required = false;  // the answer is calls; else they may stand in free text
  bool parallel = true;   // several calls
  std::string only = {};  // the one function that may be called; "" = any
};

// What answers with calls look like whose models write them as `format` says, one of tool_call_format(): every call is
// whole, of a function of `tools` and with arguments of its schema. Throws Error kBadInput, kLimit; kUnsupported for a
// function that says `strict` and whose schema cannot be held to.
GrammarPtr call_grammar(std::string_view tools, std::string_view format, const CallGrammarOptions& options = {});

// A piece of an answer, certain as soon as it comes: what follows changes nothing of it.
struct ReplyPiece {
  enum class Kind { kContent, kReasoning, kCall, kArguments };
  Kind kind = Kind::kContent;
  std::string text;  // kCall: the function's name; kArguments: the next characters of the JSON object
  int call = 0;      // which one, counted from 0
};

// Takes an answer apart while it comes. All pieces of a kind together are what ChatFormat::answer() makes of the whole
// text. One thread at a time.
class ReplyStream {
 public:
  // `with_tokens`: push() gets the tokens, as ChatFormat::answer() does. The format must outlive it.
  ReplyStream(const ChatFormat& format, bool with_tokens);
  ~ReplyStream();
  ReplyStream(ReplyStream&&) noexcept;

  std::vector<ReplyPiece> push(std::string_view text, std::span<const TokenId> tokens = {});
  std::vector<ReplyPiece> finish();                  // after the last push()
  const std::vector<std::string>& refusals() const;  // as Message::refusals, after finish()
  int calls() const;                                 // begun so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fieldprint
