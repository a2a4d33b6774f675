// Tool calls in answers: one row a format, found by a mark in the template's source.
#include <algorithm>
#include <optional>

#include "chat/python_literal.h"
#include "fieldprint/chat_template.h"
#include "fieldprint/error.h"
#include "jinja/json.h"

namespace fieldprint {
namespace {

constexpr uint64_t kMaxSteps = 20'000'000, kMaxBytes = 256 << 20;  // of reading one answer's JSON
constexpr int kMaxWrapping = 4;                                    // {"function": {"function": ...

using jinja::Value;

// Why what stands between two marks is no call.
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Value member(const Value& object, std::string_view name) {
  const Value* value = object.dict().find(name);
  return value != nullptr ? *value : Value();
}

// {"name": ..., "arguments": {...}}, perhaps inside {"function": ...}; "parameters" are arguments too. They may be a
// string that holds the object, as the OpenAI API has it, or be left out.
ToolCall json_call(jinja::Heap& heap, Value entry) {
  for (int i = 0; entry.is(jinja::Kind::kDict) && member(entry, "function").is(jinja::Kind::kDict); ++i) {
    if (i == kMaxWrapping) throw Refusal("a call is wrapped too often");
    entry = member(entry, "function");
  }
  if (!entry.is(jinja::Kind::kDict) || !member(entry, "name").is_string())
    throw Refusal("a call should be an object with a name");
  Value arguments = member(entry, "arguments");
  if (arguments.is_missing()) arguments = member(entry, "parameters");
  if (arguments.is_string()) {
    const std::string_view text = arguments.str().view();
    arguments = text.find_first_not_of(" \t\r\n") == text.npos ? Value() : jinja::parse_json(heap, text);
  }
  ToolCall call = {std::string(member(entry, "name").str().view()), "{}"};
  if (arguments.is_missing() || arguments.is_none()) return call;
  if (!arguments.is(jinja::Kind::kDict)) throw Refusal("the arguments of a call should be an object");
  call.arguments = jinja::dump_compact_json(heap, arguments);
  return call;
}

// One call, or a list of them.
std::vector<ToolCall> json_calls(std::string_view text) {
  jinja::Heap heap(kMaxSteps, kMaxBytes);
  try {
    const Value json = jinja::parse_json(heap, text);
    std::vector<ToolCall> calls;
    if (!json.is(jinja::Kind::kList)) return {json_call(heap, json)};
    for (const Value& entry : json.items().span()) calls.push_back(json_call(heap, entry));
    return calls;
  } catch (const jinja::Failure& failure) {
    throw Refusal(failure.what());
  } catch (const Error& error) {  // too much of it
    throw Refusal(error.what());
  }
}

std::vector<ToolCall> lfm2_calls(std::string_view text) {
  const std::string_view begin = text.substr(std::min(text.find_first_not_of(" \t\r\n["), text.size()));
  if (begin.starts_with('{')) return json_calls(text);
  try {
    return parse_python_calls(text);
  } catch (const PythonRefusal& refusal) {
    throw Refusal(refusal.what());
  }
}

struct Format {
  std::string_view name;
  std::string_view mark;  // in the template's source
  std::string_view begin, end;
  std::vector<ToolCall> (*parse)(std::string_view);  // throws Refusal
};

constexpr Format kFormats[] = {
    {"lfm2", "<|tool_call_start|>", "<|tool_call_start|>", "<|tool_call_end|>", lfm2_calls},
    {"lfm2", "<|tool_list_start|>", "<|tool_call_start|>", "<|tool_call_end|>", lfm2_calls},
    {"hermes", "<tool_call>", "<tool_call>", "</tool_call>", json_calls},
};

}  // namespace

std::string_view tool_call_format(const ChatTemplate& chat_template) {
  for (const Format& format : kFormats) {
    if (chat_template.source().find(format.mark) != std::string::npos) return format.name;
  }
  return {};
}

Reply parse_reply(std::string_view text, std::string_view name) {
  Reply reply;
  const auto* format =
      std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& f) { return f.name == name; });
  while (format != std::end(kFormats)) {
    const size_t begin = text.find(format->begin);
    if (begin == std::string_view::npos) break;
    const size_t inside = begin + format->begin.size();
    const size_t end =
        std::min(text.find(format->end, inside), text.size());  // an answer may stop before its last mark
    const size_t after = std::min(end + format->end.size(), text.size());
    try {
      const auto calls = format->parse(text.substr(inside, end - inside));
      reply.calls.insert(reply.calls.end(), calls.begin(), calls.end());
      reply.content += text.substr(0, begin);
    } catch (const Refusal& refusal) {
      reply.refusals.emplace_back(refusal.what());
      reply.content += text.substr(0, after);
    }
    text.remove_prefix(after);
  }
  reply.content += text;
  return reply;
}

}  // namespace fieldprint
