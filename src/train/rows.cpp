#include "train/rows.h"

#include <fmt/format.h>

#include "base/json.h"
#include "base/utf8.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kFaultNames[kRowFaults] = {"not UTF-8",
                                                      "no JSON object",
                                                      "of no known shape",
                                                      "with an unknown role",
                                                      "empty",
                                                      "all masked",
                                                      "that the template cannot say",
                                                      "too long",
                                                      "without a whole answer",
                                                      "of another vocabulary",
                                                      "without token ids or probabilities",
                                                      "whose probabilities are not theirs"};

[[noreturn]] void refuse(RowFault fault, std::string detail) { throw RowError{fault, std::move(detail)}; }

// Who speaks, by all names in use; "" for one that is not known.
std::string_view role_of(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"system", "system"},     {"developer", "developer"},    {"user", "user"},
      {"human", "user"},        {"assistant", "assistant"},    {"gpt", "assistant"},
      {"chatgpt", "assistant"}, {"model", "assistant"},        {"tool", "tool"},
      {"observation", "tool"},  {"function_response", "tool"}, {"function_call", "assistant"}};
  for (const auto& [known, role] : kNames) {
    if (known == name) return role;
  }
  return {};
}

const std::string& string_of(const ordered_json& value, std::string_view field) {
  if (!value.is_string()) refuse(RowFault::kShape, fmt::format("\"{}\" is no string", field));
  return value.get_ref<const std::string&>();
}

// A string, nothing, or a list of parts whose texts are joined.
std::string content_of(const ordered_json& value) {
  if (value.is_null()) return {};
  if (!value.is_array()) return string_of(value, "content");
  std::string text;
  for (const auto& part : value) {
    const bool is_text = part.is_object() && part.contains("type") && part["type"] == "text" && part.contains("text");
    if (!is_text) refuse(RowFault::kShape, "a part of \"content\" is no text");
    text += string_of(part["text"], "text");
  }
  return text;
}

// JSON in a text of the row, with the limits of the row itself.
ordered_json parsed(const std::string& text, std::string_view what) {
  try {
    return parse_ordered_json(text, {});
  } catch (const Error& error) {
    refuse(RowFault::kShape, fmt::format("{}: {}", what, error.what()));
  }
}

ToolCall call_of(const ordered_json& value) {
  const ordered_json& function = value.is_object() && value.contains("function") ? value["function"] : value;
  if (!function.is_object() || !function.contains("name")) refuse(RowFault::kShape, "a tool call has no \"name\"");
  ToolCall call{string_of(function["name"], "name"), "{}"};
  if (const auto arguments = function.find("arguments"); arguments != function.end()) {
    if (arguments->is_object()) {
      call.arguments = arguments->dump();
    } else {  // the OpenAI API has the object as text
      call.arguments = string_of(*arguments, "arguments");
      if (!parsed(call.arguments, "\"arguments\"").is_object())
        refuse(RowFault::kShape, "a tool call's \"arguments\" are no JSON object");
    }
  }
  return call;
}

