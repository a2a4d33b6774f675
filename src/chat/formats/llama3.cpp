// Llama 3: the whole answer is {"name": ..., "parameters": {...}}, perhaps behind <|python_tag|>, several with ;
// between. There is no mark, so only functions that the model was given are called; any other JSON is an answer.
#include "chat/tool_format.h"
#include "chat/tool_schema.h"

namespace fieldprint::formats {

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

static void read(std::string_view text, const ReplyOptions& options, Reply& reply) {
  constexpr std::string_view kTag = "<|python_tag|>";
  std::string_view rest = trimmed(text);
  const bool tagged = rest.starts_with(kTag);
  if (tagged) rest = trimmed(rest.substr(kTag.size()));
  if (!tagged && !rest.starts_with('{') && !rest.starts_with('[')) return keep_content(reply, text, 0, text.size());
  const ToolSchema schema(options.tools);
  try {
    std::vector<ToolCall> calls;
    while (!rest.empty()) {
      const size_t end = json_end(rest);
      if (end == rest.npos) throw CallRefusal("the JSON of a call has no end");
      for (ToolCall& call : json_calls(rest.substr(0, end))) {
        if (!schema.has(call.name)) throw CallRefusal("no function is named " + call.name);
        calls.push_back(std::move(call));
      }
      rest = trimmed(rest.substr(end));
      if (rest.empty()) break;
      if (!rest.starts_with(';')) throw CallRefusal("a text follows the call");
      rest = trimmed(rest.substr(1));
    }
    reply.calls.insert(reply.calls.end(), calls.begin(), calls.end());
  } catch (const CallRefusal& refusal) {
    keep_content(reply, text, 0, text.size());
    const bool meant = tagged || (text.find("\"name\"") != text.npos && text.find("\"parameters\"") != text.npos);
    if (meant) reply.refusals.emplace_back(refusal.what());
  }
}

extern const ToolFormat kLlama3;
const ToolFormat kLlama3 = {"llama3",
                            [](std::string_view source) {
                              return source.find(R"({"name": function name, "parameters": dictionary)") != source.npos;
                            },
                            read};

}  // namespace fieldprint::formats
