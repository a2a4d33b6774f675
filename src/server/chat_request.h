// A conversation that is to be answered, whichever API it came by.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "fieldprint/chat.h"
#include "fieldprint/sampling.h"
#include "server/constraint.h"
#include "server/fields.h"
#include "server/service.h"

namespace fieldprint::server {

struct ChatRequest {
  std::vector<Message> messages;
  std::string tools = {};  // of tools_from_json(); "" = none
  enum class ToolChoice { kAuto, kNone, kRequired } tool_choice = ToolChoice::kAuto;
  std::string function = {};  // the one that must be called; "" = any
  bool parallel_calls = true;
  Constraint::Kind format = Constraint::Kind::kNone;
  std::string format_text = {};
  std::string variables = {};  // a JSON object for the chat template; "" = none
  bool split_reasoning = true;
  bool truncate = false;  // where it is too long, its oldest messages go

  SamplingOptions sampling = {};
  int answers = 1;
  int clearance = std::numeric_limits<int>::max();
  bool influence = false;
  bool exchange = false;  // the reply holds what `replay` needs
};

// From the body of /v1/chat/completions. Throws ApiError 400.
ChatRequest read_chat(const Fields& fields, Service& service);

// ---- For the other APIs.

// `value`: a list of functions as the OpenAI API has them. Throws ApiError 400.
std::string read_tools(const Fields& fields, const Json& value);
// none, auto, required or a function, as the OpenAI API has them.
void read_tool_choice(const Fields& fields, ChatRequest& request);
// `source` and `clearance` of a message.
void read_label(const Fields& fields, Message& message);
// The text of `content`: a string, or a list of parts of which only text is taken. Throws ApiError 400 for others.
std::string read_content(const Fields& fields, std::string_view name);
// The object `name`: json_object, json_schema and Fieldprint's own names of formats.
void read_response_format(const Fields& fields, std::string_view name, ChatRequest& request);
// A variable of the chat template, unless the request's chat_template_kwargs names it: after read_common().
void set_variable(ChatRequest& request, const std::string& name, const Json& value);
// "none", "low" ...: as the variables that templates know it by.
void set_effort(ChatRequest& request, const std::string& effort);
// Members that all APIs share: sampling, n, clearance, influence, chat_template_kwargs, grammar ...
void read_common(const Fields& fields, Service& service, ChatRequest& request);

}  // namespace fieldprint::server
