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

std::function<std::unique_ptr<TokenMask>()> request_mask(Service& service, const Constraint& constraint) {
  try {
    return service.mask(constraint);
  } catch (const Error& error) {
    ApiError refused = api_error(error);
    switch (constraint.kind) {
      case Constraint::Kind::kGbnf:
        refused.parameter = "grammar";
        break;
      case Constraint::Kind::kRegex:
        refused.parameter = "regex";
        break;
      case Constraint::Kind::kNone:
        refused.parameter = "tools";
        break;
      default:
        refused.parameter = "response_format";
    }
    throw refused;
  }
}

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

ChatFormat chat_format(Service& service, const ChatRequest& request) {
  const bool calls = !request.tools.empty() && request.tool_choice != ChatRequest::ToolChoice::kNone;
  const ChatTemplate& chat_template = service.chat_template();
  return {service.tokenizer(), chat_template,
          ChatFormatOptions{.tools = calls ? request.tools : std::string(),
                            .where = service.model_name,
                            .variables = request.variables,
                            .continue_last = true,
                            .valid_calls = calls && !tool_call_format(chat_template).empty()}};
}

ChatRun::ChatRun(Service& service, const HttpRequest& http, ChatRequest request, HttpReply& reply, Watch watch)
    : service_(service), request_(std::move(request)) {
  const bool calls = !request_.tools.empty() && request_.tool_choice != ChatRequest::ToolChoice::kNone;
  format_.emplace(chat_format(service, request_));
  const std::string_view call_format = calls ? tool_call_format(service.chat_template()) : "";
  constraint_.kind = request_.format;
  constraint_.text = request_.format_text;
  if (!call_format.empty()) {
    constraint_.tools = request_.tools;
    constraint_.tool_format = call_format;
    if (request_.tool_choice == ChatRequest::ToolChoice::kRequired) constraint_.calls = Constraint::Calls::kRequired;
    constraint_.function = request_.function;
    constraint_.parallel = request_.parallel_calls;
  } else if (request_.tools.empty() && request_.tool_choice == ChatRequest::ToolChoice::kRequired) {
    throw ApiError(400, "tool_choice asks for a call, and there are no tools", "tools");
  } else if (request_.tool_choice == ChatRequest::ToolChoice::kRequired) {
    throw ApiError(400, "tool_choice asks for a call, and this model's way of writing calls is not known",
                   "tool_choice");
  }
  if (constraint_.any() && format_->thinks())
    constraint_.thought = format_->opens_thought() ? Constraint::Thought::kOpen : Constraint::Thought::kMay;
  request_.sampling.special = request_.sampling.special || format_->shows_control();
  if (constraint_.any()) request_.sampling.mask = request_mask(service, constraint_);

  Request submitted;
  if (service.memory() != nullptr) enter_memory(http, submitted);
  const auto render = [&] {
    prompt_ = format_->spans(request_.messages);
    prompt_.insert(prompt_.begin(), anchor_.begin(), anchor_.end());
  };
  render();
  while (request_.truncate && count_tokens(prompt_) >= service.context() && drop_oldest(request_.messages, dropped_))
    render();
  prompt_tokens_ = check_prompt(service, prompt_);

  for (int i = 0; i < request_.answers; ++i) streams_.emplace_back(*format_, request_.sampling.special);
  answers_.resize(static_cast<size_t>(request_.answers));
  behind_calls_.resize(answers_.size());
  unnamed_tokens_.resize(answers_.size());
  held_.resize(answers_.size());
  submitted.spans = prompt_;
  submitted.sampling = request_.sampling;
  submitted.clearance = request_.clearance;
  submitted.answers = request_.answers;
  submitted.influence = submitted.influence || request_.influence;
  submitted.cache_domain = service.cache_domain(http);
  // The tokens of a thought are counted where it ends.
  if (watch == Watch::kEnd && format_->thinks()) watch = Watch::kTokens;
  try {
    run_ = std::make_unique<Answers>(service.scheduler(), std::move(submitted), reply, watch);
  } catch (const Error& error) {
    throw submit_error(error);
  }
}

// What the memory recalls of the last message of the user comes before it, what it holds to before everything.
void ChatRun::enter_memory(const HttpRequest& http, Request& submitted) {
  auto& messages = request_.messages;
  const auto last = std::find_if(messages.rbegin(), messages.rend(), [](const Message& m) { return m.role == "user"; });
  ServiceMemory::Given given;
  try {
    given = service_.memory()->give(service_.memory_principal(http), service_.cache_domain(http),
                                    last == messages.rend() ? std::string_view() : std::string_view(last->content));
  } catch (const Error& error) {
    throw ApiError(503, fmt::format("the memory does not answer: {}", error.what()), "", "memory");
  }
  if (last != messages.rend()) messages.insert(last.base() - 1, given.messages.begin(), given.messages.end());
  anchor_ = std::move(given.anchor);
  submitted.influence = true;
  submitted.boundaries = true;
  submitted.session = session_ = std::move(given.session);
}

