#include "chat/tool_format.h"

#include <fmt/format.h>

#include "chat/tool_schema.h"
#include "fieldprint/error.h"
#include "fieldprint/json.h"
#include "jinja/json.h"

namespace fieldprint {

using jinja::Value;

namespace formats {
#define FIELDPRINT_TOOL_FORMAT(format) extern const ToolFormat format;
#include "chat/formats.def"
#undef FIELDPRINT_TOOL_FORMAT
}  // namespace formats

const std::vector<const ToolFormat*>& tool_formats() {
  static const std::vector<const ToolFormat*> all = {
#define FIELDPRINT_TOOL_FORMAT(format) &formats::format,
#include "chat/formats.def"
#undef FIELDPRINT_TOOL_FORMAT
  };
  return all;
}

void keep_content(Reply& reply, std::string_view text, size_t begin, size_t end) {
  if (begin >= end) return;
  reply.content += text.substr(begin, end - begin);
  if (!reply.kept.empty() && reply.kept.back().end == begin) reply.kept.back().end = end;
  else reply.kept.push_back({begin, end});
}

size_t find_mark(std::string_view text, std::string_view mark, size_t at, const ReplyOptions& options) {
  while ((at = text.find(mark, at)) != text.npos && options.is_mark && !options.is_mark(at)) at += mark.size();
  return at;
}

size_t held_back(std::string_view text, std::string_view mark) {
  for (size_t n = std::min(mark.size() - 1, text.size()); n > 0; --n) {
    if (mark.starts_with(text.substr(text.size() - n))) return n;
  }
  return 0;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

namespace {

constexpr uint64_t kMaxSteps = 20'000'000, kMaxBytes = 256 << 20;  // of reading one answer's JSON
constexpr int kMaxWrapping = 4;                                    // {"function": {"function": ...

Value member(const Value& object, std::string_view name) {
  const Value* value = object.dict().find(name);
  return value != nullptr ? *value : Value();
}

ToolCall json_call(jinja::Heap& heap, Value entry) {
  for (int i = 0; entry.is(jinja::Kind::kDict) && member(entry, "function").is(jinja::Kind::kDict); ++i) {
    if (i == kMaxWrapping) throw CallRefusal("a call is wrapped too often");
    entry = member(entry, "function");
  }
  if (!entry.is(jinja::Kind::kDict) || !member(entry, "name").is_string())
    throw CallRefusal("a call should be an object with a name");
  Value arguments = member(entry, "arguments");
  if (arguments.is_missing()) arguments = member(entry, "parameters");
  if (arguments.is_string()) {
    const std::string_view text = arguments.str().view();
    arguments = trimmed(text).empty() ? Value() : jinja::parse_json(heap, text);
  }
  ToolCall call = {std::string(member(entry, "name").str().view()), "{}"};
  if (arguments.is_missing() || arguments.is_none()) return call;
  if (!arguments.is(jinja::Kind::kDict)) throw CallRefusal("the arguments of a call should be an object");
  call.arguments = jinja::dump_compact_json(heap, arguments);
  return call;
}

// use(heap), with what JSON and its bounds have to say as a CallRefusal.
template <typename Use>
auto with_heap(Use use) {
  jinja::Heap heap(kMaxSteps, kMaxBytes);
  try {
    return use(heap);
  } catch (const jinja::Failure& failure) {
    throw CallRefusal(failure.what());
  } catch (const Error& error) {  // too much of it
    throw CallRefusal(error.what());
  }
}

}  // namespace

std::vector<ToolCall> json_calls(std::string_view text) {
  return with_heap([&](jinja::Heap& heap) {
    const Value json = jinja::parse_json(heap, text);
    std::vector<ToolCall> calls;
    if (!json.is(jinja::Kind::kList)) return std::vector{json_call(heap, json)};
    for (const Value& entry : json.items().span()) calls.push_back(json_call(heap, entry));
    return calls;
  });
}

// The end of the JSON object or list that `text` begins with, by its brackets outside of strings; npos: it has none.
static size_t json_end(std::string_view text) {
  int depth = 0;
  bool string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (string) {
      if (c == '\\') ++i;
      else if (c == '"') string = false;
    } else if (c == '"') {
      string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

std::vector<ToolCall> bare_calls(std::string_view text, std::string_view tools) {
  const ToolSchema schema(tools);
  std::vector<ToolCall> calls;
  for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
    if (!text.starts_with('{') && !text.starts_with('[')) throw CallRefusal("a text follows the call");
    const size_t end = json_end(text);
    if (end == text.npos) throw CallRefusal("the JSON of a call has no end");
    for (ToolCall& call : json_calls(text.substr(0, end))) {
      if (!schema.has(call.name)) throw CallRefusal("no function is named " + call.name);
      calls.push_back(std::move(call));
    }
    text = trimmed(text.substr(end));
    if (text.starts_with(';')) text.remove_prefix(1);
  }
  return calls;
}

std::string calls_text(const std::vector<ToolCall>& calls) {
  std::string text;
  for (const ToolCall& call : calls) {
    text += fmt::format(R"({}{{"name": {}, "arguments": {}}})", text.empty() ? "" : ", ", json_string(call.name),
                        call.arguments);
  }
  return "[" + text + "]";
}

std::vector<std::pair<std::string, std::string>> json_members(std::string_view json) {
  return with_heap([&](jinja::Heap& heap) {
    std::vector<std::pair<std::string, std::string>> members;
    const Value object = jinja::parse_json(heap, json);
    if (!object.is(jinja::Kind::kDict)) throw CallRefusal("the arguments of a call should be an object");
    for (const auto& [name, value] : object.dict().entries)
      members.emplace_back(name.str().view(), jinja::dump_compact_json(heap, value));
    return members;
  });
}

std::string json_arguments(std::string_view text) {
  if (trimmed(text).empty()) return "{}";
  return with_heap([&](jinja::Heap& heap) {
    const Value json = jinja::parse_json(heap, text);
    if (!json.is(jinja::Kind::kDict)) throw CallRefusal("the arguments of a call should be an object");
    return jinja::dump_compact_json(heap, json);
  });
}

std::optional<std::string> compact_json(std::string_view text) {
  try {
    return with_heap([&](jinja::Heap& heap) { return jinja::dump_compact_json(heap, jinja::parse_json(heap, text)); });
  } catch (const CallRefusal&) {
    return std::nullopt;
  }
}

}  // namespace fieldprint
