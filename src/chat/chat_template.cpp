#include "fieldprint/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "fieldprint/error.h"
#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"
#include "jinja/interpreter.h"
#include "jinja/json.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/text_builder.h"
#include "jinja/unicode.h"

namespace fieldprint {
namespace {

constexpr size_t kMaxSourceBytes = 4 << 20;  // real templates have some ten thousand

// Messages quote names and values, which may be as long as the template likes.
std::string shortened(std::string_view message) {
  constexpr size_t kMost = 1000;
  if (message.size() <= kMost) return std::string(message);
  return std::string(message.substr(0, jinja::advance_code_points(message.substr(0, kMost - 3), 0, kMost))) + "...";
}

std::string at_line(uint32_t line) { return fmt::format("chat template, line {}", line); }

}  // namespace

struct ChatTemplate::Program {
  std::string source;
  std::unique_ptr<jinja::Program> parsed;
};

ChatTemplate::ChatTemplate(std::string source) : program_(std::make_unique<Program>()) {
  if (source.size() > kMaxSourceBytes) {
    throw Error(ErrorKind::kLimit,
                fmt::format("the chat template has {} bytes, {} are allowed", source.size(), kMaxSourceBytes));
  }
  if (!jinja::is_valid_utf8(source)) throw Error(ErrorKind::kBadInput, "the chat template is no valid UTF-8 text");
  try {
    program_->parsed = jinja::parse(source);
  } catch (const jinja::SyntaxFailure& failure) {
    throw Error(ErrorKind::kBadInput, failure.message, at_line(failure.line));
  }
  program_->source = std::move(source);
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

const std::string& ChatTemplate::source() const { return program_->source; }

namespace {

// Templates make control tokens of roles, as in `<|{{ message.role }}|>`. A role is the program's word, not the
// author's; one that is more than a name is nobody's.
bool is_role_name(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

// What a model or its user says is content; the texts of its special tokens and the roles are the template's own.
void mark_own_words(jinja::Heap& heap, const jinja::Dict& variables, const std::vector<ControlText>& control) {
  for (const auto& [name, value] : variables.entries) {
    if (value.is_string() && name.str().view().ends_with("_token"))
      const_cast<jinja::Dict&>(variables).set(name, jinja::make_literal(heap, value.str().view()));
  }
  const jinja::Value* messages = variables.find("messages");
  if (messages == nullptr || !messages->is_sequence()) return;
  const auto list = messages->items().span();
  const jinja::Value role_key = jinja::make_string(heap, "role");
  for (const jinja::Value& message : list) {
    const jinja::Value* role = message.is(jinja::Kind::kDict) ? message.dict().find("role") : nullptr;
    if (role != nullptr && role->is_string() && is_role_name(role->str().view()))
      const_cast<jinja::Dict&>(message.dict()).set(role_key, jinja::make_literal(heap, role->str().view()));
  }
  for (size_t i = 0; i < control.size();) {  // those of one message are neighbours
    const size_t at = control[i].message;
    size_t end = i;
    while (end < control.size() && control[end].message == at) ++end;
    const jinja::Value* content =
        at < list.size() && list[at].is(jinja::Kind::kDict) ? list[at].dict().find("content") : nullptr;
    if (content != nullptr && content->is_string()) {
      const std::string_view text = content->str().view();
      jinja::TextBuilder marked(heap);
      for (; i < end; ++i) {
        const auto [begin, stop] = control[i].bytes;
        if (begin < marked.size() || stop < begin || stop > text.size()) continue;
        marked.add(text.substr(marked.size(), begin - marked.size()), jinja::Origin::kContent);
        marked.literal(text.substr(begin, stop - begin));
      }
      marked.add(text.substr(marked.size()), jinja::Origin::kContent);
      const_cast<jinja::Dict&>(list[at].dict()).set(jinja::make_string(heap, "content"), marked.finish());
    }
    i = end;
  }
}

}  // namespace

std::string ChatTemplate::render(std::string_view variables, const RenderOptions& options) const {
  return render_prompt(variables, options).text;
}

RenderedPrompt ChatTemplate::render_prompt(std::string_view variables, const RenderOptions& options) const {
  jinja::Heap heap(options.max_steps, options.max_bytes, options.strict);
  jinja::Value input;
  try {
    input = jinja::parse_json(heap, variables);
  } catch (const jinja::Failure& failure) {
    throw Error(ErrorKind::kBadInput, failure.what(), "the template's variables");
  }
  if (!input.is(jinja::Kind::kDict))
    throw Error(ErrorKind::kBadInput, "this is not a JSON object", "the template's variables");

  mark_own_words(heap, input.dict(), options.control);

  jinja::Interpreter interpreter(*program_->parsed, heap, options.now.value_or(std::time(nullptr)));
  try {
    const jinja::TextBuilder& printed = interpreter.run(input.dict());
    RenderedPrompt prompt{std::string(printed.view()), {}};
    size_t begin = 0;
    for (const jinja::OriginRun& run : printed.runs()) {
      if (run.origin == jinja::Origin::kContent) prompt.content.push_back({begin, run.end});
      begin = run.end;
    }
    return prompt;
  } catch (const jinja::Failure& failure) {
    if (failure.raised) throw Error(ErrorKind::kBadInput, failure.what());
    throw Error(ErrorKind::kBadInput, shortened(failure.what()), at_line(interpreter.line()));
  }
}

TemplateSource read_chat_template(const std::string& path) {
  const auto file = GgufFile::open(path);
  const GgufArray* tokens = file->array("tokenizer.ggml.tokens");
  const auto token = [&](std::string_view key) -> std::string {
    const int64_t id = file->integer(key, kNoToken);
    if (tokens == nullptr || id < 0 || static_cast<uint64_t>(id) >= tokens->strings.size()) return {};
    return std::string(tokens->strings[static_cast<size_t>(id)]);
  };
  return {std::string(file->string("tokenizer.chat_template", "")), token("tokenizer.ggml.bos_token_id"),
          token("tokenizer.ggml.eos_token_id")};
}

}  // namespace fieldprint
