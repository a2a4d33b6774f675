// What a model is to continue: the prompt as ids, and the template that makes it, read without the weights.
#include "fieldprint/chat_template.h"
#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"

namespace fieldprint {

std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, std::string_view text) {
  // add_special would close the prompt with an EOS in some vocabularies, so BOS is put in front here.
  auto ids = tokenizer.encode(text, {.add_special = false, .parse_special = true});
  const TokenId bos = tokenizer.bos();
  if (tokenizer.adds_bos() && bos != kNoToken && (ids.empty() || ids.front() != bos)) ids.insert(ids.begin(), bos);
  return ids;
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) { return Tokenizer::load(*GgufFile::open(path)); }

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
