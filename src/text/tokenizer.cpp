// A vocabulary put together: special tokens cut out of the text, a model of its kind for what lies between, BOS and
// EOS.
#include <algorithm>
#include <iterator>
#include <string>

#include "fieldprint/error.h"
#include "text/load_tokenizer.h"
#include "text/pre_tokenizer.h"
#include "text/special_matcher.h"
#include "text/text_model.h"
#include "text/vocabulary.h"

namespace fieldprint {
namespace {

using std::string_view;

struct ModelKind {
  string_view name;  // tokenizer.ggml.model
  VocabularyDefaults defaults;
  std::unique_ptr<TextModel> (*make)(const GgufFile& file, const Vocabulary& vocabulary);
};

constexpr ModelKind kKinds[] = {
    {"gpt2", {}, make_byte_level_bpe},
    {"llama", {.bos = 1, .eos = 2, .unknown = 0, .add_bos = true, .add_space_prefix = true}, make_sentencepiece_bpe},
    {"t5", {.eos = 1, .unknown = 2, .add_eos = true}, make_unigram},
};

const ModelKind& find_kind(string_view name) {
  std::string known;
  for (const ModelKind& kind : kKinds) {
    if (kind.name == name) return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  throw Error(ErrorKind::kUnsupported,
              "vocabularies of the kind '" + std::string(name.substr(0, 100)) + "' are not supported",
              "tokenizer.ggml.model", "known are: " + known);
}

// Byte-level files without ids for BOS and EOS come from the time when Falcon's 11 was both; in other vocabularies 11
// is ordinary (a comma in GPT-2's), and must not end an answer.
void mend_defaults(const GgufFile& file, VocabularyDefaults& defaults) {
  const GgufArray* kinds = file.array("tokenizer.ggml.token_type");
  const bool control =
      kinds != nullptr && kinds->count > 11 && kinds->integer(11) == static_cast<int>(TokenKind::kControl);
  if (control) defaults.bos = defaults.eos = 11;
  defaults.add_bos = find_pre_tokenizer(file.string("tokenizer.ggml.pre", "")).add_bos;
}

bool c_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

class GgufTokenizer final : public Tokenizer {
 public:
  GgufTokenizer(const GgufFile& file, const Vocabulary& v, std::unique_ptr<TextModel> model)
      : model_(std::move(model)),
        bos_(v.bos),
        eos_(v.eos),
        add_bos_(v.add_bos),
        add_eos_(v.add_eos),
        add_space_prefix_(v.add_space_prefix && file.string("tokenizer.ggml.model") != "gpt2"),
        ends_(v.ends),
        lstrips_(v.lstrips),
        rstrips_(v.rstrips) {
    piece_ends_.reserve(v.texts.size());
    for (TokenId id = 0; id < v.size(); ++id) {
      const TokenKind kind = v.kind(id);
      const bool special =
          kind == TokenKind::kControl || kind == TokenKind::kUnknown || kind == TokenKind::kUserDefined;
      if (special) specials_.add(v.text(id), id);
      if (kind == TokenKind::kUserDefined) user_defined_.add(v.text(id), id);
      pieces_ += special ? std::string(v.text(id)) : model_->piece(v.text(id), kind);
      piece_ends_.push_back(pieces_.size());
    }
    kinds_ = v.kinds;
    specials_.finish();
    user_defined_.finish();
  }

  std::vector<TokenId> encode(string_view text, const EncodeOptions& options) const override {
    if (text.size() >= UINT32_MAX) throw Error(ErrorKind::kLimit, "a text of 4 GiB or more cannot be encoded at once");
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 4 + 2);
    if (options.add_special && add_bos_) ids.push_back(bos_);
    auto fragments = options.parse_special && !options.plain.empty()
                         ? split_around(text, options.plain)
                         : (options.parse_special ? specials_ : user_defined_).split(text);
    strip(text, fragments);
    bool fresh = true;
    for (const TextFragment& fragment : fragments) {
      if (fragment.token != kNoToken) {
        ids.push_back(fragment.token);
      } else if (fragment.begin < fragment.end) {
        model_->encode(text.substr(fragment.begin, fragment.end - fragment.begin), fresh, ids);
      }
      fresh = fragment.token != kNoToken;
    }
    if (options.add_special && add_eos_) ids.push_back(eos_);
    return ids;
  }

  string_view piece(TokenId token, bool special) const override {
    const size_t i = index(token);
    if (!special && (kinds_[i] == TokenKind::kControl || kinds_[i] == TokenKind::kUnknown)) return {};
    const uint64_t begin = i == 0 ? 0 : piece_ends_[i - 1];
    return string_view(pieces_).substr(begin, piece_ends_[i] - begin);
  }

  std::string decode(std::span<const TokenId> tokens, bool special) const override {
    std::string text;
    TokenId previous = kNoToken;
    for (const TokenId token : tokens) {
      string_view next = piece(token, special);
      if (next.starts_with(' ') && space_is_prefix_after(previous) && !space_is_prefix_after(token))
        next.remove_prefix(1);
      text += next;
      previous = token;
    }
    return text;
  }

  int size() const override { return static_cast<int>(kinds_.size()); }
  TokenId bos() const override { return bos_; }
  TokenId eos() const override { return eos_; }
  bool ends_generation(TokenId token) const override { return std::binary_search(ends_.begin(), ends_.end(), token); }
  bool adds_bos() const override { return add_bos_; }

  TokenId find(string_view text) const override {
    const TokenId special = specials_.find(text);
    return special != kNoToken ? special : model_->find(text);
  }

  bool space_is_prefix_after(TokenId previous) const override {
    if (!add_space_prefix_ || previous == kNoToken) return add_space_prefix_;
    const TokenKind kind = kinds_[index(previous)];
    return kind == TokenKind::kControl || kind == TokenKind::kUserDefined;
  }

 private:
  size_t index(TokenId token) const {
    if (token < 0 || token >= size()) {
      throw Error(ErrorKind::kBadInput,
                  "there is no token " + std::to_string(token) + ": the vocabulary has " + std::to_string(size()));
    }
    return static_cast<size_t>(token);
  }

  // As specials_.split(text), but control tokens lie outside the plain ranges; user-defined ones may lie anywhere.
  std::vector<TextFragment> split_around(string_view text, std::span<const TextRange> plain) const {
    std::vector<TextFragment> outside, anywhere, found;
    size_t end = text.size();
    for (size_t i = plain.size(); i-- > 0;) {
      specials_.find_all(text, std::min(plain[i].end, end), end, outside);
      end = std::min(plain[i].begin, end);
    }
    specials_.find_all(text, 0, end, outside);
    user_defined_.find_all(text, 0, text.size(), anywhere);
    // Of two that begin at one place the longer, as in a text without ranges.
    std::merge(outside.begin(), outside.end(), anywhere.begin(), anywhere.end(), std::back_inserter(found),
               [](const TextFragment& a, const TextFragment& b) {
                 return a.begin != b.begin ? a.begin > b.begin : a.end < b.end;
               });
    return SpecialMatcher::cut(found, text.size());
  }

  void strip(string_view text, std::vector<TextFragment>& fragments) const {
    if (lstrips_.empty() && rstrips_.empty()) return;
    const auto in = [](const std::vector<TokenId>& set, TokenId id) {
      return std::binary_search(set.begin(), set.end(), id);
    };
    for (size_t i = 0; i < fragments.size(); ++i) {
      TextFragment& fragment = fragments[i];
      if (fragment.token != kNoToken) continue;
      if (i > 0 && in(rstrips_, fragments[i - 1].token)) {
        while (fragment.begin < fragment.end && c_space(text[fragment.begin])) ++fragment.begin;
      }
      if (i + 1 < fragments.size() && in(lstrips_, fragments[i + 1].token)) {
        while (fragment.begin < fragment.end && c_space(text[fragment.end - 1])) --fragment.end;
      }
    }
  }

  std::unique_ptr<TextModel> model_;
  TokenId bos_;
  TokenId eos_;
  bool add_bos_;
  bool add_eos_;
  bool add_space_prefix_;
  std::vector<TokenId> ends_;
  std::vector<TokenId> lstrips_;
  std::vector<TokenId> rstrips_;
  std::vector<TokenKind> kinds_;
  std::string pieces_;  // of all tokens, one after the other
  std::vector<uint64_t> piece_ends_;
  SpecialMatcher specials_;
  SpecialMatcher user_defined_;  // those that plain text may name, too
};

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const GgufFile& file) {
  const ModelKind& kind = find_kind(file.string("tokenizer.ggml.model"));
  VocabularyDefaults defaults = kind.defaults;
  if (kind.name == "gpt2") mend_defaults(file, defaults);
  const Vocabulary vocabulary = read_vocabulary(file, defaults);
  return std::make_unique<GgufTokenizer>(file, vocabulary, kind.make(file, vocabulary));
}

}  // namespace fieldprint