// The outbox: calls wait until the boundary that they are in is signed.
void ChatRun::hold_calls(ChatEvent& event) {
  const auto i = static_cast<size_t>(event.part.answer);
  const auto is_call = [](const ReplyPiece& piece) {
    return piece.kind == ReplyPiece::Kind::kCall || piece.kind == ReplyPiece::Kind::kArguments;
  };
  for (ReplyPiece& piece : event.pieces) {
    if (is_call(piece)) held_[i].push_back(piece);
  }
  std::erase_if(event.pieces, is_call);
  if (event.kind != ChatEvent::Kind::kEnd || held_[i].empty()) return;
  try {
    service_.memory()->wait_signed(run_->stream(), event.part.answer, answers_[i].generation->boundary);
  } catch (const Error& error) {
    throw ApiError(503, error.what(), "", "memory");
  }
  for (ReplyPiece& piece : held_[i]) event.pieces.push_back(std::move(piece));
  held_[i].clear();
}

std::optional<ChatEvent> ChatRun::next() {
  auto part = run_->next();
  if (!part) {
    count();
    return std::nullopt;
  }
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
  if (service_.memory() != nullptr) hold_calls(event);
  using Kind = ReplyPiece::Kind;
  unnamed_tokens_[i] += static_cast<int>(event.part.tokens.size());
  if (!event.pieces.empty()) {
    if (event.pieces.front().kind == Kind::kReasoning) answer.reasoning_tokens += unnamed_tokens_[i];
    unnamed_tokens_[i] = 0;
  }
  for (ReplyPiece& piece : std::exchange(event.pieces, {})) {
    if (piece.kind == Kind::kReasoning && !request_.split_reasoning) piece.kind = Kind::kContent;
    // White space behind calls is their format's, unless text follows it.
    if (piece.kind == Kind::kContent && !answer.calls.empty()) {
      std::string& space = behind_calls_[i];
      space += piece.text;
      if (space.find_first_not_of(" \t\r\n") == std::string::npos) continue;
      piece.text = std::exchange(space, {});
    }
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
    event.pieces.push_back(std::move(piece));
  }
  return event;
}

void ChatRun::finish() {
  while (next()) {
  }
}

void ChatRun::count() {
  if (std::exchange(counted_, true)) return;
  const RunStats& stats = answers_.front().generation->stats;
  const ChatUsage all = usage();
  service_.metrics.answer(stats.queue_seconds + stats.prefill_seconds, stats.decode_seconds, all.prompt_tokens,
                          all.cached_tokens, all.tokens);
}

ChatUsage ChatRun::usage() const {
  ChatUsage usage{.prompt_tokens = prompt_tokens_, .dropped_messages = dropped_};
  usage.cached_tokens = answers_.front().generation->stats.reused_tokens;
  for (const ChatAnswer& answer : answers_) {
    usage.tokens += static_cast<int>(answer.generation->tokens.size());
    usage.reasoning_tokens += answer.reasoning_tokens;
  }
  return usage;
}

Json ChatRun::own(int index) const {
  const ChatAnswer& answer = this->answer(index);
  Json own = {{"model_hash", service_.model_hash()},
              {"logits_hash", answer.generation->stats.logits_hash},
              {"seed", request_.sampling.seed + static_cast<uint64_t>(index)},
              {"finish_reason", finish_name(answer.generation->reason)}};
  if (!answer.refusals.empty()) own["tool_call_errors"] = answer.refusals;
  if (request_.influence) own["sources"] = sources();
  if (service_.memory() != nullptr) own["memory"] = memory_used(index);
  if (request_.exchange) own["exchange"] = exchange(index);
  return own;
}

// The records that were in the prompt, each with the share of attention that the answer's tokens gave it.
Json ChatRun::memory_used(int index) const {
  const auto& influence = answer(index).generation->influence;
  const Json columns = sources();
  Json used = Json::array();
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto source = columns[i]["source"].get<std::string>();
    const std::string_view id = memory_id(source);
    if (id.empty()) continue;
    double share = 0;
    for (const auto& row : influence) share += i < row.size() ? static_cast<double>(row[i]) : 0;
    if (!influence.empty()) share /= static_cast<double>(influence.size());
    used.push_back({{"id", id}, {"kind", columns[i]["kind"]}, {"influence", share}});
  }
  return {{"session", session_}, {"used", std::move(used)}};
}

Json ChatRun::exchange(int index) const {
  Exchange exchange{prompt_, request_.sampling, constraint_, request_.clearance};
  exchange.sampling.seed += static_cast<uint64_t>(index);
  return exchange_json(service_, exchange, *answer(index).generation);
}

bool ChatRun::seen(const SpanLabel& label) const {
  const bool taken_back = service_.memory() != nullptr && service_.memory()->fallen(label.source);
  return label.clearance <= request_.clearance && !taken_back;
}

std::vector<TokenId> ChatRun::prompt_ids() const {
  std::vector<TokenId> all;
  for (const auto& [label, tokens] : prompt_) {
    if (seen(label)) all.insert(all.end(), tokens.begin(), tokens.end());
  }
  return all;
}

Json ChatRun::sources() const {
  Json all = Json::array();
  for (const auto& [label, tokens] : prompt_) {
    if (!seen(label)) continue;
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
