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
  int reasoning_tokens = 0;
  const Generation* generation = nullptr;
};

// What a request cost, of all its answers.
struct ChatUsage {
  int prompt_tokens = 0, cached_tokens = 0;
  int tokens = 0, reasoning_tokens = 0;  // of the answers; those of them that are reasoning
  int dropped_messages = 0;
};

// How the request's messages become a prompt. Throws ApiError 400 where the model has no chat template.
ChatFormat chat_format(Service& service, const ChatRequest& request);

class ChatRun {
 public:
  // Throws ApiError 400 where the prompt does not fit or the model's template knows no such messages; 503 where too
  // many wait already.
  ChatRun(Service& service, const HttpRequest& http, ChatRequest request, HttpReply& reply, Watch watch);

  std::optional<ChatEvent> next();  // waits; as Answers::next()
  void finish();                    // all that is left of next()
  const ChatAnswer& answer(int index) const { return answers_[static_cast<size_t>(index)]; }  // after its end

  const ChatRequest& request() const { return request_; }
  int prompt_tokens() const { return prompt_tokens_; }
  std::vector<TokenId> prompt_ids() const;  // of what the model got to see
  ChatUsage usage() const;                  // after the end of all
  // What is Fieldprint's own in a reply: hashes, the seed, sources, the exchange where the request asks for it.
  Json own(int index) const;

 private:
  Json exchange(int index) const;
  Json memory_used(int index) const;
  Json sources() const;
  bool seen(const SpanLabel& label) const;  // by the model: not above the clearance, not taken back meanwhile
  void count();
  Service& service_;
  ChatRequest request_;
  Constraint constraint_;
  std::optional<ChatFormat> format_;
  std::vector<LabelledTokens> prompt_;
  int prompt_tokens_ = 0, dropped_ = 0;
  std::vector<ReplyStream> streams_;
  std::vector<ChatAnswer> answers_;
  std::vector<std::string> behind_calls_;  // white space that waits
  std::vector<int> unnamed_tokens_;        // of each answer, since its last piece
  bool counted_ = false;
  std::unique_ptr<Answers> run_;

  // With a memory (service_memory.h).
  void enter_memory(const HttpRequest& http, Request& submitted);
  void hold_calls(ChatEvent& event);
  std::vector<LabelledTokens> anchor_;
  std::string session_;
  std::vector<std::vector<ReplyPiece>> held_;  // of each answer: calls, until their boundary is signed
};

// Service::mask() for a request: what is wrong with the constraint names its field.
std::function<std::unique_ptr<TokenMask>()> request_mask(Service& service, const Constraint& constraint);

// Tokens in all. Throws ApiError 400 where they do not fit into the context with at least one more.
int check_prompt(Service& service, const std::vector<LabelledTokens>& prompt);

// Scheduler::submit's refusal of one more as 503 with Retry-After; else api_error().
ApiError submit_error(const Error& error);

}  // namespace fieldprint::server
