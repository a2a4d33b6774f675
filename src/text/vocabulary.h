// What a GGUF file says about its tokens, checked: `tokenizer.ggml.*` but for the merges and the pre-tokenizer's name.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "fieldprint/tokenizer.h"
#include "gguf/gguf.h"

namespace fieldprint {

enum class TokenKind : uint8_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct Vocabulary {
  std::span<const std::string_view> texts;  // as the file writes them; views into the file
  std::vector<TokenKind> kinds;             // one a token
  std::vector<float> scores;                // one a token, never NaN; empty where the file has none
  TokenId bos = kNoToken;
  TokenId eos = kNoToken;
  TokenId unknown = kNoToken;
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = false;
  std::vector<TokenId> ends;     // what ends a generation, ascending
  std::vector<TokenId> lstrips;  // tokens that swallow white space before them, ascending
  std::vector<TokenId> rstrips;  // after them
  bool unicode_strips = false;   // they swallow all of Unicode's white space, not ASCII's alone
  std::vector<TokenId> late;     // looked for only where no other special token stands, ascending

  TokenId size() const { return static_cast<TokenId>(texts.size()); }
  bool has(TokenId token) const { return token >= 0 && token < size(); }
  std::string_view text(TokenId token) const { return texts[static_cast<size_t>(token)]; }
  TokenKind kind(TokenId token) const { return kinds[static_cast<size_t>(token)]; }
};

// What a kind of vocabulary takes where the file is silent.
struct VocabularyDefaults {
  TokenId bos = kNoToken;
  TokenId eos = kNoToken;
  TokenId unknown = kNoToken;
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = false;
  // Where what begins or ends a text has other names.
  std::string_view bos_key = "bos_token_id", eos_key = "eos_token_id", add_eos_key = "add_eos_token";
  // Where given, the token must have this text: it is looked for where the id above is another one.
  std::string_view bos_text = {}, eos_text = {}, unknown_text = {};
};

// Throws Error kBadFile where arrays are missing, of the wrong kind or too short, an id is out of range, or none is
// given and no token has the default's text.
Vocabulary read_vocabulary(const GgufFile& file, const VocabularyDefaults& defaults);

// The value of a byte token's text, "<0x0A>"; -1 where it has another form.
int byte_token_value(std::string_view text);

}  // namespace fieldprint
