// Byte-level BPE: words cut by a pre-tokenizer, each begun as its bytes and merged in the order of the file's merges.
#include <algorithm>
#include <array>
#include <string>

#include "fieldprint/error.h"
#include "text/byte_level.h"
#include "text/flat_hash.h"
#include "text/guess_pre_tokenizer.h"
#include "text/merger.h"
#include "text/pre_tokenizer.h"
#include "text/text_model.h"
#include "text/word_cache.h"

namespace fieldprint {
namespace {

using std::string_view;

class ByteLevelBpe : public TextModel {
 public:
  ByteLevelBpe(const GgufFile& file, const Vocabulary& v)
      : row_(pre_tokenizer_of(file)), splitter_(*row_.family), unknown_(v.unknown) {
    read_tokens(v);
    read_merges(file);
  }

  void encode(string_view text, bool, std::vector<TokenId>& ids) const override {
    std::vector<size_t> ends;
    ends.reserve(text.size() / 4 + 1);
    splitter_.split(text, ends);
    WordCachePool::Loan cache(caches_);
    std::vector<uint32_t> symbols;
    size_t begin = 0;
    for (const size_t end : ends) {
      const string_view word = text.substr(begin, end - begin);
      begin = end;
      (*cache).encode(word, ids, [&](string_view new_word) { encode_word(new_word, symbols, ids); });
    }
  }

  std::string piece(string_view written, TokenKind kind) const override {
    const int byte = kind == TokenKind::kByte ? byte_token_value(written) : -1;
    if (byte >= 0) return std::string(1, static_cast<char>(byte));
    std::string bytes;
    return bytes_from_alphabet(written, bytes) ? bytes : std::string(written);
  }

  TokenId find(string_view text) const override {
    const uint32_t symbol = symbols_.find(text);
    return symbol < tokens_ ? static_cast<TokenId>(symbol) : kNoToken;
  }

 private:
  // Symbols are tokens, by their ids, and after them what merges make on the way but is no token. Texts are bytes.
  void read_tokens(const Vocabulary& v) {
    tokens_ = static_cast<uint32_t>(v.size());
    std::string bytes;
    for (TokenId id = 0; id < v.size(); ++id) {
      const TokenKind kind = v.kind(id);
      // Plain text must never become a control token, so merging cannot find them.
      bool findable = kind != TokenKind::kControl && kind != TokenKind::kUnknown && kind != TokenKind::kByte;
      findable = findable && !v.text(id).empty() && bytes_from_alphabet(v.text(id), bytes);
      // A user-defined token stands for its text as it is written.
      if (kind == TokenKind::kUserDefined) findable = findable && bytes == v.text(id);
      symbols_.add(findable ? string_view(bytes) : string_view(), findable);
    }
    for (size_t byte = 0; byte < bytes_.size(); ++byte) {
      const char c = static_cast<char>(byte);
      bytes_[byte] = symbols_.find_or_add(string_view(&c, 1));
    }
  }

  void read_merges(const GgufFile& file) {
    const std::string key = "tokenizer.ggml.merges";
    const GgufArray* merges = file.array(key);
    if (merges == nullptr) throw Error(ErrorKind::kBadFile, "a BPE vocabulary without merges", key);
    if (merges->kind != GgufKind::kString) throw Error(ErrorKind::kBadFile, "should be an array of strings", key);
    if (merges->strings.size() >= UINT32_MAX / 2) throw Error(ErrorKind::kBadFile, "too many merges", key);
    std::string left, right;
    for (size_t rank = 0; rank < merges->strings.size(); ++rank) {
      const string_view merge = merges->strings[rank];
      const size_t space = merge.find(' ', 1);
      if (space == merge.npos || !bytes_from_alphabet(merge.substr(0, space), left) ||
          !bytes_from_alphabet(merge.substr(space + 1), right) || right.empty()) {
        continue;  // no word can contain it
      }
      const uint32_t a = symbols_.find_or_add(left), b = symbols_.find_or_add(right);
      merges_.add(a, b, static_cast<uint32_t>(rank), symbols_.find_or_add(left + right));
    }
  }

  void encode_word(string_view word, std::vector<uint32_t>& symbols, std::vector<TokenId>& ids) const {
    if (row_.ignore_merges) {
      const TokenId whole = find(word);
      if (whole != kNoToken) return ids.push_back(whole);
    }
    symbols.resize(word.size());
    for (size_t i = 0; i < word.size(); ++i) symbols[i] = bytes_[static_cast<uint8_t>(word[i])];
    merge_symbols(merges_, symbols);
    for (const uint32_t symbol : symbols) {
      if (symbol < tokens_) {
        ids.push_back(static_cast<TokenId>(symbol));
        continue;
      }
      for (const char c : symbols_.text(symbol)) {  // made by merges, but no token: its bytes
        const uint32_t byte = bytes_[static_cast<uint8_t>(c)];
        if (byte < tokens_) {
          ids.push_back(static_cast<TokenId>(byte));
        } else if (unknown_ != kNoToken) {
          ids.push_back(unknown_);
        }
      }
    }
  }

  const PreTokenizerRow& row_;
  PreTokenizer splitter_;
  TokenId unknown_;
  uint32_t tokens_ = 0;
  SymbolTable symbols_;
  std::array<uint32_t, 256> bytes_{};  // the symbol of each byte
  MergeTable merges_;
  WordCachePool caches_;
};

}  // namespace

std::unique_ptr<TextModel> make_byte_level_bpe(const GgufFile& file, const Vocabulary& vocabulary) {
  return std::make_unique<ByteLevelBpe>(file, vocabulary);
}

}  // namespace fieldprint
