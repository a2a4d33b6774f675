// What a model is to continue, as ids.
#include "fieldprint/tokenizer.h"
#include "text/load_tokenizer.h"

namespace fieldprint {

std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, std::string_view text,
                                   std::span<const TextRange> plain) {
  // add_special would close the prompt with an EOS in some vocabularies, so BOS is put in front here.
  auto ids = tokenizer.encode(text, {.add_special = false, .parse_special = true, .plain = plain});
  const TokenId bos = tokenizer.bos();
  if (tokenizer.adds_bos() && bos != kNoToken && (ids.empty() || ids.front() != bos)) ids.insert(ids.begin(), bos);
  return ids;
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) { return load_tokenizer(*GgufFile::open(path)); }

}  // namespace fieldprint
