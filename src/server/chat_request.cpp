#include "server/chat_request.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/sampling_fields.h"

namespace fieldprint::server {
namespace {

std::string part_path(const Fields& fields, std::string_view name, size_t index) {
  return fmt::format("{}[{}]", fields.path(name), index);
}

// The calls that an assistant's message made.
std::vector<ToolCall> read_calls(const Fields& message) {
  std::vector<ToolCall> calls;
  const Json* list = message.array("tool_calls");
  if (list == nullptr) return calls;
  for (const Json& entry : *list) {
    const Fields call(entry, part_path(message, "tool_calls", calls.size()));
    const Json* function = call.object("function");
    if (function == nullptr) call.refuse("function", "is missing");
    const Fields inner(*function, call.path("function"));
    ToolCall made{inner.required_string("name"), "{}"};
    const Json* arguments = inner.find("arguments");
    if (arguments != nullptr && arguments->is_object()) made.arguments = dump(*arguments);
    else if (auto text = inner.string("arguments"); text && !text->empty()) made.arguments = *text;
    try {
      if (!parse_body(made.arguments).is_object()) throw ApiError(400, "");
    } catch (const ApiError&) {
      inner.refuse("arguments", "should be a JSON object, written as a string");
    }
    calls.push_back(std::move(made));
  }
  return calls;
}

SpanKind kind_of_role(const std::string& role) {
  if (role == "system") return SpanKind::kSystem;
  if (role == "tool") return SpanKind::kTool;
  if (role == "assistant") return SpanKind::kGenerated;
  return SpanKind::kUser;
}

std::vector<Message> read_messages(const Fields& fields) {
  std::vector<Message> messages;
  const Json& list = fields.required_array("messages");
  if (list.empty()) fields.refuse("messages", "should hold at least one message");
  for (const Json& entry : list) {
    const Fields fields_of(entry, part_path(fields, "messages", messages.size()));
    Message message{.role = fields_of.required_string("role"), .content = read_content(fields_of, "content")};
    if (message.role == "developer") message.role = "system";
    if (message.role == "function") message.role = "tool";
    static constexpr std::string_view kRoles[] = {"system", "user", "assistant", "tool"};
    if (std::find(std::begin(kRoles), std::end(kRoles), message.role) == std::end(kRoles))
      fields_of.refuse("role",
                       fmt::format("is '{}'; system, developer, user, assistant and tool are known", message.role));
    message.calls = read_calls(fields_of);
    for (const char* name : {"reasoning_content", "reasoning"}) {
      if (const Json* reasoning = fields_of.find(name); reasoning != nullptr && reasoning->is_string())
        message.reasoning = reasoning->get<std::string>();
    }
    read_label(fields_of, message);
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace

void read_tool_choice(const Fields& fields, ChatRequest& request) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr) return;
  using Choice = ChatRequest::ToolChoice;
  if (choice->is_string()) {
    const auto name = choice->get<std::string>();
    if (name == "none") request.tool_choice = Choice::kNone;
    else if (name == "required" || name == "any") request.tool_choice = Choice::kRequired;
    else if (name != "auto") fields.refuse("tool_choice", "should be none, auto, required or a function");
    return;
  }
  const Fields inner(*choice, fields.path("tool_choice"));
  const Json* function = inner.object("function");
  request.tool_choice = Choice::kRequired;
  request.function = function != nullptr ? Fields(*function, inner.path("function")).required_string("name")
                                         : inner.required_string("name");
}

void read_label(const Fields& fields, Message& message) {
  const auto source = fields.string("source");
  const auto clearance = fields.integer("clearance", 0, std::numeric_limits<int>::max());
  if (!source && !clearance) return;
  message.label = SpanLabel{.kind = source ? SpanKind::kRetrieved : kind_of_role(message.role),
                            .source = source.value_or(""),
                            .clearance = static_cast<int>(clearance.value_or(0))};
}

std::string read_content(const Fields& fields, std::string_view name) {
  const Json* content = fields.find(name);
  if (content == nullptr) return {};
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) fields.refuse(name, "should be a string or an array of parts");
  std::string text;
  size_t index = 0;
  for (const Json& entry : *content) {
    const std::string path = part_path(fields, name, index++);
    if (entry.is_string()) {
      text += entry.get<std::string>();
      continue;
    }
    const Fields part(entry, path);
    const std::string type = part.string("type").value_or("text");
    if (type != "text" && type != "input_text" && type != "output_text" && type != "refusal")
      part.refuse("type", fmt::format("is '{}', and this model reads text alone", type));
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    text += part.required_string(type == "refusal" ? "refusal" : "text");
  }
  return text;
}

std::string read_tools(const Fields& fields, const Json& value) {
  if (value.empty()) return {};
  try {
    return tools_from_json(dump(value));
  } catch (const Error& error) {
    fields.refuse("tools", fmt::format("cannot be read: {}", error.what()));
  }
}

void set_variable(ChatRequest& request, const std::string& name, const Json& value) {
  Json variables = request.variables.empty() ? Json::object() : parse_body(request.variables);
  if (variables.contains(name)) return;
  variables[name] = value;
  request.variables = dump(variables);
}

void set_effort(ChatRequest& request, const std::string& effort) {
  set_variable(request, "enable_thinking", effort != "none");
  if (effort != "none") set_variable(request, "reasoning_effort", effort);
}

void read_response_format(const Fields& fields, std::string_view name, ChatRequest& request) {
  const Json* format = fields.object(name);
  if (format == nullptr) return;
  const Fields inner(*format, fields.path(name));
  const std::string type = inner.required_string("type");
  using Kind = Constraint::Kind;
  if (type == "text") {
    request.format = Kind::kNone;
  } else if (type == "json_object" || type == "json_schema") {
    // llama.cpp has the schema beside the type, OpenAI inside json_schema; its newer API beside the type too.
    const Json* schema = inner.object("schema");
    if (const Json* wrapped = inner.object("json_schema"); schema == nullptr && wrapped != nullptr) {
      schema = Fields(*wrapped, inner.path("json_schema")).find("schema");
      if (schema == nullptr) Fields(*wrapped, inner.path("json_schema")).refuse("schema", "is missing");
    }
    if (type == "json_schema" && schema == nullptr) inner.refuse("json_schema", "is missing");
    request.format = schema != nullptr ? Kind::kJsonSchema : Kind::kJsonObject;
    if (schema != nullptr) request.format_text = dump(*schema);
  } else if (type == "grammar") {
    request.format = Kind::kGbnf;
    request.format_text = inner.required_string("grammar");
  } else if (type == "regex") {
    request.format = Kind::kRegex;
    request.format_text = inner.string("regex").value_or(inner.string("pattern").value_or(""));
  } else {
    inner.refuse("type", fmt::format("is '{}'; text, json_object, json_schema, grammar and regex are known", type));
  }
}

void read_common(const Fields& fields, Service& service, ChatRequest& request) {
  using Kind = Constraint::Kind;
  request.sampling = read_sampling(fields, service.options.sampling, service.tokenizer());
  request.answers = static_cast<int>(fields.integer("n", 1, service.options.scheduler.streams).value_or(1));
  request.clearance =
      static_cast<int>(fields.integer("clearance", 0, std::numeric_limits<int>::max()).value_or(request.clearance));
  request.influence = fields.boolean("influence").value_or(false);
  request.exchange = fields.boolean("exchange").value_or(false);
  request.truncate = fields.string("truncation").value_or("disabled") == "auto";
  if (const Json* variables = fields.object("chat_template_kwargs")) {
    for (const char* own : {"messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token"}) {
      if (variables->contains(own))
        fields.refuse("chat_template_kwargs", fmt::format("may not set '{}', which the server sets itself", own));
    }
    request.variables = dump(*variables);
  }
  if (const auto effort = fields.string("reasoning_effort")) set_effort(request, *effort);
  read_response_format(fields, "response_format", request);
  if (const auto grammar = fields.string("grammar"); grammar && !grammar->empty())
    request.format = Kind::kGbnf, request.format_text = *grammar;
  if (const Json* schema = fields.find("json_schema"))
    request.format = Kind::kJsonSchema, request.format_text = dump(*schema);
  for (const char* name : {"regex", "guided_regex"}) {
    if (const auto regex = fields.string(name)) request.format = Kind::kRegex, request.format_text = *regex;
  }
  request.split_reasoning = fields.string("reasoning_format").value_or("auto") != "none";
}

ChatRequest read_chat(const Fields& fields, Service& service) {
  ChatRequest request;
  request.messages = read_messages(fields);
  if (const Json* tools = fields.array("tools")) request.tools = read_tools(fields, *tools);
  read_tool_choice(fields, request);
  request.parallel_calls = fields.boolean("parallel_tool_calls").value_or(true);
  read_common(fields, service, request);
  return request;
}

}  // namespace fieldprint::server
