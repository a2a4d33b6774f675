#include "fieldprint/chat_template.h"

#include <fmt/format.h>

#include "fieldprint/error.h"
#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"
#include "jinja/interpreter.h"
#include "jinja/json.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"
#include "jinja/unicode.h"

namespace fieldprint {
namespace {

constexpr size_t kMaxSourceBytes = 4 << 20;  // real templates have some ten thousand

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

std::string ChatTemplate::render(std::string_view variables, const RenderOptions& options) const {
  jinja::Heap heap(options.max_steps, options.max_bytes);
  jinja::Value input;
  try {
    input = jinja::parse_json(heap, variables);
  } catch (const jinja::Failure& failure) {
    throw Error(ErrorKind::kBadInput, failure.what());
  }
  if (!input.is(jinja::Kind::kDict)) throw Error(ErrorKind::kBadInput, "the template's variables are no JSON object");

  jinja::Interpreter interpreter(*program_->parsed, heap, options.now.value_or(std::time(nullptr)));
  try {
    return interpreter.run(input.dict());
  } catch (const jinja::Failure& failure) {
    if (failure.raised) throw Error(ErrorKind::kBadInput, failure.what());
    throw Error(ErrorKind::kBadInput, failure.what(), at_line(interpreter.line()));
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
