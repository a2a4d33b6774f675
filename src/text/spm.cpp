// SentencePiece BPE (Llama 2, Mistral, Gemma): text begun as its characters, spaces written U+2581; the pair whose
// union is the token of the highest score merges first. What stays without a token becomes its bytes.
#include <algorithm>
#include <array>
#include <string>

#include "base/utf8.h"
#include "fieldprint/error.h"
#include "text/flat_hash.h"
#include "text/merger.h"
#include "text/spaces.h"
#include "text/text_model.h"
#include "text/word_cache.h"

namespace fieldprint {
namespace {

using std::string_view;

// Longer tokens (none is known) are decoded but never merged to: looking up every way to split them is quadratic.
constexpr size_t kMergedBytesMax = 1024;

class SentencePieceBpe : public TextModel {
 public:
  explicit SentencePieceBpe(const Vocabulary& v) : add_space_prefix_(v.add_space_prefix), unknown_(v.unknown) {
    if (v.scores.empty()) {
      throw Error(ErrorKind::kBadFile, "a SentencePiece vocabulary without scores", "tokenizer.ggml.scores");
    }
    read_tokens(v);
    derive_merges(v);
  }

  void encode(string_view text, bool fresh, std::vector<TokenId>& ids) const override {
    const std::string marked = mark_spaces(text, fresh && add_space_prefix_);
    WordCachePool::Loan cache(caches_);
    std::vector<uint32_t> symbols;
    for (size_t begin = 0; begin < marked.size();) {
      const size_t end = word_end(marked, begin);
      const string_view word = string_view(marked).substr(begin, end - begin);
      begin = end;
      (*cache).encode(word, ids, [&](string_view new_word) { encode_word(new_word, symbols, ids); });
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
  // Symbols are tokens, by their ids, and after them the characters that are only known as parts of tokens.
  void read_tokens(const Vocabulary& v) {
    tokens_ = static_cast<uint32_t>(v.size());
    bytes_.fill(kNoToken);
    for (TokenId id = 0; id < v.size(); ++id) {
      const string_view text = v.text(id);
      const TokenKind kind = v.kind(id);
      const int byte = kind == TokenKind::kByte ? byte_token_value(text) : -1;
      if (byte >= 0 && bytes_[static_cast<size_t>(byte)] == kNoToken) bytes_[static_cast<size_t>(byte)] = id;
      // Plain text must never become a control token; a user-defined one stands for its text as it is written.
      const bool findable = kind != TokenKind::kByte && kind != TokenKind::kControl && kind != TokenKind::kUnknown &&
                            !(kind == TokenKind::kUserDefined && text.find(kSpaceMark) != text.npos) && !text.empty();
      symbols_.add(text, findable);
      if (findable && crosses_words(text)) words_apart_ = false;
    }
    for (uint32_t token = 0; token < tokens_; ++token) {
      const std::string text(symbols_.text(token));
      if (symbols_.find(text) != token) continue;
      for (size_t at = 0; at < text.size();) {
        const uint32_t length = utf8_at(text, at).length;
        symbols_.find_or_add(string_view(text).substr(at, length));
        at += length;
      }
    }
  }

  // A merge for every way to split a token into two symbols, ranked by the token's score.
  void derive_merges(const Vocabulary& v) {
    std::vector<float> order = v.scores;
    std::sort(order.begin(), order.end(), std::greater<>());
    order.erase(std::unique(order.begin(), order.end()), order.end());
    for (uint32_t token = 0; token < tokens_; ++token) {
      const string_view text = symbols_.text(token);
      if (text.size() > kMergedBytesMax || symbols_.find(text) != token) continue;
      const auto place = std::lower_bound(order.begin(), order.end(), v.scores[token], std::greater<>());
      const auto rank = static_cast<uint32_t>(place - order.begin());
      for (size_t at = utf8_at(text, 0).length; at < text.size(); at += utf8_at(text, at).length) {
        const uint32_t left = symbols_.find(text.substr(0, at));
        if (left == kNoSymbol) continue;
        const uint32_t right = symbols_.find(text.substr(at));
        if (right != kNoSymbol) merges_.add(left, right, rank, token);
      }
    }
  }

  static bool crosses_words(string_view text) {
    for (size_t mark = text.find(kSpaceMark); mark != text.npos; mark = text.find(kSpaceMark, mark + 1)) {
      if (mark > 0 && !text.substr(0, mark).ends_with(kSpaceMark)) return true;
    }
    return false;
  }

  // Where no token reaches from one word into the next, each can be merged (and remembered) by itself.
  size_t word_end(string_view text, size_t begin) const {
    if (!words_apart_) return text.size();
    while (text.substr(begin).starts_with(kSpaceMark)) begin += kSpaceMark.size();
    return std::min(text.find(kSpaceMark, begin), text.size());
  }

  void encode_word(string_view word, std::vector<uint32_t>& symbols, std::vector<TokenId>& ids) const {
    symbols.clear();
    for (size_t at = 0; at < word.size();) {
      const uint32_t length = utf8_at(word, at).length;
      const string_view character = word.substr(at, length);
      const uint32_t symbol = symbols_.find(character);
      if (symbol != kNoSymbol) {
        symbols.push_back(symbol);
      } else {  // in no token, so it merges with nothing and ends what can merge
        flush(symbols, ids);
        append_bytes(character, ids);
      }
      at += length;
    }
    flush(symbols, ids);
  }

  void flush(std::vector<uint32_t>& symbols, std::vector<TokenId>& ids) const {
    merge_symbols(merges_, symbols);
    for (const uint32_t symbol : symbols) {
      if (symbol < tokens_) {
        ids.push_back(static_cast<TokenId>(symbol));
      } else {
        append_bytes(symbols_.text(symbol), ids);
      }
    }
    symbols.clear();
  }

  // The byte tokens of a character, or one unknown token where the vocabulary lacks any of them.
  void append_bytes(string_view character, std::vector<TokenId>& ids) const {
    const size_t before = ids.size();
    for (const char c : character) {
      const TokenId token = bytes_[static_cast<uint8_t>(c)];
      if (token == kNoToken) {
        ids.resize(before);
        if (unknown_ != kNoToken) ids.push_back(unknown_);
        return;
      }
      ids.push_back(token);
    }
  }

  bool add_space_prefix_;
  TokenId unknown_;
  uint32_t tokens_ = 0;
  bool words_apart_ = true;
  SymbolTable symbols_;
  std::array<TokenId, 256> bytes_{};
  MergeTable merges_;
  WordCachePool caches_;
};

}  // namespace

std::unique_ptr<TextModel> make_sentencepiece_bpe(const GgufFile&, const Vocabulary& vocabulary) {
  return std::make_unique<SentencePieceBpe>(vocabulary);
}

}  // namespace fieldprint
