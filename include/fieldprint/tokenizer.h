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

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;

// Bytes [begin, end) of a text.
struct TextRange {
  size_t begin = 0, end = 0;
  bool operator==(const TextRange&) const = default;
};

struct EncodeOptions {
  bool add_special = true;    // BOS and EOS where the vocabulary asks for them
  bool parse_special = true;  // "<|im_start|>" in the text becomes its token, not its letters
  // Where parse_special holds for a part of the text only: what lies in these ranges (ascending, within the text) is
  // never a part of a control token. Text without control tokens gives the same ids with and without ranges.
  std::span<const TextRange> plain = {};
};

// Model::tokenizer() and load_tokenizer() give one.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids of `text`, any bytes below 4 GiB (Error kLimit), in time linear in the text. A byte that belongs to no UTF-8
  // character is encoded as that byte (unigram vocabularies: as U+FFFD), never refused. What a vocabulary has no token
  // for becomes its unknown token; where it has none of these either, it is left out.
  virtual std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

  // The bytes one token stands for inside running text. Control tokens give their name with `special`, else nothing.
  // They live as long as the tokenizer.
  virtual std::string_view piece(TokenId token, bool special = true) const = 0;

  // The text of `tokens`. For byte-level vocabularies decode(encode(text)) == text for any bytes; SentencePiece ones
  // give U+2581 back as a space, and unigram ones what their normaliser left. Ids out of range throw Error kBadInput,
  // in all members that take one.
  virtual std::string decode(std::span<const TokenId> tokens, bool special = true) const = 0;

  virtual int size() const = 0;
  virtual TokenId bos() const = 0;  // kNoToken where there is none
  virtual TokenId eos() const = 0;
  virtual bool ends_generation(TokenId token) const = 0;  // EOS, EOT, EOM, <|im_end|> ...
  virtual bool adds_bos() const = 0;                      // encode() would begin with bos()
  virtual TokenId find(std::string_view text) const = 0;  // the token of exactly this text, or kNoToken

  // Vocabularies may put a space before text that begins or follows a special token. True where a space that begins the
  // piece after `previous` (kNoToken: the first piece) is such a one, which decoding leaves out.
  virtual bool space_is_prefix_after(TokenId previous) const = 0;
};

// Reads the tokenizer of a GGUF file and nothing else: no weight is looked at, any architecture will do. Throws Error
// kNotFound, kIo; kBadFile for a damaged vocabulary, kUnsupported for one of an unknown kind.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path);

// Ids of a text that a model is to continue, such as a rendered chat template: special tokens are parsed, BOS comes
// first where the vocabulary asks for it, never twice where the text brings its own, and no EOS follows. `plain` as in
// EncodeOptions.
std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, std::string_view text,
                                   std::span<const TextRange> plain = {});

// Turns a stream of tokens into text that never ends inside a UTF-8 character: the pieces together are decode() of the
// tokens, with U+FFFD for what is no UTF-8. The tokenizer must outlive it. One thread at a time.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool special = false);

  std::string push(TokenId token);  // the text now complete, possibly empty
  std::string finish();             // what is left; broken bytes become U+FFFD

 private:
  const Tokenizer& tokenizer_;
  bool special_;
  TokenId previous_ = kNoToken;
  std::string pending_;  // the beginning of a character
};

}  // namespace fieldprint
