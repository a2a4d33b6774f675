// BPE over characters (Gemma 4): spaces are written U+2581, text begins as its characters and is merged in the order of
// the file's merges, line by line. A run of newlines that is a token is that token. What stays without a token becomes
// its bytes.
#include <array>
#include <string>

#include "base/utf8.h"
#include "fieldprint/error.h"
#include "text/flat_hash.h"
#include "text/merger.h"
#include "text/spaces.h"
#include "text/text_model.h"

namespace fieldprint {
namespace {

using std::string_view;

class CharacterBpe final : public TextModel {
 public:
  CharacterBpe(const GgufFile& file, const Vocabulary& v)
      : add_space_prefix_(v.add_space_prefix), unknown_(v.unknown), tokens_(static_cast<uint32_t>(v.size())) {
    bytes_.fill(kNoToken);
    for (TokenId id = 0; id < v.size(); ++id) {
      const TokenKind kind = v.kind(id);
      const int byte = kind == TokenKind::kByte ? byte_token_value(v.text(id)) : -1;
      if (byte >= 0 && bytes_[static_cast<size_t>(byte)] == kNoToken) bytes_[static_cast<size_t>(byte)] = id;
      // Plain text must never become a control token.
      symbols_.add(v.text(id), kind != TokenKind::kByte && kind != TokenKind::kControl && kind != TokenKind::kUnknown &&
                                   !v.text(id).empty());
    }
    read_merges(file);
  }

  void encode(string_view text, bool fresh, std::vector<TokenId>& ids) const override {
    const std::string marked = mark_spaces(text, fresh && add_space_prefix_);
    std::vector<uint32_t> symbols;
    for (size_t begin = 0; begin < marked.size();) {
      const bool newlines = marked[begin] == '\n';
      const size_t found = newlines ? marked.find_first_not_of('\n', begin) : marked.find('\n', begin);
      const size_t end = std::min(found, marked.size());
      encode_line(string_view(marked).substr(begin, end - begin), newlines, symbols, ids);
      begin = end;
    }
  }

  std::string piece(string_view written, TokenKind kind) const override {
    const int byte = kind == TokenKind::kByte ? byte_token_value(written) : -1;
    return byte >= 0 ? std::string(1, static_cast<char>(byte)) : unmark_spaces(written);
  }

  TokenId find(string_view text) const override {
    const uint32_t symbol = symbols_.find(mark_spaces(text, false));
    return symbol < tokens_ ? static_cast<TokenId>(symbol) : kNoToken;
  }

 private:
  // Symbols are tokens, by their ids, and after them what merges make on the way but is no token.
  void read_merges(const GgufFile& file) {
    const std::string key = "tokenizer.ggml.merges";
    const GgufArray* merges = file.array(key);
    if (merges == nullptr) throw Error(ErrorKind::kBadFile, "a BPE vocabulary without merges", key);
    if (merges->kind != GgufKind::kString) throw Error(ErrorKind::kBadFile, "should be an array of strings", key);
    if (merges->strings.size() >= UINT32_MAX / 2) throw Error(ErrorKind::kBadFile, "too many merges", key);
    for (size_t rank = 0; rank < merges->strings.size(); ++rank) {
      const string_view merge = merges->strings[rank];
      const size_t space = merge.find(' ', 1);
      if (space == merge.npos || space + 1 == merge.size()) continue;  // no text can contain it
      const std::string left(merge.substr(0, space)), right(merge.substr(space + 1));
      const uint32_t a = symbols_.find_or_add(left), b = symbols_.find_or_add(right);
      merges_.add(a, b, static_cast<uint32_t>(rank), symbols_.find_or_add(left + right));
    }
  }

  void encode_line(string_view line, bool newlines, std::vector<uint32_t>& symbols, std::vector<TokenId>& ids) const {
    if (const uint32_t whole = newlines ? symbols_.find(line) : kNoSymbol; whole < tokens_)
      return ids.push_back(static_cast<TokenId>(whole));
    symbols.clear();
    std::vector<string_view> unknown;  // characters without a symbol, in order
    for (size_t at = 0; at < line.size();) {
      const string_view character = line.substr(at, utf8_at(line, at).length);
      symbols.push_back(symbols_.find(character));
      if (symbols.back() == kNoSymbol) unknown.push_back(character);
      at += character.size();
    }
    merge_symbols(merges_, symbols);
    size_t next_unknown = 0;
    for (const uint32_t symbol : symbols) {
      if (symbol < tokens_) {
        ids.push_back(static_cast<TokenId>(symbol));
      } else {
        append_bytes(symbol == kNoSymbol ? unknown[next_unknown++] : symbols_.text(symbol), ids);
      }
    }
  }

  // The byte tokens of a text, an unknown token for each byte that has none.
  void append_bytes(string_view text, std::vector<TokenId>& ids) const {
    for (const char c : text) {
      const TokenId token = bytes_[static_cast<uint8_t>(c)] != kNoToken ? bytes_[static_cast<uint8_t>(c)] : unknown_;
      if (token != kNoToken) ids.push_back(token);
    }
  }

  bool add_space_prefix_;
  TokenId unknown_;
  uint32_t tokens_;
  SymbolTable symbols_;
  std::array<TokenId, 256> bytes_{};
  MergeTable merges_;
};

}  // namespace

std::unique_ptr<TextModel> make_character_bpe(const GgufFile& file, const Vocabulary& vocabulary) {
  return std::make_unique<CharacterBpe>(file, vocabulary);
}

}  // namespace fieldprint
