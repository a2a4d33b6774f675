// Unigram language model (T5 and kin): of all ways to cut the normalised text into tokens, the one with the highest sum
// of scores, found from left to right (Viterbi). Linear in the text times the longest token.
#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "base/utf8.h"
#include "fieldprint/error.h"
#include "text/charsmap.h"
#include "text/flat_hash.h"
#include "text/spaces.h"
#include "text/text_model.h"

namespace fieldprint {
namespace {

using std::string_view;

// Longer tokens (none is known) are decoded but never found: the search takes time by the longest.
constexpr size_t kTokenBytesMax = 1024;

constexpr double kUnknownPenalty = 10;  // below the worst token, as SentencePiece has it

class Unigram : public TextModel {
 public:
  Unigram(const GgufFile& file, const Vocabulary& v)
      : charsmap_(file.array("tokenizer.ggml.precompiled_charsmap")),
        add_space_prefix_(v.add_space_prefix),
        merge_spaces_(file.boolean("tokenizer.ggml.remove_extra_whitespaces", false)),
        unknown_(v.unknown) {
    if (v.scores.empty()) {
      throw Error(ErrorKind::kBadFile, "a unigram vocabulary without scores", "tokenizer.ggml.scores");
    }
    bytes_.fill(kNoToken);
    double worst = 0;
    for (TokenId id = 0; id < v.size(); ++id) {
      const TokenKind kind = v.kind(id);
      const double score = v.scores[static_cast<size_t>(id)];
      const int byte = kind == TokenKind::kByte ? byte_token_value(v.text(id)) : -1;
      if (byte >= 0 && bytes_[static_cast<size_t>(byte)] == kNoToken) bytes_[static_cast<size_t>(byte)] = id;
      if (kind == TokenKind::kNormal) worst = std::min(worst, score);
      if (kind != TokenKind::kNormal && kind != TokenKind::kUserDefined && kind != TokenKind::kUnused) continue;
      // A user-defined token costs nothing, so that it wins.
      insert(v.text(id), id, kind == TokenKind::kUserDefined ? 0 : score);
    }
    unknown_score_ = worst - kUnknownPenalty;
  }

  void encode(string_view text, bool, std::vector<TokenId>& ids) const override {
    const std::string normal = normalised(text);
    if (normal.empty()) return;
    struct Best {
      double score = -std::numeric_limits<double>::infinity();
      uint32_t length = 0;  // of the last token, in bytes
      TokenId token = kNoToken;
    };
    std::vector<Best> best(normal.size() + 1);  // best[i]: of the first i bytes
    best[0].score = 0;
    for (size_t at = 0; at < normal.size();) {
      const uint32_t character = utf8_at(normal, at).length;
      const double so_far = best[at].score;
      const auto offer = [&](size_t length, TokenId token, double score) {
        Best& there = best[at + length];
        if (so_far + score > there.score) there = {so_far + score, static_cast<uint32_t>(length), token};
      };
      bool whole_character = false;
      uint32_t node = 0;
      for (size_t i = at; i < normal.size(); ++i) {
        const uint64_t* next = edges_.find(node, static_cast<uint8_t>(normal[i]));
        if (next == nullptr) break;
        node = static_cast<uint32_t>(*next);
        if (nodes_[node].token == kNoToken) continue;
        whole_character |= i + 1 - at == character;
        offer(i + 1 - at, nodes_[node].token, nodes_[node].score);
      }
      if (!whole_character) offer(character, kNoToken, unknown_score_);
      at += character;
    }
    const size_t before = ids.size();
    for (size_t end = normal.size(); end > 0; end -= best[end].length) {
      const Best& last = best[end];
      if (last.token != kNoToken) {
        ids.push_back(last.token);
      } else {
        append_unknown(string_view(normal).substr(end - last.length, last.length), before, ids);
      }
    }
    std::reverse(ids.begin() + static_cast<ptrdiff_t>(before), ids.end());
  }

  std::string piece(string_view written, TokenKind kind) const override {
    const int byte = kind == TokenKind::kByte ? byte_token_value(written) : -1;
    return byte >= 0 ? std::string(1, static_cast<char>(byte)) : unmark_spaces(written);
  }

  TokenId find(string_view text) const override {
    uint32_t node = 0;
    for (const char c : mark_spaces(text, false)) {
      const uint64_t* next = edges_.find(node, static_cast<uint8_t>(c));
      if (next == nullptr) return kNoToken;
      node = static_cast<uint32_t>(*next);
    }
    return nodes_[node].token;
  }

 private:
  struct Node {
    TokenId token = kNoToken;
    double score = 0;
  };

  void insert(string_view text, TokenId id, double score) {
    if (text.size() > kTokenBytesMax) return;
    uint32_t node = 0;
    for (const char c : text) {
      if (edges_.insert(node, static_cast<uint8_t>(c), nodes_.size())) nodes_.emplace_back();
      node = static_cast<uint32_t>(*edges_.find(node, static_cast<uint8_t>(c)));
    }
    if (node != 0 && nodes_[node].token == kNoToken) nodes_[node] = {id, score};
  }

  std::string normalised(string_view text) const {
    std::string normal;
    normal.reserve(text.size() + text.size() / 2);
    bool in_word = false, prefixed = false;
    for (size_t at = 0; at < text.size();) {
      const Charsmap::Step step = charsmap_.step(text, at);
      at += step.consumed;
      for (const char c : step.replacement) {
        if (c == ' ') {
          in_word = false;
          if (!merge_spaces_) normal += kSpaceMark;
          continue;
        }
        if (!in_word && (merge_spaces_ || (add_space_prefix_ && !prefixed))) normal += kSpaceMark;
        in_word = prefixed = true;
        normal += c;
      }
    }
    return normal;
  }

  // Its bytes where the vocabulary has them all, else the unknown token, one for a run. `ids` is in reverse order here.
  void append_unknown(string_view character, size_t before, std::vector<TokenId>& ids) const {
    const auto known = [&](char c) { return bytes_[static_cast<uint8_t>(c)] != kNoToken; };
    if (std::all_of(character.begin(), character.end(), known)) {
      for (size_t i = character.size(); i-- > 0;) ids.push_back(bytes_[static_cast<uint8_t>(character[i])]);
    } else if (unknown_ != kNoToken && (ids.size() == before || ids.back() != unknown_)) {
      ids.push_back(unknown_);
    }
  }

  Charsmap charsmap_;
  bool add_space_prefix_;
  bool merge_spaces_;
  TokenId unknown_;
  double unknown_score_ = 0;
  std::array<TokenId, 256> bytes_{};
  std::vector<Node> nodes_ = std::vector<Node>(1);
  PairTable edges_;  // (node, byte) -> node
};

}  // namespace

std::unique_ptr<TextModel> make_unigram(const GgufFile& file, const Vocabulary& vocabulary) {
  return std::make_unique<Unigram>(file, vocabulary);
}

}  // namespace fieldprint