// The first of the keys that is there.
const ordered_json* find(const ordered_json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const auto found = object.find(key); found != object.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

void add_message(Row& row, const ordered_json& entry, bool learn) {
  if (!entry.is_object()) refuse(RowFault::kShape, "a message is no object");
  const ordered_json* role = find(entry, {"role", "from"});
  if (role == nullptr) refuse(RowFault::kShape, "a message has no \"role\"");
  const std::string& name = string_of(*role, "role");
  Message message{.role = std::string(role_of(name)), .content = {}};
  if (message.role.empty()) refuse(RowFault::kRole, fmt::format("nobody is called \"{}\"", name.substr(0, 40)));
  if (const ordered_json* content = find(entry, {"content", "value"})) message.content = content_of(*content);
  if (name == "function_call") {
    message.calls.push_back(call_of(parsed(message.content, "a function_call")));
    message.content.clear();
  }
  if (const ordered_json* thought = find(entry, {"reasoning_content", "reasoning", "thinking"}))
    message.reasoning = string_of(*thought, "reasoning_content");
  if (const ordered_json* calls = find(entry, {"tool_calls"})) {
    if (!calls->is_array()) refuse(RowFault::kShape, "\"tool_calls\" is no list");
    for (const auto& call : *calls) message.calls.push_back(call_of(call));
  }
  const ordered_json* weight = find(entry, {"weight"});
  if (weight != nullptr && !weight->is_number()) refuse(RowFault::kShape, "\"weight\" is no number");
  const bool says = !message.content.empty() || !message.calls.empty() || !message.reasoning.empty();
  const bool counts = weight == nullptr || weight->get<double>() > 0;
  row.learned.push_back(learn && counts && says && message.role == "assistant");
  row.messages.push_back(std::move(message));
}

void add_messages(Row& row, const ordered_json& list, std::string_view field, bool learn) {
  if (!list.is_array()) refuse(RowFault::kShape, fmt::format("\"{}\" is no list", field));
  for (const auto& entry : list) add_message(row, entry, learn);
}

void add_pair(Row& row, const ordered_json& prompt, const ordered_json& completion, bool raw) {
  const bool texts = prompt.is_string() && completion.is_string();
  if (texts && raw) {
    row.before = prompt;
    row.text = completion;
    return;
  }
  const auto add = [&](const ordered_json& part, const char* role, const char* field, bool learn) {
    if (part.is_array()) return add_messages(row, part, field, learn);
    add_message(row, {{"role", role}, {"content", string_of(part, field)}}, learn);
  };
  add(prompt, "user", "prompt", false);
  add(completion, "assistant", "completion", true);
}

}  // namespace

std::string_view row_fault_name(RowFault fault) { return kFaultNames[static_cast<size_t>(fault)]; }

Row text_row(std::string_view text) {
  if (!is_utf8(text)) refuse(RowFault::kUtf8, "there are bytes that are not UTF-8");
  if (text.empty()) refuse(RowFault::kEmpty, "it says nothing");
  Row row;
  row.text = text;
  return row;
}

Row read_row(std::string_view line, const RowOptions& options) {
  if (!is_utf8(line)) refuse(RowFault::kUtf8, "there are bytes that are not UTF-8");
  ordered_json json;
  try {
    json = parse_ordered_json(line, {});
  } catch (const Error& error) {
    refuse(RowFault::kJson, error.what());
  }
  if (!json.is_object()) refuse(RowFault::kJson, "this is no JSON object");
  Row row;
  const ordered_json* prompt = find(json, {"prompt"});
  const ordered_json* completion = find(json, {"completion"});
  if (const ordered_json* messages = find(json, {"messages"})) {
    add_messages(row, *messages, "messages", true);
  } else if (const ordered_json* turns = find(json, {"conversations"})) {
    add_messages(row, *turns, "conversations", true);
  } else if (prompt != nullptr && completion != nullptr) {
    add_pair(row, *prompt, *completion, options.raw);
  } else if (const ordered_json* text = find(json, {"text"})) {
    row.text = string_of(*text, "text");
  } else {
    refuse(RowFault::kShape, "there is no \"messages\", \"prompt\" with \"completion\", \"conversations\" or \"text\"");
  }
  const ordered_json* system = find(json, {"system"});
  if (system != nullptr && !row.messages.empty() && row.messages[0].role != "system") {
    row.messages.insert(row.messages.begin(), {"system", string_of(*system, "system")});
    row.learned.insert(row.learned.begin(), false);
  }
  if (const ordered_json* tools = find(json, {"tools"}); tools != nullptr && !tools->empty()) {
    try {  // some data sets have the list as text
      row.tools = tools_from_json(tools->is_string() ? tools->get<std::string>() : tools->dump());
    } catch (const Error& error) {
      refuse(RowFault::kShape, fmt::format("\"tools\": {}", error.what()));
    }
  }
  if (row.messages.empty() && row.text.empty()) refuse(RowFault::kEmpty, "it says nothing");
  if (!row.messages.empty() && std::find(row.learned.begin(), row.learned.end(), true) == row.learned.end())
    refuse(RowFault::kMasked, "no assistant says anything");
  return row;
}

}  // namespace fieldprint
