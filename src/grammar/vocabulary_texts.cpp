#include "grammar/vocabulary_texts.h"

#include <algorithm>

#include "base/utf8.h"

namespace fieldprint {
namespace {

// How many plain characters a text is; 0 where it has others or broken ones, or more than kMaxPlain.
size_t plain_count(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    const Utf8Char c = utf8_at(text, at);
    if (c.broken() || !VocabularyTexts::plain(c.code) || count == VocabularyTexts::kMaxPlain) return 0;
    at += c.length;
  }
  return count;
}

}  // namespace

VocabularyTexts::VocabularyTexts(const Tokenizer& tokenizer)
    : fresh_at_start_(tokenizer.space_is_prefix_after(kNoToken)) {
  const TokenId size = tokenizer.size();
  for (TokenId token = 0; token < size; ++token) {
    begins_.push_back(static_cast<uint32_t>(bytes_.size()));
    fresh_after_.push_back(tokenizer.space_is_prefix_after(token));
    if (tokenizer.ends_generation(token)) ends_.push_back(token);
    const std::string_view text = tokenizer.piece(token, false);
    // An end token ends the answer and shows nothing, whatever its kind says.
    const bool named = text.empty() || tokenizer.ends_generation(token);
    if (named) named_.push_back({token, {}, tokenizer.ends_generation(token)});
    bytes_ += named ? tokenizer.piece(token, true) : text;
  }
  begins_.push_back(static_cast<uint32_t>(bytes_.size()));
  const auto whole = [&](TokenId token) {
    const auto t = static_cast<size_t>(token);
    return std::string_view(bytes_).substr(begins_[t], begins_[t + 1] - begins_[t]);
  };
  for (Named& n : named_) n.name = whole(n.token);
  std::vector<std::pair<std::string_view, TokenId>> texts, fresh, others;
  plain_.resize(kMaxPlain, std::vector<uint64_t>((static_cast<size_t>(size) + 63) / 64));
  bool differs = false;
  for (TokenId token = 0; token < size; ++token) {
    if (named(token) != nullptr) continue;
    const std::string_view text = this->text(token, false), at_start = this->text(token, true);
    differs |= text != at_start;
    texts.emplace_back(text, token);
    fresh.emplace_back(at_start, token);
    const size_t count = plain_count(text);
    if (count == 0) others.emplace_back(text, token);
    else plain_[count - 1][static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
  }
  for (size_t i = 1; i < kMaxPlain; ++i)
    for (size_t w = 0; w < plain_[i].size(); ++w) plain_[i][w] |= plain_[i - 1][w];
  others_.emplace(std::move(others));
  trie_.emplace(std::move(texts));
  if (differs) fresh_trie_.emplace(std::move(fresh));
}

std::string_view VocabularyTexts::text(TokenId token, bool fresh) const {
  if (named(token) != nullptr) return {};
  const auto t = static_cast<size_t>(token);
  std::string_view text = std::string_view(bytes_).substr(begins_[t], begins_[t + 1] - begins_[t]);
  // As StreamDecoder does it.
  if (fresh && text.starts_with(' ') && !fresh_after_[t]) text.remove_prefix(1);
  return text;
}

const VocabularyTexts::Named* VocabularyTexts::named(TokenId token) const {
  const auto found = std::lower_bound(named_.begin(), named_.end(), token,
                                      [](const Named& n, TokenId wanted) { return n.token < wanted; });
  return found != named_.end() && found->token == token ? &*found : nullptr;
}

size_t VocabularyTexts::memory_bytes() const {
  const size_t trie = trie_->size() * sizeof(TokenTrie::Node) + begins_.size() * sizeof(TokenId);
  return bytes_.size() + begins_.size() * sizeof(uint32_t) + trie * (fresh_trie_ ? 2 : 1);
}

}  // namespace fieldprint
