// POST /v1/messages and /v1/messages/count_tokens: Anthropic's API, https://docs.anthropic.com/en/api/messages
#include <fmt/format.h>

#include "base/sha256.h"
#include "server/chat_run.h"
#include "server/endpoint.h"
#include "server/event_stream.h"
#include "server/openai.h"
#include "server/reply_blocks.h"

namespace fieldprint::server::endpoints_of {
namespace {

using Kind = ReplyPiece::Kind;

std::string entry_path(const Fields& fields, std::string_view name, size_t index) {
  return fmt::format("{}[{}]", fields.path(name), index);
}

void add_text(std::string& to, std::string_view text) {
  if (!to.empty() && !to.ends_with('\n')) to += '\n';
  to += text;
}

[[noreturn]] void refuse_block(const Fields& block, const std::string& type) {
  block.refuse("type", fmt::format("is '{}'; this model reads text, documents of text, and tool calls", type));
}

// A document whose source is text.
std::string read_document(const Fields& block) {
  const Json* source = block.object("source");
  if (source == nullptr) block.refuse("source", "is missing");
  const Fields inner(*source, block.path("source"));
  const std::string type = inner.required_string("type");
  if (type == "content") return read_content(inner, "content");
  if (type != "text") inner.refuse("type", fmt::format("is '{}'; this model reads documents of text", type));
  const std::string title = block.string("title").value_or("");
  return (title.empty() ? "" : title + "\n") + inner.required_string("data");
}

// One message of the API is one for the model, or several: each result of a tool is a message of its own.
void read_message(const Fields& fields, std::vector<Message>& messages) {
  const std::string role = fields.required_string("role");
  if (role != "user" && role != "assistant" && role != "system")
    fields.refuse("role", fmt::format("is '{}'; user and assistant are known", role));
  Message open{.role = role, .content = {}};
  read_label(fields, open);
  const Message empty = open;
  bool said = false;
  const auto flush = [&] {
    if (said) messages.push_back(std::exchange(open, empty));
    said = false;
  };
  const Json* content = fields.find("content");
  if (content == nullptr) fields.refuse("content", "is missing");
  if (content->is_string()) {
    open.content = content->get<std::string>();
    messages.push_back(std::move(open));
    return;
  }
  if (!content->is_array()) fields.refuse("content", "should be a string or an array of blocks");
  size_t index = 0;
  for (const Json& entry : *content) {
    const Fields block(entry, entry_path(fields, "content", index++));
    const std::string type = block.required_string("type");
    if (type == "text") {
      add_text(open.content, block.required_string("text"));
    } else if (type == "document") {
      add_text(open.content, read_document(block));
    } else if (type == "thinking" && role == "assistant") {
      add_text(open.reasoning, block.required_string("thinking"));
    } else if (type == "redacted_thinking" && role == "assistant") {
      continue;  // nobody here can read it
    } else if (type == "tool_use" && role == "assistant") {
      const Json* input = block.object("input");
      open.calls.push_back({block.required_string("name"), input != nullptr ? dump(*input) : "{}"});
    } else if (type == "tool_result" && role == "user") {
      flush();
      Message result{.role = "tool", .content = read_content(block, "content")};
      read_label(block, result);
      messages.push_back(std::move(result));
      continue;
    } else {
      refuse_block(block, type);
    }
    said = true;
  }
  flush();
}

void read_tools(const Fields& fields, ChatRequest& request) {
  const Json* list = fields.array("tools");
  if (list == nullptr) return;
  Json functions = Json::array();
  for (const Json& entry : *list) {
    const Fields tool(entry, entry_path(fields, "tools", functions.size()));
    if (const auto type = tool.string("type"); type && *type != "custom")
      tool.refuse("type", fmt::format("is '{}': the server has no tools of its own", *type));
    Json function = {{"name", tool.required_string("name")}};
    if (const auto description = tool.string("description")) function["description"] = *description;
    const Json* schema = tool.object("input_schema");
    function["parameters"] = schema != nullptr ? *schema : Json({{"type", "object"}, {"properties", Json::object()}});
    functions.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  request.tools = server::read_tools(fields, functions);
}

void read_choice(const Fields& fields, ChatRequest& request) {
  const Json* choice = fields.object("tool_choice");
  if (choice == nullptr) return;
  const Fields inner(*choice, "tool_choice");
  const std::string type = inner.required_string("type");
  using Choice = ChatRequest::ToolChoice;
  if (type == "none") {
    request.tool_choice = Choice::kNone;
  } else if (type == "any" || type == "tool") {
    request.tool_choice = Choice::kRequired;
    if (type == "tool") request.function = inner.required_string("name");
  } else if (type != "auto") {
    inner.refuse("type", fmt::format("is '{}'; auto, any, tool and none are known", type));
  }
  request.parallel_calls = !inner.boolean("disable_parallel_tool_use").value_or(false);
}

ChatRequest read_request(const Fields& fields, Service& service) {
  ChatRequest request;
  if (const std::string system = read_content(fields, "system"); !system.empty())
    request.messages.push_back({.role = "system", .content = system});
  const Json& list = fields.required_array("messages");
  if (list.empty()) fields.refuse("messages", "should hold at least one message");
  size_t index = 0;
  for (const Json& entry : list) read_message(Fields(entry, entry_path(fields, "messages", index++)), request.messages);
  if (request.messages.empty()) fields.refuse("messages", "hold no text");
  read_tools(fields, request);
  read_choice(fields, request);
  read_common(fields, service, request);
  if (request.answers != 1) fields.refuse("n", "is not known in this API: one answer a request");
  if (fields.has("stop_sequences")) request.sampling.stop = fields.strings("stop_sequences");
  if (const Json* thinking = fields.object("thinking")) {
    const Fields inner(*thinking, "thinking");
    const std::string type = inner.required_string("type");
    if (type != "enabled" && type != "disabled" && type != "adaptive")
      inner.refuse("type", fmt::format("is '{}'; enabled, disabled and adaptive are known", type));
    set_variable(request, "enable_thinking", type != "disabled");
  }
  if (const Json* config = fields.object("output_config")) {
    const Fields inner(*config, "output_config");
    read_response_format(inner, "format", request);
    if (const auto effort = inner.string("effort")) set_variable(request, "reasoning_effort", *effort);
  }
  read_response_format(fields, "output_format", request);
  return request;
}

Json usage_json(const ChatUsage& usage) {
  Json json = {{"input_tokens", usage.prompt_tokens - usage.cached_tokens},
               {"cache_creation_input_tokens", 0},
               {"cache_read_input_tokens", usage.cached_tokens},
               {"output_tokens", usage.tokens}};
  if (usage.dropped_messages > 0) json["dropped_messages"] = usage.dropped_messages;
  return json;
}

std::string_view stop_reason(const ChatAnswer& answer) {
  switch (answer.generation->reason) {
    case FinishReason::kStop:
      return "stop_sequence";
    case FinishReason::kLength:
    case FinishReason::kLoop:
      return "max_tokens";
    case FinishReason::kContext:
      return "model_context_window_exceeded";
    default:
      return answer.calls.empty() ? "end_turn" : "tool_use";
  }
}

Json stop_json(const ChatAnswer& answer) {
  const std::string& stop = answer.generation->stop;
  return {{"stop_reason", stop_reason(answer)}, {"stop_sequence", stop.empty() ? Json() : Json(stop)}};
}

// What its text is told apart by when it comes back; nothing else is known of it here.
std::string signature(const std::string& thinking) { return sha256_hex(std::as_bytes(std::span(thinking))); }

// The input of a call; one that the token limit cut off has none.
Json input_json(const std::string& arguments) {
  const Json input = Json::parse(arguments, nullptr, false);
  return input.is_object() ? input : Json::object();
}

Json block_json(const ReplyBlock& block) {
  switch (block.kind) {
    case Kind::kReasoning:
      return {{"type", "thinking"}, {"thinking", block.text}, {"signature", signature(block.text)}};
    case Kind::kCall:
      return {{"type", "tool_use"}, {"id", block.id}, {"name", block.name}, {"input", input_json(block.text)}};
    default:
      return {{"type", "text"}, {"text", block.text}};
  }
}

Json message_json(Service& service, const std::string& id) {
  return {{"id", id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", service.model_name},
          {"content", Json::array()},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr}};
}

// Gives blocks their ids and, in a stream, says them as events.
class Writer final : public ReplyBlocks::Listener {
 public:
  explicit Writer(EventStream* out) : out_(out) {}

  void begin(ReplyBlock& block, size_t index) override {
    if (block.kind == Kind::kCall) block.id = new_id("toolu_");
    Json empty = block_json(block);
    if (block.kind == Kind::kReasoning) empty["signature"] = "";
    send("content_block_start", {{"index", index}, {"content_block", std::move(empty)}});
  }
  void more(ReplyBlock& block, size_t index, std::string_view text) override {
    Json delta = {{"type", "text_delta"}, {"text", text}};
    if (block.kind == Kind::kReasoning) delta = {{"type", "thinking_delta"}, {"thinking", text}};
    if (block.kind == Kind::kCall) delta = {{"type", "input_json_delta"}, {"partial_json", text}};
    send("content_block_delta", {{"index", index}, {"delta", std::move(delta)}});
  }
  void end(ReplyBlock& block, size_t index) override {
    if (block.kind == Kind::kReasoning) {
      send("content_block_delta",
           {{"index", index}, {"delta", {{"type", "signature_delta"}, {"signature", signature(block.text)}}}});
    }
    send("content_block_stop", {{"index", index}});
  }

  void send(std::string_view type, Json event) {
    if (out_ == nullptr) return;
    Json json = {{"type", type}};
    json.update(event);
    out_->event(type, json);
  }

 private:
  EventStream* out_;
};

void reply_whole(Service& service, ChatRun& run, HttpReply& reply) {
  Writer writer(nullptr);
  ReplyBlocks blocks(writer);
  while (const auto event = run.next()) {
    for (const ReplyPiece& piece : event->pieces) blocks.push(piece);
  }
  Json message = message_json(service, new_id("msg_"));
  for (const ReplyBlock& block : blocks.all()) message["content"].push_back(block_json(block));
  message.update(stop_json(run.answer(0)));
  message["usage"] = usage_json(run.usage());
  if (run.request().influence) message["influence"] = run.answer(0).generation->influence;
  message["fieldprint"] = run.own(0);
  send_json(reply, message);
}

void reply_stream(Service& service, ChatRun& run, HttpReply& reply) {
  EventStream out(reply);
  try {
    Writer writer(&out);
    ReplyBlocks blocks(writer);
    bool begun = false;
    auto last = std::chrono::steady_clock::now();
    while (const auto event = run.next()) {
      if (!begun) {  // only now it is known how much of the prompt the cache had
        begun = true;
        Json message = message_json(service, new_id("msg_"));
        message["usage"] = usage_json({.prompt_tokens = run.prompt_tokens(), .cached_tokens = event->part.reused});
        writer.send("message_start", {{"message", std::move(message)}});
      }
      if (event->kind == ChatEvent::Kind::kPrompt) {  // a long prompt: the client sees that somebody is there
        if (std::chrono::steady_clock::now() - last < std::chrono::seconds(1)) continue;
        last = std::chrono::steady_clock::now();
        writer.send("ping", Json::object());
      }
      for (const ReplyPiece& piece : event->pieces) blocks.push(piece);
    }
    blocks.end();
    Json end = {{"delta", stop_json(run.answer(0))}, {"usage", usage_json(run.usage())}, {"fieldprint", run.own(0)}};
    if (run.request().influence) end["influence"] = run.answer(0).generation->influence;
    writer.send("message_delta", std::move(end));
    writer.send("message_stop", Json::object());
  } catch (...) {
    out.event("error", parse_body(error_body(current_error(), true)));
  }
  out.end();
}

}  // namespace

void messages(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const Fields fields(body);
  if (!fields.integer("max_tokens", 1)) fields.refuse("max_tokens", "is missing");
  const bool stream = fields.boolean("stream").value_or(false);
  ChatRun run(service, http, read_request(fields, service), reply, stream ? Watch::kPromptToo : Watch::kEnd);
  if (stream) reply_stream(service, run, reply);
  else reply_whole(service, run, reply);
}

void count_tokens(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  const ChatRequest request = read_request(Fields(body), service);
  size_t tokens = 0;
  for (const LabelledTokens& span : chat_format(service, request).spans(request.messages)) tokens += span.tokens.size();
  send_json(reply, {{"input_tokens", tokens}});
}

}  // namespace fieldprint::server::endpoints_of
