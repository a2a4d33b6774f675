// A vocabulary put together: special tokens cut out of the text, a model of its kind for what lies between, BOS and
// EOS.
#include <algorithm>
#include <iterator>
#include <optional>
#include <string>

#include "fieldprint/error.h"
#include "text/guess_pre_tokenizer.h"
#include "text/load_tokenizer.h"
#include "text/special_matcher.h"
#include "text/text_model.h"
#include "text/unicode_class.h"
#include "text/vocabulary.h"

namespace fieldprint {
namespace {

using std::string_view;

// Byte-level files without ids for BOS and EOS come from the time when Falcon's 11 was both; in other vocabularies 11
// is ordinary (a comma in GPT-2's), and must not end an answer.
void mend_byte_level(const GgufFile& file, VocabularyDefaults& defaults) {
  const GgufArray* kinds = file.array("tokenizer.ggml.token_type");
  const bool control =
      kinds != nullptr && kinds->count > 11 && kinds->integer(11) == static_cast<int>(TokenKind::kControl);
  if (control) defaults.bos = defaults.eos = 11;
  defaults.add_bos = pre_tokenizer_of(file).add_bos;
}

// [CLS] stands where other vocabularies have BOS, and most files give it under its own name.
void mend_wordpiece(const GgufFile& file, VocabularyDefaults& defaults) {
  if (file.find("tokenizer.ggml.bos_token_id") == nullptr) defaults.bos_key = "cls_token_id";
}

struct ModelKind {
  string_view name;  // tokenizer.ggml.model
  VocabularyDefaults defaults;
  std::unique_ptr<TextModel> (*make)(const GgufFile& file, const Vocabulary& vocabulary);
  void (*mend)(const GgufFile& file, VocabularyDefaults& defaults) = nullptr;  // of what depends on the file
  std::optional<bool> space_prefix = {};  // whether a space in front of a text is left out again; absent: the file says
};

constexpr ModelKind kKinds[] = {
    {"gpt2", {}, make_byte_level_bpe, mend_byte_level, false},
    {"llama", {.bos = 1, .eos = 2, .unknown = 0, .add_bos = true, .add_space_prefix = true}, make_sentencepiece_bpe},
    {"gemma4", {.bos = 2, .eos = 1, .unknown = 3, .add_bos = true}, make_character_bpe},
    {"t5", {.eos = 1, .unknown = 2, .add_eos = true}, make_unigram},
    {"bert",
     {.bos = 101,
      .eos = 102,
      .unknown = 100,
      .add_bos = true,
      .add_eos = true,
      .eos_key = "seperator_token_id",
      .add_eos_key = "add_sep_token",
      .bos_text = "[CLS]",
      .eos_text = "[SEP]",
      .unknown_text = "[UNK]"},
     make_wordpiece,
     mend_wordpiece,
     true},
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

bool c_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

class GgufTokenizer final : public Tokenizer {
 public:
  GgufTokenizer(const Vocabulary& v, std::unique_ptr<TextModel> model, bool space_prefix)
      : model_(std::move(model)),
        bos_(v.bos),
        eos_(v.eos),
        add_bos_(v.add_bos),
        add_eos_(v.add_eos),
        add_space_prefix_(space_prefix),
        ends_(v.ends),
        lstrips_(v.lstrips),
        rstrips_(v.rstrips),
        unicode_strips_(v.unicode_strips) {
    piece_ends_.reserve(v.texts.size());
    for (TokenId id = 0; id < v.size(); ++id) {
      const TokenKind kind = v.kind(id);
      const bool special =
          kind == TokenKind::kControl || kind == TokenKind::kUnknown || kind == TokenKind::kUserDefined;
      Specials& those = std::binary_search(v.late.begin(), v.late.end(), id) ? late_ : early_;
      if (special) those.all.add(v.text(id), id);
      if (kind == TokenKind::kUserDefined) those.user_defined.add(v.text(id), id);
      pieces_ += special ? std::string(v.text(id)) : model_->piece(v.text(id), kind);
      piece_ends_.push_back(pieces_.size());
    }
    kinds_ = v.kinds;
    for (Specials* those : {&early_, &late_}) those->all.finish(), those->user_defined.finish();
  }

  std::vector<TokenId> encode(string_view text, const EncodeOptions& options) const override {
    if (text.size() >= UINT32_MAX) throw Error(ErrorKind::kLimit, "a text of 4 GiB or more cannot be encoded at once");
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 4 + 2);
    if (options.add_special && add_bos_) ids.push_back(bos_);
    std::vector<TextFragment> fragments;
    for (const TextFragment& part : cut(early_, text, {0, text.size(), kNoToken}, options)) {
      if (part.token != kNoToken) fragments.push_back(part);
      else
        for (const TextFragment& found : cut(late_, text, part, options)) fragments.push_back(found);
    }
    bool fresh = true;
    for (const TextFragment& fragment : fragments) {
      if (fragment.token != kNoToken) {
        ids.push_back(fragment.token);
      } else {
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
    for (const Specials* those : {&early_, &late_}) {
      if (const TokenId special = those->all.find(text); special != kNoToken) return special;
    }
    return model_->find(text);
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

  struct Specials {
    SpecialMatcher all;
    SpecialMatcher user_defined;  // those that plain text may name, too
  };

  // The longest of `those` at every place of text[begin, end), right to left. Control tokens lie outside the plain
  // ranges; user-defined ones may lie anywhere.
  static std::vector<TextFragment> find_all(const Specials& those, string_view text, size_t begin, size_t end,
                                            const EncodeOptions& options) {
    std::vector<TextFragment> outside, anywhere, found;
    if (!options.parse_special || options.plain.empty()) {
      (options.parse_special ? those.all : those.user_defined).find_all(text, begin, end, found);
      return found;
    }
    const auto clipped = [&](size_t at) { return std::clamp(at, begin, end); };
    size_t last = end;
    for (size_t i = options.plain.size(); i-- > 0;) {
      those.all.find_all(text, std::min(clipped(options.plain[i].end), last), last, outside);
      last = std::min(clipped(options.plain[i].begin), last);
    }
    those.all.find_all(text, begin, last, outside);
    those.user_defined.find_all(text, begin, end, anywhere);
    // Of two that begin at one place the longer, as in a text without ranges.
    std::merge(outside.begin(), outside.end(), anywhere.begin(), anywhere.end(), std::back_inserter(found),
               [](const TextFragment& a, const TextFragment& b) {
                 return a.begin != b.begin ? a.begin > b.begin : a.end < b.end;
               });
    return found;
  }

  // `part` of the text cut into those special tokens, with the white space that they swallow, and what lies between; no
  // fragment is empty. As Hugging Face's tokenizers do it (AddedVocabulary::find_matches), down to tokens that stand in
  // white space which another has swallowed: they count unless they would swallow it too (lstrip).
  std::vector<TextFragment> cut(const Specials& those, string_view text, const TextFragment& part,
                                const EncodeOptions& options) const {
    const auto in = [](const std::vector<TokenId>& set, TokenId id) {
      return std::binary_search(set.begin(), set.end(), id);
    };
    const auto found = find_all(those, text, part.begin, part.end, options);
    std::vector<TextFragment> fragments;
    size_t done = part.begin, searched = part.begin;
    for (auto match = found.rbegin(); match != found.rend(); ++match) {
      if (match->begin < searched) continue;
      searched = match->end;
      TextFragment token = *match;
      if (in(lstrips_, token.token)) {
        token.begin -= spaces_at_end(text.substr(part.begin, token.begin - part.begin));
        token.begin = std::max(token.begin, done);
      }
      if (in(rstrips_, token.token)) token.end += spaces_at_start(text.substr(token.end, part.end - token.end));
      if (done < token.begin) fragments.push_back({done, token.begin, kNoToken});
      if (token.begin < token.end) fragments.push_back(token);
      done = token.end;
    }
    if (done < part.end) fragments.push_back({done, part.end, kNoToken});
    return fragments;
  }

  // Bytes of the white space that `text` begins with, ends with.
  size_t spaces_at_start(string_view text) const {
    size_t at = 0;
    while (at < text.size() && is_space(text, at)) at += unicode_strips_ ? utf8_at(text, at).length : 1;
    return at;
  }
  size_t spaces_at_end(string_view text) const {
    size_t end = text.size();
    while (end > 0) {
      size_t begin = end - 1;
      while (unicode_strips_ && begin > 0 && end - begin < 4 && (text[begin] & 0xC0) == 0x80) --begin;
      if (!is_space(text, begin) || (unicode_strips_ && begin + utf8_at(text, begin).length != end)) break;
      end = begin;
    }
    return text.size() - end;
  }
  bool is_space(string_view text, size_t at) const {
    return unicode_strips_ ? class_at(char_classes(), text, at).kind == kSpace : c_space(text[at]);
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
  bool unicode_strips_;
  std::vector<TokenKind> kinds_;
  std::string pieces_;  // of all tokens, one after the other
  std::vector<uint64_t> piece_ends_;
  Specials early_, late_;
};

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const GgufFile& file) {
  const ModelKind& kind = find_kind(file.string("tokenizer.ggml.model"));
  VocabularyDefaults defaults = kind.defaults;
  if (kind.mend != nullptr) kind.mend(file, defaults);
  const Vocabulary vocabulary = read_vocabulary(file, defaults);
  return std::make_unique<GgufTokenizer>(vocabulary, kind.make(file, vocabulary),
                                         kind.space_prefix.value_or(vocabulary.add_space_prefix));
}

}  // namespace fieldprint
