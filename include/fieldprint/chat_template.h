// A model's chat template: Jinja source from the GGUF, rendered with bounded time and memory.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"

namespace fieldprint {

// Bytes of messages[message].content that are control tokens, since a model wrote them as such.
struct ControlText {
  size_t message = 0;
  TextRange bytes;
};

struct RenderOptions {
  std::optional<std::time_t> now;         // for strftime_now; default: the clock, local time
  uint64_t max_steps = 20'000'000;        // evaluated nodes; beyond: Error kLimit
  uint64_t max_bytes = 256u << 20;        // bytes of all values made; beyond: Error kLimit
  std::vector<ControlText> control = {};  // these bytes count as the template's own; what lies outside is ignored
  // As Jinja's StrictUndefined, but that `if` may ask: printing a variable that is not there, or looping over it, is an
  // Error that names it.
  bool strict = false;
};

// A prompt, and where each byte comes from: the template's own words, or the variables.
struct RenderedPrompt {
  std::string text;
  // Ascending: bytes that came in with the variables, through whatever filters. Everything else is the template's own,
  // as are the roles of messages and top-level strings whose name ends in "_token" (bos_token, eos_token). To be
  // encoded as EncodeOptions::plain, so that no message can speak as the template does.
  std::vector<TextRange> content;
};

// Immutable after construction; it may be rendered from any thread.
class ChatTemplate {
 public:
  // Parses. Throws Error kBadInput with the line where the source is no valid template.
  explicit ChatTemplate(std::string source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // `variables`: a JSON object (messages, tools, add_generation_prompt, bos_token, ...), member order kept.
  // The settings are those of Hugging Face Transformers: trim_blocks, lstrip_blocks, loop controls, `generation`
  // blocks, tojson as Python's json.dumps(ensure_ascii=False).
  // Throws Error kBadInput; where the template itself raised, the message is the template's, unaltered.
  std::string render(std::string_view variables, const RenderOptions& options = {}) const;
  RenderedPrompt render_prompt(std::string_view variables, const RenderOptions& options = {}) const;

  const std::string& source() const;  // lives as long as the template

 private:
  struct Program;
  std::unique_ptr<Program> program_;
};

// A function that a model asks for.
struct ToolCall {
  std::string name;
  std::string arguments;  // a JSON object
};

// An answer, taken apart.
struct Reply {
  std::string content;                // without reasoning and calls
  std::vector<TextRange> kept;        // the bytes of the answer that are the content, ascending
  std::string reasoning;              // what the model thought before it answered, without its marks
  std::vector<ToolCall> calls;        // in order
  std::vector<std::string> refusals;  // why what stands between a call's marks was left in the content, one each
};

struct ReplyOptions {
  std::string_view tools = {};  // of tools_from_json(): the functions that may be called, with their arguments' types
  bool thinks = false;          // <think>...</think> before the answer is reasoning
  bool thinking = false;        // the prompt has written the <think> already
  bool valid_calls = false;     // a grammar makes calls, so that what begins like one is one
  // Whether the mark at this byte of the answer is one, and no text that looks like it; none: all are.
  std::function<bool(size_t)> is_mark = {};
};

// How a template's models write tool calls; "" where that is not known. The name lives as long as the program.
//   lfm2     <|tool_call_start|>[name(arg="v")]<|tool_call_end|>, or JSON between the same marks
//   xml      <tool_call><function=name><parameter=arg>v</parameter></function></tool_call> (Qwen3-Coder, Qwen 3.5)
//   harmony  <|channel|>commentary to=functions.name<|message|>{"arg": "v"}<|call|> (gpt-oss), its reasoning too
//   granite  <|tool_call|>[{"name": ..., "arguments": {...}}]
//   hermes   <tool_call>{"name": ..., "arguments": {...}}</tool_call> (Qwen 2.5 and 3), or nothing but the JSON
//   llama3   {"name": ..., "parameters": {...}} as the whole answer
std::string_view tool_call_format(const ChatTemplate& chat_template);

// Takes reasoning and calls out of `text`; `format` as above, "" finds no calls. Their arguments are exactly what was
// written: Python's literals as ast.literal_eval reads them, integers of any size. What looks like a call and cannot be
// read so stays in the content, as it was. Never throws Error.
Reply parse_reply(std::string_view text, std::string_view format, const ReplyOptions& options = {});

// What a GGUF file brings along for rendering; no weight is looked at, any architecture and tokenizer will do.
struct TemplateSource {
  std::string source;     // "" where the file has none
  std::string bos_token;  // the texts that the variables of these names stand for; "" where there is none
  std::string eos_token;
};
TemplateSource read_chat_template(const std::string& path);  // Throws Error kNotFound, kIo, kBadFile

}  // namespace fieldprint
