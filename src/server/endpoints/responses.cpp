// POST /v1/responses, and what is kept of them: https://platform.openai.com/docs/api-reference/responses
#include <fmt/format.h>

#include "server/chat_run.h"
#include "server/endpoint.h"
#include "server/event_stream.h"
#include "server/openai.h"
#include "server/reply_blocks.h"
#include "server/sampling_fields.h"

namespace fieldprint::server::endpoints_of {
namespace {

using Kind = ReplyPiece::Kind;

// ---- Items become messages.

// The texts of a list of parts: of a summary, of reasoning.
std::string read_texts(const Fields& item, std::string_view name) {
  std::string text;
  const Json* list = item.array(name);
  if (list == nullptr) return text;
  size_t index = 0;
  for (const Json& entry : *list) {
    if (!text.empty()) text += '\n';
    text += Fields(entry, fmt::format("{}[{}]", item.path(name), index++)).required_string("text");
  }
  return text;
}

// Reasoning, calls and text of the assistant that follow each other are one message.
class Items {
 public:
  explicit Items(std::vector<Message>& messages) : messages_(messages) {}

  void add(const Fields& item) {
    const std::string type = item.string("type").value_or(item.has("role") ? "message" : "");
    if (type == "message") {
      add_message(item);
    } else if (type == "reasoning") {
      std::string text = read_texts(item, "content");
      if (text.empty()) text = read_texts(item, "summary");
      Message& message = assistant();
      if (!message.content.empty() || !message.calls.empty()) fresh();
      messages_.back().reasoning += text;
    } else if (type == "function_call") {
      ToolCall call{item.required_string("name"), item.required_string("arguments")};
      if (call.arguments.empty()) call.arguments = "{}";
      if (!Json::parse(call.arguments, nullptr, false).is_object())
        item.refuse("arguments", "should be a JSON object, written as a string");
      assistant().calls.push_back(std::move(call));
    } else if (type == "function_call_output") {
      Message result{.role = "tool", .content = read_content(item, "output")};
      read_label(item, result);
      messages_.push_back(std::move(result));
    } else {
      item.refuse("type",
                  fmt::format("is '{}'; message, reasoning, function_call and function_call_output are known", type));
    }
  }

 private:
  void add_message(const Fields& item) {
    std::string role = item.required_string("role");
    if (role == "developer") role = "system";
    if (role != "system" && role != "user" && role != "assistant")
      item.refuse("role", fmt::format("is '{}'; user, assistant, system and developer are known", role));
    if (!item.has("content")) item.refuse("content", "is missing");
    Message message{.role = role, .content = read_content(item, "content")};
    read_label(item, message);
    if (role == "assistant" && !messages_.empty() && messages_.back().role == role &&
        messages_.back().content.empty() && messages_.back().calls.empty()) {
      message.reasoning = messages_.back().reasoning;
      messages_.pop_back();
    }
    messages_.push_back(std::move(message));
  }
  void fresh() { messages_.push_back({.role = "assistant", .content = {}}); }
  Message& assistant() {
    if (messages_.empty() || messages_.back().role != "assistant") fresh();
    return messages_.back();
  }

