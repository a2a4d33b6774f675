// POST /v1/chat/completions, https://platform.openai.com/docs/api-reference/chat, with llama.cpp's further fields and
// Fieldprint's own (docs/server.md).
#include "server/chat_run.h"
#include "server/endpoint.h"
#include "server/event_stream.h"
#include "server/exchange.h"
#include "server/openai.h"

namespace fieldprint::server::endpoints_of {
namespace {

// What a request says of its reply.
struct Wish {
  bool stream = false, usage = false, progress = false, logprobs = false;
  TokenWish tokens;
};

Wish read_wish(const Fields& fields, ChatRequest& request) {
  Wish wish;
  wish.stream = fields.boolean("stream").value_or(false);
  if (const Json* options = fields.object("stream_options"))
    wish.usage = Fields(*options, "stream_options").boolean("include_usage").value_or(false);
  wish.progress = fields.boolean("return_progress").value_or(false);
  wish.logprobs = fields.boolean("logprobs").value_or(false);
  wish.tokens = read_token_wish(fields);
  const auto top = fields.integer("top_logprobs", 0, kMostTopTokens);
  if (top && !wish.logprobs) fields.refuse("top_logprobs", "needs logprobs to be true");
  if (wish.logprobs) request.sampling.logprobs = static_cast<int>(top.value_or(0));
  return wish;
}

Json call_json(const ToolCall& call, const std::string& id) {
  return {{"id", id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

Json usage_json(const ChatRun& run) {
  const ChatUsage usage = run.usage();
  Json json = server::usage_json(usage.prompt_tokens, usage.cached_tokens, usage.tokens);
  json["completion_tokens_details"] = {{"reasoning_tokens", usage.reasoning_tokens}};
  if (usage.dropped_messages > 0) json["dropped_messages"] = usage.dropped_messages;
  return json;
}

void reply_whole(Service& service, ChatRun& run, const Wish& wish, HttpReply& reply) {
  run.finish();
  Json choices = Json::array();
  for (int i = 0; i < run.request().answers; ++i) {
    const ChatAnswer& answer = run.answer(i);
    Json message = {{"role", "assistant"}, {"content", answer.content}, {"refusal", nullptr}};
    if (!answer.reasoning.empty()) message["reasoning_content"] = answer.reasoning;
    if (!answer.calls.empty()) {
      if (answer.content.empty()) message["content"] = nullptr;
      message["tool_calls"] = Json::array();
      for (const ToolCall& call : answer.calls) message["tool_calls"].push_back(call_json(call, new_id("call_")));
    }
    Json choice = {{"index", i}, {"message", message}, {"logprobs", nullptr}};
    if (wish.logprobs)
      choice["logprobs"] = {
          {"content", logprobs_json(service.tokenizer(), answer.generation->logprobs, wish.tokens.id_names)},
          {"refusal", nullptr}};
    if (wish.tokens.ids) choice["token_ids"] = answer.generation->tokens;
    if (run.request().influence) choice["influence"] = answer.generation->influence;
    choice["finish_reason"] = openai_finish(answer.generation->reason, !answer.calls.empty());
    if (i > 0) choice["fieldprint"] = run.own(i);
    choices.push_back(std::move(choice));
  }
  const Generation& first = *run.answer(0).generation;
  Json json = {{"id", new_id("chatcmpl-")},
               {"object", "chat.completion"},
               {"created", unix_time()},
               {"model", service.model_name},
               {"choices", choices},
               {"usage", usage_json(run)},
               {"system_fingerprint", service.fingerprint()},
               {"timings", timings_json(first.stats, first.tokens.size())},
               {"fieldprint", run.own(0)}};
  if (wish.tokens.ids) json["prompt_token_ids"] = run.prompt_ids();
  send_json(reply, json);
}

// One answer's share of a stream.
class Chunks {
 public:
  Chunks(Service& service, const ChatRun& run, const Wish& wish, EventStream& out)
      : service_(service), run_(run), wish_(wish), out_(out), said_(static_cast<size_t>(run.request().answers)) {}

  void event(const ChatEvent& event) {
    if (event.kind == ChatEvent::Kind::kPrompt) {
      const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_).count();
      Json chunk = this->chunk(Json::array());
      chunk["prompt_progress"] = {
          {"total", event.part.total}, {"cache", event.part.reused}, {"processed", event.part.done}, {"time_ms", ms}};
      out_.data(chunk);
      return;
    }
    const int index = event.part.answer;
    Said& said = said_[static_cast<size_t>(index)];
    if (!said.role) {
      said.role = true;
      send(index, {{"role", "assistant"}, {"content", ""}}, nullptr);
    }
    Json logprobs;
    if (wish_.logprobs && !event.part.logprobs.empty())
      logprobs = {{"content", logprobs_json(service_.tokenizer(), event.part.logprobs, wish_.tokens.id_names)},
                  {"refusal", nullptr}};
    // All pieces of a kind go out as one; what is counted by tokens comes with the first chunk.
    Extras extras{std::move(logprobs), run_.request().influence ? Json(event.part.influence) : Json(),
                  wish_.tokens.ids ? Json(event.part.tokens) : Json()};
    for (size_t i = 0; i < event.pieces.size(); ++i) {
      send(index, delta(event.pieces[i], said), nullptr, std::exchange(extras, {}));
    }
    const bool left = !extras.logprobs.is_null() || !extras.influence.empty() || !extras.tokens.empty();
    if (event.kind == ChatEvent::Kind::kEnd) {
      const ChatAnswer& answer = run_.answer(index);
      send(index, Json::object(), openai_finish(answer.generation->reason, !answer.calls.empty()), std::move(extras),
           index > 0 || !wish_.usage);
    } else if (left) {
      send(index, Json::object(), nullptr, std::move(extras));  // a token whose text is not certain yet
    }
  }

  void last() {
    if (!wish_.usage) return;
    const Generation& first = *run_.answer(0).generation;
    Json chunk = this->chunk(Json::array());
    chunk["usage"] = usage_json(run_);
    chunk["timings"] = timings_json(first.stats, first.tokens.size());
    chunk["fieldprint"] = run_.own(0);
    out_.data(chunk);
  }

 private:
  struct Said {
    bool role = false;
    int calls = 0;
  };
  struct Extras {
    Json logprobs, influence, tokens;
  };

  Json chunk(Json choices) const {
    Json json = {{"id", id_},
                 {"object", "chat.completion.chunk"},
                 {"created", created_},
                 {"model", service_.model_name},
                 {"system_fingerprint", fingerprint_},
                 {"choices", std::move(choices)}};
    if (wish_.usage) json["usage"] = nullptr;
    return json;
  }

  static Json delta(const ReplyPiece& piece, Said& said) {
    switch (piece.kind) {
      case ReplyPiece::Kind::kContent:
        return {{"content", piece.text}};
      case ReplyPiece::Kind::kReasoning:
        return {{"reasoning_content", piece.text}};
      case ReplyPiece::Kind::kCall: {
        ++said.calls;
        Json call = call_json({piece.text, ""}, new_id("call_"));
        call["index"] = piece.call;
        return {{"tool_calls", Json::array({call})}};
      }
      case ReplyPiece::Kind::kArguments:
        return {{"tool_calls", Json::array({{{"index", piece.call}, {"function", {{"arguments", piece.text}}}}})}};
    }
    return Json::object();
  }

  void send(int index, Json delta, const Json& finish, Extras extras = {}, bool own = false) {
    Json choice = {{"index", index}, {"delta", std::move(delta)}, {"logprobs", std::move(extras.logprobs)}};
    if (!extras.influence.empty()) choice["influence"] = std::move(extras.influence);
    if (!extras.tokens.empty()) choice["token_ids"] = std::move(extras.tokens);
    choice["finish_reason"] = finish;
    if (own && index > 0) choice["fieldprint"] = run_.own(index);
    Json json = chunk(Json::array({std::move(choice)}));
    if (wish_.tokens.ids && !std::exchange(prompt_sent_, true)) json["prompt_token_ids"] = run_.prompt_ids();
    if (own && index == 0) {
      const Generation& generation = *run_.answer(0).generation;
      json["timings"] = timings_json(generation.stats, generation.tokens.size());
      json["fieldprint"] = run_.own(0);
    }
    out_.data(json);
  }

  Service& service_;
  const ChatRun& run_;
  const Wish& wish_;
  EventStream& out_;
  std::vector<Said> said_;
  bool prompt_sent_ = false;
  const std::string id_ = new_id("chatcmpl-"), fingerprint_ = service_.fingerprint();
  const Json created_ = unix_time();
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

void chat_completions(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  ChatRequest request = read_chat(fields, service);
  const Wish wish = read_wish(fields, request);
  ChatRun run(service, http, std::move(request), reply,
              !wish.stream    ? Watch::kEnd
              : wish.progress ? Watch::kPromptToo
                              : Watch::kTokens);
  if (!wish.stream) return reply_whole(service, run, wish, reply);
  EventStream out(reply);
  try {
    Chunks chunks(service, run, wish, out);
    while (const auto event = run.next()) chunks.event(*event);
    chunks.last();
  } catch (...) {
    out.raw(error_body(current_error()));
  }
  out.raw("[DONE]");
  out.end();
}

}  // namespace fieldprint::server::endpoints_of
