// Tool calls in answers: one row a format, found by a mark in the template's source.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "fieldprint/chat_template.h"

namespace fieldprint {
namespace {

using nlohmann::ordered_json;
using Calls = std::optional<std::vector<ToolCall>>;  // none: these are no calls

std::string dumped(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

// {"name": ..., "arguments": {...}}, a list of such, or with "parameters" instead.
Calls json_calls(std::string_view text) {
  const auto json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object() && !json.is_array()) return {};
  std::vector<ToolCall> calls;
  for (const auto& entry : json.is_array() ? json : ordered_json::array({json})) {
    if (!entry.is_object() || !entry.contains("name") || !entry["name"].is_string()) return {};
    const auto arguments =
        entry.contains("arguments") ? entry["arguments"] : entry.value("parameters", ordered_json::object());
    if (!arguments.is_object()) return {};
    calls.push_back({entry["name"], dumped(arguments)});
  }
  return calls;
}

// [name(arg="v", other=[1, True, None]), name()]: calls as Python writes them, their values literals.
class PythonCalls {
 public:
  explicit PythonCalls(std::string_view text) : rest_(text) {}

  Calls parse() {
    std::vector<ToolCall> calls;
    bool good = eat('[');
    while (good && !eat(']')) {
      auto& call = calls.emplace_back();
      call.name = name(true);
      good = !call.name.empty() && arguments(call) && (eat(',') || peek() == ']');
    }
    if (!good || peek() != '\0' || !rest_.empty()) return {};
    return calls;
  }

 private:
  static constexpr int kMaxDepth = 64;

  char peek() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front()))) rest_.remove_prefix(1);
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool eat(char c) {
    if (peek() != c || rest_.empty()) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::string name(bool dotted) {
    peek();
    size_t end = 0;
    const auto part = [&](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (dotted && (c == '.' || c == '-'));
    };
    while (end < rest_.size() && part(rest_[end])) ++end;
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return text;
  }

  bool arguments(ToolCall& call) {
    if (!eat('(')) return false;
    ordered_json values = ordered_json::object();
    while (!eat(')')) {
      const std::string key = name(false);
      if (key.empty() || !eat('=') || !value(values[key], 0)) return false;
      if (!eat(',') && peek() != ')') return false;
    }
    call.arguments = dumped(values);
    return true;
  }

  bool value(ordered_json& out, int depth) {
    if (depth > kMaxDepth) return false;
    const char c = peek();
    if (c == '"' || c == '\'') return string(out);
    if (c == '[' || c == '(') {
      eat(c);
      const char end = c == '[' ? ']' : ')';
      out = ordered_json::array();
      while (!eat(end)) {
        if (!value(out.emplace_back(), depth + 1) || (!eat(',') && peek() != end)) return false;
      }
      return true;
    }
    if (c == '{') {
      eat(c);
      out = ordered_json::object();
      while (!eat('}')) {
        ordered_json key;
        if (!string(key) || !eat(':') || !value(out[key.get<std::string>()], depth + 1) || (!eat(',') && peek() != '}'))
          return false;
      }
      return true;
    }
    return word(out);
  }

  bool string(ordered_json& out) {
    const char quote = peek();
    if (quote != '"' && quote != '\'') return false;
    std::string text;
    for (size_t i = 1; i < rest_.size(); ++i) {
      char c = rest_[i];
      if (c == quote) {
        rest_.remove_prefix(i + 1);
        out = text;
        return true;
      }
      if (c == '\\' && i + 1 < rest_.size()) {
        c = rest_[++i];
        if (c == 'u' && i + 4 < rest_.size()) {  // let JSON decode it, surrogate pairs too
          size_t length = 6;
          if (rest_.substr(i + 5, 2) == "\\u") length = 12;
          const auto letter =
              ordered_json::parse("\"" + std::string(rest_.substr(i - 1, length)) + "\"", nullptr, false);
          if (!letter.is_string()) return false;
          text += letter.get<std::string>();
          i += length - 2;
          continue;
        }
        constexpr std::string_view kLetters = "nrtbf0", kMeanings{"\n\r\t\b\f\0", 6};
        if (const size_t at = kLetters.find(c); at != std::string_view::npos) c = kMeanings[at];
        else if (c != '\\' && c != '"' && c != '\'' && c != '/') text += '\\';  // as Python has it
      }
      text += c;
    }
    return false;
  }

  bool word(ordered_json& out) {
    size_t end = 0;
    const auto part = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '+' || c == '-' || c == '_';
    };
    while (end < rest_.size() && part(rest_[end])) ++end;
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (text == "True" || text == "true") out = true;
    else if (text == "False" || text == "false") out = false;
    else if (text == "None" || text == "null") out = nullptr;
    else {
      out = ordered_json::parse(text, nullptr, false);
      return out.is_number();
    }
    return true;
  }

  std::string_view rest_;
};

Calls lfm2_calls(std::string_view text) {
  auto calls = PythonCalls(text).parse();
  return calls ? calls : json_calls(text);
}

struct Format {
  std::string_view name;
  std::string_view mark;  // in the template's source
  std::string_view begin, end;
  Calls (*parse)(std::string_view);
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
    const auto calls = format->parse(text.substr(inside, end - inside));
    reply.content += text.substr(0, calls ? begin : after);
    if (calls) reply.calls.insert(reply.calls.end(), calls->begin(), calls->end());
    text.remove_prefix(after);
  }
  reply.content += text;
  return reply;
}

}  // namespace fieldprint