  std::vector<Message>& messages_;
};

// ---- The request.

struct Wish {
  ChatRequest chat;
  bool stream = false, store = true, logprobs = false;
  std::string key;     // whose it is
  Json input, before;  // the request's items; those of the response that it goes on from
  Json reply;          // the response as far as the request determines it
};

// The request's items, each with an id and a type.
Json read_input(const Fields& fields) {
  const Json* input = fields.find("input");
  if (input == nullptr) fields.refuse("input", "is missing");
  Json items = Json::array();
  if (input->is_string()) {
    items.push_back({{"id", new_id("msg_")},
                     {"type", "message"},
                     {"role", "user"},
                     {"content", Json::array({{{"type", "input_text"}, {"text", *input}}})}});
    return items;
  }
  if (!input->is_array() || input->empty()) fields.refuse("input", "should be a text or a list of items");
  for (const Json& entry : *input) {
    const Fields item(entry, fmt::format("input[{}]", items.size()));
    Json full = {{"id", item.string("id").value_or(new_id("item_"))},
                 {"type", item.string("type").value_or(item.has("role") ? "message" : "")}};
    for (const auto& [name, value] : entry.items())
      if (name != "id" && name != "type") full[name] = value;
    items.push_back(std::move(full));
  }
  return items;
}

void read_tools(const Fields& fields, ChatRequest& request) {
  const Json* list = fields.array("tools");
  if (list == nullptr) return;
  Json functions = Json::array();
  for (const Json& entry : *list) {
    const Fields tool(entry, fmt::format("tools[{}]", functions.size()));
    const std::string type = tool.required_string("type");
    if (type != "function") tool.refuse("type", fmt::format("is '{}': the server has no tools of its own", type));
    if (tool.has("function")) {  // as chat completions have it
      functions.push_back(entry);
      continue;
    }
    Json function = {{"name", tool.required_string("name")}};
    for (const char* name : {"description", "parameters", "strict"})
      if (const Json* value = tool.find(name)) function[name] = *value;
    functions.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  request.tools = server::read_tools(fields, functions);
}

Wish read_wish(const Fields& fields, const HttpRequest& http, Service& service) {
  for (const char* name : {"conversation", "prompt"})
    if (fields.has(name)) fields.refuse(name, "is not supported: send its messages as input, or previous_response_id");
  if (fields.boolean("background").value_or(false)) fields.refuse("background", "is not supported: use stream");
  Wish wish;
  wish.key = http.key;
  ChatRequest& request = wish.chat;
  const std::string instructions = read_content(fields, "instructions");
  if (!instructions.empty()) request.messages.push_back({.role = "system", .content = instructions});

  Items items(request.messages);
  wish.before = Json::array();
  const auto previous = fields.string("previous_response_id");
  if (previous) wish.before = parse_body(service.responses.get(wish.key, *previous, "previous_response_id")->items);
  for (const Json& entry : wish.before) items.add(Fields(entry, "previous_response_id"));
  wish.input = read_input(fields);
  for (size_t i = 0; i < wish.input.size(); ++i) items.add(Fields(wish.input[i], fmt::format("input[{}]", i)));

  read_tools(fields, request);
  read_tool_choice(fields, request);
  request.parallel_calls = fields.boolean("parallel_tool_calls").value_or(true);
  read_common(fields, service, request);
  if (request.answers != 1) fields.refuse("n", "is not known in this API: one answer a request");
  const auto most = fields.integer("max_output_tokens", 1, 1'000'000'000);
  if (most) request.sampling.max_tokens = static_cast<int>(*most);
  if (const Json* text = fields.object("text")) read_response_format(Fields(*text, "text"), "format", request);
  if (const Json* reasoning = fields.object("reasoning"))
    if (const auto effort = Fields(*reasoning, "reasoning").string("effort")) set_effort(request, *effort);

  wish.stream = fields.boolean("stream").value_or(false);
  wish.store = fields.boolean("store").value_or(true);
  const auto top = fields.integer("top_logprobs", 0, 20);
  for (const std::string& name : fields.strings("include")) wish.logprobs |= name == "message.output_text.logprobs";
  if (wish.logprobs) request.sampling.logprobs = static_cast<int>(top.value_or(0));

  const auto given = [&](const char* name, Json otherwise) {
    const Json* value = fields.find(name);
    return value != nullptr ? *value : std::move(otherwise);
  };
  wish.reply = {{"id", new_id("resp_")},
                {"object", "response"},
                {"created_at", unix_time()},
                {"status", "in_progress"},
                {"background", false},
                {"error", nullptr},
                {"incomplete_details", nullptr},
                {"instructions", instructions.empty() ? Json() : Json(instructions)},
                {"max_output_tokens", most ? Json(*most) : Json()},
                {"model", service.model_name},
                {"output", Json::array()},
                {"parallel_tool_calls", request.parallel_calls},
                {"previous_response_id", previous ? Json(*previous) : Json()},
                {"reasoning", given("reasoning", {{"effort", nullptr}, {"summary", nullptr}})},
                {"store", wish.store},
                {"temperature", decimal(request.sampling.temperature)},
                {"text", given("text", {{"format", {{"type", "text"}}}})},
                {"tool_choice", given("tool_choice", "auto")},
                {"tools", given("tools", Json::array())},
                {"top_logprobs", top.value_or(0)},
                {"top_p", decimal(request.sampling.top_p)},
                {"truncation", request.truncate ? "auto" : "disabled"},
                {"usage", nullptr},
                {"user", given("user", nullptr)},
                {"metadata", given("metadata", Json::object())}};
  return wish;
}

// ---- The reply.

Json text_part(const std::string& text, const Json& logprobs) {
  return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", logprobs}};
}

Json summary_part(const std::string& text) { return {{"type", "summary_text"}, {"text", text}}; }

// Makes output items of blocks and, in a stream, says them as events.
class Writer final : public ReplyBlocks::Listener {
 public:
  Writer(Service& service, const Wish& wish, EventStream* out) : service_(service), wish_(wish), out_(out) {}

  void take(const ChatEvent& event, ReplyBlocks& blocks) {
    if (wish_.logprobs) {
      for (Json& each : logprobs_json(service_.tokenizer(), event.part.logprobs)) pending_.push_back(std::move(each));
    }
    for (const ReplyPiece& piece : event.pieces) blocks.push(piece);
    if (!event.pieces.empty()) pending_ = Json::array();  // they were of reasoning, or of a call
  }

  void begin(ReplyBlock& block, size_t index) override {
    block.id = new_id(block.kind == Kind::kReasoning ? "rs_" : block.kind == Kind::kCall ? "fc_" : "msg_");
    logprobs_ = Json::array();
    Json item = item_json(block, "in_progress");
    if (block.kind == Kind::kContent) item["content"] = Json::array();
    if (block.kind == Kind::kReasoning) item["summary"] = Json::array();
    send("response.output_item.added", {{"output_index", index}, {"item", std::move(item)}});
    if (block.kind == Kind::kContent) part(block, index, "response.content_part.added", text_part("", Json::array()));
    if (block.kind == Kind::kReasoning) part(block, index, "response.reasoning_summary_part.added", summary_part(""));
  }

  void more(ReplyBlock& block, size_t index, std::string_view text) override {
    Json event = place(block, index);
    event["delta"] = text;
    switch (block.kind) {
      case Kind::kReasoning:
        return send("response.reasoning_summary_text.delta", std::move(event));
      case Kind::kCall:
        return send("response.function_call_arguments.delta", std::move(event));
      default:
        if (block.text.size() == text.size()) drop_marks(text);
        for (const Json& each : pending_) logprobs_.push_back(each);
        event["logprobs"] = std::exchange(pending_, Json::array());
        return send("response.output_text.delta", std::move(event));
    }
  }

  void end(ReplyBlock& block, size_t index) override {
    Json event = place(block, index);
    switch (block.kind) {
      case Kind::kReasoning:
        event["text"] = block.text;
        send("response.reasoning_summary_text.done", std::move(event));
        part(block, index, "response.reasoning_summary_part.done", summary_part(block.text));
        break;
      case Kind::kCall:
        event["name"] = block.name;
        event["arguments"] = block.text;
        send("response.function_call_arguments.done", std::move(event));
        break;
      default:
        event["text"] = block.text;
        event["logprobs"] = logprobs_;
        send("response.output_text.done", std::move(event));
        part(block, index, "response.content_part.done", text_part(block.text, logprobs_));
    }
    output_.push_back(item_json(block, cut_ ? "incomplete" : "completed"));
    send("response.output_item.done", {{"output_index", index}, {"item", output_.back()}});
  }

  // The whole response, after the last block.
  Json finish(const ChatRun& run, ReplyBlocks& blocks) {
    const ChatAnswer& answer = run.answer(0);
    cut_ = openai_finish(answer.generation->reason, false) == "length";
    blocks.end();
    Json reply = wish_.reply;
    reply["status"] = cut_ ? "incomplete" : "completed";
    if (cut_) reply["incomplete_details"] = {{"reason", "max_output_tokens"}};
    reply["completed_at"] = unix_time();
    reply["output"] = output_;
    const ChatUsage usage = run.usage();
    reply["usage"] = {{"input_tokens", usage.prompt_tokens},
                      {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
                      {"output_tokens", usage.tokens},
                      {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
                      {"total_tokens", usage.prompt_tokens + usage.tokens}};
    if (usage.dropped_messages > 0) reply["usage"]["dropped_messages"] = usage.dropped_messages;
    if (run.request().influence) reply["influence"] = answer.generation->influence;
    reply["fieldprint"] = run.own(0);
    return reply;
  }

  void send(std::string_view type, Json event) {
    if (out_ == nullptr) return;
    Json json = {{"type", type}, {"sequence_number", sequence_++}};
    json.update(event);
    out_->event(type, json);
  }

 private:
  Json item_json(const ReplyBlock& block, std::string_view status) const {
    switch (block.kind) {
      case Kind::kReasoning:
        return {{"id", block.id},
                {"type", "reasoning"},
                {"status", status},
                {"summary", Json::array({summary_part(block.text)})}};
      case Kind::kCall:
        return {{"id", block.id},     {"type", "function_call"},
                {"status", status},   {"call_id", "call_" + block.id.substr(3)},
                {"name", block.name}, {"arguments", block.text}};
      default:
        return {{"id", block.id},
                {"type", "message"},
                {"status", status},
                {"role", "assistant"},
                {"content", Json::array({text_part(block.text, logprobs_)})}};
    }
  }

  // What came before `text`, the first of a block, without being part of it: the end of a thought.
  void drop_marks(std::string_view text) {
    for (;;) {
      std::string after;
      for (size_t i = 1; i < pending_.size(); ++i) after += pending_[i]["token"].get<std::string>();
      if (after.find(text) == after.npos) return;
      pending_.erase(0);
    }
  }

  static Json place(const ReplyBlock& block, size_t index) {
    Json event = {{"item_id", block.id}, {"output_index", index}};
    if (block.kind == Kind::kContent) event["content_index"] = 0;
    if (block.kind == Kind::kReasoning) event["summary_index"] = 0;
    return event;
  }

  void part(const ReplyBlock& block, size_t index, std::string_view type, Json json) {
    Json event = place(block, index);
    event["part"] = std::move(json);
    send(type, std::move(event));
  }

  Service& service_;
  const Wish& wish_;
  EventStream* out_;
  int sequence_ = 0;
  bool cut_ = false;
  Json output_ = Json::array();
  Json pending_ = Json::array(), logprobs_ = Json::array();  // not given out yet; of the open block
};

void keep(Service& service, const Wish& wish, const Json& response) {
  if (!wish.store) return;
  Json items = wish.before;
  for (const Json* list : {&wish.input, &response["output"]})
    for (const Json& item : *list) items.push_back(item);
  service.responses.put({.owner = wish.key,
                         .id = response["id"].get<std::string>(),
                         .response = dump(response),
                         .input = dump(wish.input),
                         .items = dump(items)});
}

void reply_whole(Service& service, ChatRun& run, const Wish& wish, HttpReply& reply) {
  Writer writer(service, wish, nullptr);
  ReplyBlocks blocks(writer);
  while (const auto event = run.next()) writer.take(*event, blocks);
  const Json response = writer.finish(run, blocks);
  keep(service, wish, response);
  send_json(reply, response);
}

void reply_stream(Service& service, ChatRun& run, const Wish& wish, HttpReply& reply) {
  EventStream out(reply);
  Writer writer(service, wish, &out);
  try {
    writer.send("response.created", {{"response", wish.reply}});
    writer.send("response.in_progress", {{"response", wish.reply}});
    ReplyBlocks blocks(writer);
    while (const auto event = run.next()) writer.take(*event, blocks);
    const Json response = writer.finish(run, blocks);
    keep(service, wish, response);
    writer.send("response." + response["status"].get<std::string>(), {{"response", response}});
  } catch (...) {
    const ApiError error = current_error();
    Json response = wish.reply;
    response["status"] = "failed";
    response["error"] = {{"code", error.code.empty() ? "server_error" : error.code}, {"message", error.what()}};
    writer.send("response.failed", {{"response", std::move(response)}});
  }
  out.end();
}

}  // namespace

void responses(Service& service, const HttpRequest& http, HttpReply& reply) {
  const Json body = parse_body(http.body);
  Wish wish = read_wish(Fields(body), http, service);
  ChatRun run(service, http, std::move(wish.chat), reply, wish.stream ? Watch::kTokens : Watch::kEnd);
  if (wish.stream) reply_stream(service, run, wish, reply);
  else reply_whole(service, run, wish, reply);
}

void show_response(Service& service, const HttpRequest& http, HttpReply& reply) {
  reply.send({.body = service.responses.get(http.key, http.parameters.at("response"), "id")->response});
}

void delete_response(Service& service, const HttpRequest& http, HttpReply& reply) {
  const std::string& id = http.parameters.at("response");
  service.responses.remove(http.key, id);
  send_json(reply, {{"id", id}, {"object", "response.deleted"}, {"deleted", true}});
}

void list_input_items(Service& service, const HttpRequest& http, HttpReply& reply) {
  const auto stored = service.responses.get(http.key, http.parameters.at("response"), "id");
  const Json items = parse_body(stored->input);
  send_json(reply, {{"object", "list"},
                    {"data", items},
                    {"first_id", items.front()["id"]},
                    {"last_id", items.back()["id"]},
                    {"has_more", false}});
}

}  // namespace fieldprint::server::endpoints_of
