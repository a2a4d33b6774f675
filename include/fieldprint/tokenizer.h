// Text to token ids and back, as a model's own vocabulary defines it.
// Immutable after loading; every member may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

class GgufFile;

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;

struct EncodeOptions {
  bool add_special = true;    // BOS and EOS where the vocabulary asks for them
  bool parse_special = true;  // "<|im_start|>" in the text becomes its token, not its letters
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Reads `tokenizer.ggml.*`. Throws Error: kBadFile for a damaged vocabulary, kUnsupported for an unknown kind.
  static std::unique_ptr<Tokenizer> load(const GgufFile& file);

  // Ids of `text`, any bytes; invalid UTF-8 is encoded byte by byte or through U+FFFD, never refused.
  // Time is linear in the text.
  virtual std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

  // The bytes one token stands for inside running text. Control tokens give their name with `special`, else nothing.
  virtual std::string_view piece(TokenId token, bool special = true) const = 0;

  // The text of `tokens`; for byte-level vocabularies decode(encode(text)) == text. Ids out of range throw Error.
  virtual std::string decode(std::span<const TokenId> tokens, bool special = true) const = 0;

  virtual int size() const = 0;
  virtual TokenId bos() const = 0;                      // kNoToken where there is none
  virtual TokenId eos() const = 0;
  virtual bool ends_generation(TokenId token) const = 0;  // EOS, EOT, EOM, <|im_end|> ...
  virtual bool adds_bos() const = 0;                    // encode() would begin with bos()
  virtual TokenId find(std::string_view text) const = 0;  // the token of exactly this text, or kNoToken
};

// Turns a stream of tokens into text that never ends inside a UTF-8 character.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool special = false);

  std::string push(TokenId token);  // the text now complete, possibly empty
  std::string finish();             // what is left; broken bytes become U+FFFD

 private:
  const Tokenizer& tokenizer_;
  bool special_;
  bool first_ = true;
  std::string pending_;
};

}  // namespace fieldprint
