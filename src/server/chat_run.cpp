#include "server/chat_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/api_error.h"
#include "server/exchange.h"

namespace fieldprint::server {
namespace {

int count_tokens(const std::vector<LabelledTokens>& prompt) {
  size_t count = 0;
  for (const auto& span : prompt) count += span.tokens.size();
  return static_cast<int>(count);
}

// The oldest message that may go, with what answers it: from it to the next one of the user. The system's messages and
// the last one of the user stay. False: nothing may go.
bool drop_oldest(std::vector<Message>& messages, int& dropped) {
  const auto is_user = [](const Message& message) { return message.role == "user"; };
  const auto first =
      std::find_if(messages.begin(), messages.end(), [](const Message& m) { return m.role != "system"; });
  const auto last = std::find_if(messages.rbegin(), messages.rend(), is_user);
  if (first == messages.end() || last == messages.rend() || first >= last.base() - 1) return false;
  const auto next = std::find_if(first + 1, messages.end(), is_user);
  dropped += static_cast<int>(next - first);
  messages.erase(first, next);
  return true;
}

}  // namespace

int check_prompt(Service& service, const std::vector<LabelledTokens>& prompt) {
  const int tokens = count_tokens(prompt), context = service.context();
  if (tokens < context) return tokens;
  throw ApiError(
      400,
      fmt::format("the prompt has {} tokens, and the context of {} has to hold at least one more", tokens, context),
      "messages", "context_length_exceeded");
}

ApiError submit_error(const Error& error) {
  if (error.kind() != ErrorKind::kLimit) return api_error(error);
  ApiError full(503, fmt::format("the server is busy: {}", error.what()), "", "queue_full");
  full.headers.emplace_back("Retry-After", "2");
  return full;
}

ChatRun::ChatRun(Service& service, const HttpRequest& http, ChatRequest request, HttpReply& reply, bool progress)
    : service_(service), request_(std::move(request)) {
  const bool calls = !request_.tools.empty() && request_.tool_choice != ChatRequest::ToolChoice::kNone;
  const ChatTemplate& chat_template = service.chat_template();
  const std::string_view call_format = calls ? tool_call_format(chat_template) : "";
  format_.emplace(service.tokenizer(), chat_template,
                  ChatFormatOptions{.tools = calls ? request_.tools : std::string(),
                                    .where = service.model_name,
                                    .variables = request_.variables,
                                    .continue_last = true,
                                    .valid_calls = !call_format.empty()});
  constraint_.kind = request_.format;
  constraint_.text = request_.format_text;
  if (!call_format.empty()) {
    constraint_.tools = request_.tools;
    constraint_.tool_format = call_format;
    if (request_.tool_choice == ChatRequest::ToolChoice::kRequired) constraint_.calls = Constraint::Calls::kRequired;
    constraint_.function = request_.function;
    constraint_.parallel = request_.parallel_calls;
  } else if (request_.tool_choice == ChatRequest::ToolChoice::kRequired) {
    throw ApiError(400, "tool_choice asks for a call, and this model's way of writing calls is not known",
                   "tool_choice");
  }
  if (constraint_.any() && format_->thinks())
    constraint_.thought = format_->opens_thought() ? Constraint::Thought::kOpen : Constraint::Thought::kMay;
  request_.sampling.special = request_.sampling.special || format_->shows_control();
  if (constraint_.any()) request_.sampling.mask = service.mask(constraint_);

  prompt_ = format_->spans(request_.messages);
  while (request_.truncate && count_tokens(prompt_) >= service.context() && drop_oldest(request_.messages, dropped_))
    prompt_ = format_->spans(request_.messages);
  prompt_tokens_ = check_prompt(service, prompt_);

  for (int i = 0; i < request_.answers; ++i) streams_.emplace_back(*format_, request_.sampling.special);
  answers_.resize(static_cast<size_t>(request_.answers));
  Request submitted;
  submitted.spans = prompt_;
  submitted.sampling = request_.sampling;
  submitted.clearance = request_.clearance;
  submitted.answers = request_.answers;
  submitted.influence = request_.influence;
  submitted.cache_domain = service.cache_domain(http);
  try {
    run_ = std::make_unique<Answers>(service.scheduler(), std::move(submitted), reply, progress);
  } catch (const Error& error) {
    throw submit_error(error);
  }
}

std::optional<ChatEvent> ChatRun::next() {
  auto part = run_->next();
  if (!part) return std::nullopt;
  ChatEvent event{.kind = ChatEvent::Kind::kPieces, .part = *std::move(part)};
  if (event.part.kind == AnswerPart::Kind::kPrompt) {
    event.kind = ChatEvent::Kind::kPrompt;
    return event;
  }
  const auto i = static_cast<size_t>(event.part.answer);
  ReplyStream& stream = streams_[i];
  ChatAnswer& answer = answers_[i];
  event.pieces = stream.push(event.part.text, request_.sampling.special ? std::span<const TokenId>(event.part.tokens)
                                                                        : std::span<const TokenId>());
  if (event.part.kind == AnswerPart::Kind::kEnd) {
    event.kind = ChatEvent::Kind::kEnd;
    for (ReplyPiece& piece : stream.finish()) event.pieces.push_back(std::move(piece));
    answer.refusals = stream.refusals();
    answer.generation = &run_->result(event.part.answer);
  }
  for (ReplyPiece& piece : event.pieces) {
    using Kind = ReplyPiece::Kind;
    if (piece.kind == Kind::kReasoning && !request_.split_reasoning) piece.kind = Kind::kContent;
    switch (piece.kind) {
      case Kind::kContent:
        answer.content += piece.text;
        break;
      case Kind::kReasoning:
        answer.reasoning += piece.text;
        break;
      case Kind::kCall:
        answer.calls.push_back({piece.text, ""});
        break;
      case Kind::kArguments:
        answer.calls.back().arguments += piece.text;
        break;
    }
  }
  return event;
}

void ChatRun::finish() {
  while (next()) {
  }
}

Json ChatRun::exchange(int index) const {
  Exchange exchange{prompt_, request_.sampling, constraint_, request_.clearance};
  exchange.sampling.seed += static_cast<uint64_t>(index);
  return exchange_json(service_, exchange, *answer(index).generation);
}

Json ChatRun::sources() const {
  Json all = Json::array();
  for (const auto& [label, tokens] : prompt_) {
    if (label.clearance > request_.clearance) continue;
    Json source = {{"kind", span_kind_name(label.kind)}, {"source", label.source}, {"clearance", label.clearance}};
    if (!all.empty() && all.back()["kind"] == source["kind"] && all.back()["source"] == source["source"] &&
        all.back()["clearance"] == source["clearance"]) {  // neighbours of equal labels are one
      all.back()["tokens"] = all.back()["tokens"].get<int>() + static_cast<int>(tokens.size());
      continue;
    }
    source["tokens"] = tokens.size();
    all.push_back(std::move(source));
  }
  return all;
}

}  // namespace fieldprint::server
