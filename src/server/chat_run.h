// An answer to a conversation while it is made: the prompt is rendered and submitted, what comes back is taken apart.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/answers.h"
#include "server/api_error.h"
#include "server/chat_request.h"

namespace fieldprint::server {

struct ChatEvent {
  enum class Kind { kPrompt, kPieces, kEnd };
  Kind kind = Kind::kPieces;
  AnswerPart part;                      // of which answer, its tokens, their log-probabilities
  std::vector<ReplyPiece> pieces = {};  // kPieces and kEnd
};

// All of an answer.
struct ChatAnswer {
  std::string content, reasoning;
  std::vector<ToolCall> calls;
  std::vector<std::string> refusals;  // why what looks like a call is left in the content
  const Generation* generation = nullptr;
};

class ChatRun {
 public:
  // Throws ApiError 400 where the prompt does not fit or the model's template knows no such messages; 503 where too
  // many wait already.
  ChatRun(Service& service, const HttpRequest& http, ChatRequest request, HttpReply& reply, bool progress = false);

  std::optional<ChatEvent> next();  // waits; as Answers::next()
  void finish();                    // all that is left of next()
  const ChatAnswer& answer(int index) const { return answers_[static_cast<size_t>(index)]; }  // after its end

  const ChatRequest& request() const { return request_; }
  int prompt_tokens() const { return prompt_tokens_; }
  int dropped_messages() const { return dropped_; }
  // What `replay` needs to check an answer, and what labels its prompt had. docs/server.md has the fields.
  Json exchange(int index) const;
  Json sources() const;

 private:
  Service& service_;
  ChatRequest request_;
  Constraint constraint_;
  std::optional<ChatFormat> format_;
  std::vector<LabelledTokens> prompt_;
  int prompt_tokens_ = 0, dropped_ = 0;
  std::vector<ReplyStream> streams_;
  std::vector<ChatAnswer> answers_;
  std::unique_ptr<Answers> run_;
};

// Tokens in all. Throws ApiError 400 where they do not fit into the context with at least one more.
int check_prompt(Service& service, const std::vector<LabelledTokens>& prompt);

// Scheduler::submit's refusal of one more as 503 with Retry-After; else api_error().
ApiError submit_error(const Error& error);

}  // namespace fieldprint::server
