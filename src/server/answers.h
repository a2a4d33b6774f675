// Answers under way: what the scheduler's thread says of them, for the thread of the request.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fieldprint/scheduler.h"
#include "server/http.h"

namespace fieldprint::server {

struct AnswerPart {
  enum class Kind { kPrompt, kText, kEnd };
  Kind kind = Kind::kText;
  int answer = 0;

  // kPrompt: tokens of the prompt that are read, those taken from the cache among them.
  int done = 0, total = 0, reused = 0;

  // kText: what came since the part before. A token may bring no text, and text no token.
  std::string text = {};
  std::vector<TokenId> tokens = {};
  std::vector<TokenLogprobs> logprobs = {};
  std::vector<std::vector<float>> influence = {};
};

// What of answers under way is wanted. Whoever waits for their ends alone costs the scheduler nothing until then.
enum class Watch { kEnd, kTokens, kPromptToo };

class Answers {
 public:
  // Submits `request`, whose callbacks are ours. They end where the client goes, with `reply`'s knowledge of it.
  // Throws as Scheduler::submit.
  Answers(Scheduler& scheduler, Request request, HttpReply& reply, Watch watch);
  ~Answers();  // cancels what is still under way
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;

  // Waits for the next part. kEnd comes once for each answer; nothing after the last of them. Throws what ended an
  // answer, and Disconnected. An answer that a source was revoked from begins anew as long as no part of it was taken;
  // else it ends with an Error, since what the client has got cannot be taken back.
  std::optional<AnswerPart> next();

  // All of an answer that has ended.
  const Generation& result(int answer) const { return results_[static_cast<size_t>(answer)]; }
  int count() const { return static_cast<int>(results_.size()); }
  uint64_t stream() const { return stream_->id(); }

 private:
  struct Mailbox;
  std::shared_ptr<Mailbox> mailbox_;
  std::optional<Stream> stream_;
  std::vector<Generation> results_;
  std::vector<size_t> given_;  // bytes of each answer's text
  std::vector<size_t> given_tokens_;
  int ended_ = 0;
};

}  // namespace fieldprint::server
