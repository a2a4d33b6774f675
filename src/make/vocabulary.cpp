#include "make/vocabulary.h"

#include <fmt/format.h>

#include <cassert>
#include <vector>

#include "fieldprint/error.h"
#include "text/byte_level.h"

namespace fieldprint {
namespace {

constexpr int kNormal = 1, kControl = 3, kUnused = 5;  // tokenizer.ggml.token_type

constexpr std::string_view kTokens = "tokenizer.ggml.tokens", kTypes = "tokenizer.ggml.token_type",
                           kScores = "tokenizer.ggml.scores";

constexpr std::string_view kChatMl =
    "{{- bos_token -}}{%- for message in messages -%}{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ "
    "'<|im_end|>\\n' -}}{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}";

std::string unused_name(size_t id) { return fmt::format("<|unused_{}|>", id); }

}  // namespace

void set_byte_vocabulary(GgufWriter& writer, int size, std::string_view pre) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(bytes_to_alphabet(std::string(1, static_cast<char>(byte))));
  std::vector<int32_t> types(tokens.size(), kNormal);
  const auto special = [&](std::string name, int type) {
    tokens.push_back(std::move(name));
    types.push_back(type);
    return static_cast<uint32_t>(tokens.size() - 1);
  };
  const uint32_t pad = special("<|pad|>", kControl), bos = special("<|startoftext|>", kControl);
  special("<|endoftext|>", kControl);
  special("<|im_start|>", kControl);
  const uint32_t eos = special("<|im_end|>", kControl);
  assert(static_cast<size_t>(size) >= tokens.size());
  while (tokens.size() < static_cast<size_t>(size)) special(unused_name(tokens.size()), kUnused);
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", pre);
  writer.set(std::string(kTokens), std::move(tokens));
  writer.set(std::string(kTypes), std::move(types));
  writer.set("tokenizer.ggml.merges", std::vector<std::string>{});
  writer.set("tokenizer.ggml.bos_token_id", bos);
  writer.set("tokenizer.ggml.eos_token_id", eos);
  writer.set("tokenizer.ggml.padding_token_id", pad);
  writer.set("tokenizer.ggml.add_bos_token", true);
  writer.set("tokenizer.chat_template", kChatMl);
}

void copy_vocabulary(GgufWriter& writer, const GgufFile& from, int size) {
  const GgufArray* tokens = from.array(kTokens);
  if (tokens == nullptr || tokens->kind != GgufKind::kString) {
    throw Error(ErrorKind::kBadInput, "the file has no vocabulary", from.path());
  }
  const auto wanted = static_cast<size_t>(size);
  if (tokens->count > wanted) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("a vocabulary of {} tokens does not fit a model with {}", tokens->count, size),
                from.path());
  }
  for (const auto& [key, value] : from.metadata()) {
    if (key.starts_with("tokenizer.")) writer.copy(key, value);
  }
  if (tokens->count == wanted) return;
  std::vector<std::string> names(tokens->strings.begin(), tokens->strings.end());
  while (names.size() < wanted) names.push_back(unused_name(names.size()));
  writer.set(std::string(kTokens), std::move(names));
  std::vector<int32_t> types(wanted, kUnused);
  const GgufArray* known = from.array(kTypes);
  for (uint64_t i = 0; i < tokens->count; ++i) {
    types[i] = known != nullptr && i < known->count ? static_cast<int32_t>(known->integer(i)) : kNormal;
  }
  writer.set(std::string(kTypes), std::move(types));
  if (const GgufArray* scores = from.array(kScores); scores != nullptr) {
    std::vector<float> all(wanted, -1e6f);
    for (uint64_t i = 0; i < std::min(scores->count, tokens->count); ++i)
      all[i] = static_cast<float>(scores->number(i));
    writer.set(std::string(kScores), std::move(all));
  }
}

}  // namespace fieldprint
