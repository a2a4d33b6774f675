#include "server/answers.h"

#include <condition_variable>
#include <deque>
#include <mutex>

#include "fieldprint/error.h"

namespace fieldprint::server {

// Filled by the scheduler's thread, which all streams wait for: it copies what is new and goes on.
struct Answers::Mailbox {
  void put(AnswerPart part) {
    {
      const std::lock_guard lock(mutex);
      parts.push_back(std::move(part));
    }
    arrived.notify_one();
  }

  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<AnswerPart> parts;
  bool done = false, gone = false;

  // Of the scheduler's thread: what of each answer was put already.
  struct Seen {
    size_t text = 0, tokens = 0;
  };
  std::vector<Seen> seen;
  std::vector<bool> taken;  // of each answer, whether a part of it was

  void withdraw(int answer, const Rollback& rollback) {
    const std::lock_guard lock(mutex);
    const auto i = static_cast<size_t>(answer);
    if (taken[i]) {
      throw Error(ErrorKind::kBadInput,
                  "what this answer has said is withdrawn: " + rollback.source + ", which it had read, was revoked", {},
                  "ask again: the next answer will not have read it");
    }
    std::erase_if(
        parts, [&](const AnswerPart& part) { return part.kind == AnswerPart::Kind::kText && part.answer == answer; });
    seen[i] = {};
  }
};

Answers::Answers(Scheduler& scheduler, Request request, HttpReply& reply, Watch watch)
    : mailbox_(std::make_shared<Mailbox>()),
      results_(static_cast<size_t>(std::max(1, request.answers))),
      given_(results_.size()),
      given_tokens_(results_.size()) {
  mailbox_->seen.resize(results_.size());
  mailbox_->taken.resize(results_.size());
  request.on_rollback = [box = mailbox_](int answer, const Rollback& rollback) { box->withdraw(answer, rollback); };
  if (watch != Watch::kEnd) {
    request.on_token = [box = mailbox_](int answer, const Generation& so_far) {
      auto& seen = box->seen[static_cast<size_t>(answer)];
      AnswerPart part{.kind = AnswerPart::Kind::kText, .answer = answer, .text = so_far.text.substr(seen.text)};
      const auto rest = [&](const auto& all, auto& out) {
        if (all.size() > seen.tokens) out.assign(all.begin() + static_cast<std::ptrdiff_t>(seen.tokens), all.end());
      };
      rest(so_far.tokens, part.tokens);
      rest(so_far.logprobs, part.logprobs);
      rest(so_far.influence, part.influence);
      seen = {so_far.text.size(), so_far.tokens.size()};
      box->put(std::move(part));
    };
  }
  if (watch == Watch::kPromptToo) {
    request.on_progress = [box = mailbox_](int done, int total, int reused) {
      box->put({.kind = AnswerPart::Kind::kPrompt, .done = done, .total = total, .reused = reused});
    };
  }
  request.on_done = [box = mailbox_] {
    {
      const std::lock_guard lock(box->mutex);
      box->done = true;
    }
    box->arrived.notify_one();
  };
  stream_.emplace(scheduler.submit(std::move(request)));
  reply.on_disconnect([box = mailbox_, stream = *stream_]() mutable {
    stream.cancel();
    {
      const std::lock_guard lock(box->mutex);
      box->gone = true;
    }
    box->arrived.notify_one();
  });
}

Answers::~Answers() { stream_->cancel(); }

std::optional<AnswerPart> Answers::next() {
  {
    std::unique_lock lock(mailbox_->mutex);
    mailbox_->arrived.wait(lock, [this] { return mailbox_->done || mailbox_->gone || !mailbox_->parts.empty(); });
    if (mailbox_->gone) throw Disconnected{};
    if (!mailbox_->parts.empty()) {
      AnswerPart part = std::move(mailbox_->parts.front());
      mailbox_->parts.pop_front();
      if (part.kind == AnswerPart::Kind::kText) mailbox_->taken[static_cast<size_t>(part.answer)] = true;
      given_[static_cast<size_t>(part.answer)] += part.text.size();
      given_tokens_[static_cast<size_t>(part.answer)] += part.tokens.size();
      return part;
    }
  }
  if (ended_ == count()) return std::nullopt;
  // The end of each, with what it held back until then.
  const auto i = static_cast<size_t>(ended_);
  AnswerPart part{.kind = AnswerPart::Kind::kEnd, .answer = ended_++};
  results_[i] = stream_->wait(part.answer);
  const Generation& all = results_[i];
  part.text = all.text.substr(std::min(given_[i], all.text.size()));
  const auto rest = [&](const auto& from, auto& out) {
    if (from.size() > given_tokens_[i])
      out.assign(from.begin() + static_cast<std::ptrdiff_t>(given_tokens_[i]), from.end());
  };
  rest(all.tokens, part.tokens);
  rest(all.logprobs, part.logprobs);
  rest(all.influence, part.influence);
  return part;
}

}  // namespace fieldprint::server
