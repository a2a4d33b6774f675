// Texts against small vocabularies of every kind, and vocabularies with a few bytes of their file changed.
// Input: vocabulary, options, number of changes, four bytes a change, then the text.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "../tests/support/tiny_vocabulary.h"
#include "fieldprint/error.h"

namespace {

using namespace fieldprint;

struct Seed {
  std::vector<std::byte> file;
  std::unique_ptr<Tokenizer> tokenizer;
  bool gives_back;  // decoding gives the text back, where it has no "<unk>" and no U+2581
};

const std::vector<Seed>& seeds() {
  static const std::vector<Seed> all = [] {
    std::vector<Seed> list;
    for (const char* pre :
         {"gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "gpt-4o", "tekken", "deepseek-v3", "falcon", ""}) {
      list.push_back({tiny_byte_level(pre).bytes(), nullptr, true});
    }
    list.push_back({tiny_sentencepiece().bytes(), nullptr, true});
    list.push_back({tiny_unigram().bytes(), nullptr, false});
    for (Seed& seed : list) seed.tokenizer = load_tokenizer(*GgufFile::parse(seed.file, "seed"));
    return list;
  }();
  return all;
}

void require(bool fact) {
  if (!fact) std::abort();
}

void check(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options, bool gives_back) {
  const std::vector<TokenId> ids = tokenizer.encode(text, options);
  const std::string whole = tokenizer.decode(ids, true);
  if (gives_back && !options.add_special) require(whole == text);
  require(ids == tokenizer.encode(text, options));  // a second time from the cache

  StreamDecoder stream(tokenizer, true);
  std::string streamed;
  for (const TokenId id : ids) streamed += stream.push(id);
  streamed += stream.finish();
  if (streamed.find("\xEF\xBF\xBD") == streamed.npos) require(streamed == whole);
  for (const TokenId id : ids) (void)tokenizer.ends_generation(id);
  (void)tokenizer.find(text.substr(0, 20));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const Seed& seed = seeds()[data[0] % seeds().size()];
  const EncodeOptions options{.add_special = (data[1] & 1) != 0, .parse_special = (data[1] & 2) != 0};
  const size_t changes = data[2] % 16;
  data += 3, size -= 3;
  if (size < 4 * changes) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 4 * changes, size - 4 * changes);
  if (changes == 0) {
    const bool marks = text.find("<unk>") != text.npos || text.find("\xE2\x96\x81") != text.npos;
    check(*seed.tokenizer, text, options, seed.gives_back && !marks);
    return 0;
  }
  std::vector<std::byte> file = seed.file;
  for (size_t i = 0; i < changes; ++i) {
    const uint8_t* change = data + 4 * i;
    const size_t place = (change[0] | change[1] << 8 | (change[2] & 1) << 16) % file.size();
    file[place] = (change[2] & 2) ? static_cast<std::byte>(change[3]) : file[place] ^ static_cast<std::byte>(change[3]);
  }
  try {
    const auto tokenizer = load_tokenizer(*GgufFile::parse(file, "changed"));
    check(*tokenizer, text, options, false);
  } catch (const Error&) {
  }
  return 0;
}
