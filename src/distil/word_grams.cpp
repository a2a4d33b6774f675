#include "distil/word_grams.h"

#include <algorithm>

#include "base/rng.h"
#include "text/words.h"

namespace fieldprint::distil {

uint64_t WordGrams::hash_of(const TokenId* words, size_t count) {
  uint64_t hash = count;
  for (size_t i = 0; i < count; ++i) hash = (hash ^ static_cast<uint32_t>(words[i])) * 0x9e3779b97f4a7c15u + 1;
  return Rng(hash).next();
}

bool WordGrams::short_text(std::string_view text) { return normalised_words(text).size() < kLeast; }

bool WordGrams::add(std::string_view text, const std::string& source) {
  std::vector<TokenId> ids;
  for (std::string& word : normalised_words(text))
    ids.push_back(dictionary_.try_emplace(std::move(word), static_cast<TokenId>(dictionary_.size())).first->second);
  if (ids.size() < kLeast) return false;
  texts_.push_back(std::move(ids));
  sources_.push_back(source);
  const std::vector<TokenId>& own = texts_.back();
  const size_t length = std::min(kMost, own.size());
  auto& grams = grams_[length - kLeast];
  for (size_t at = 0; at + length <= own.size(); ++at) {
    const uint64_t hash = hash_of(&own[at], length);
    // Of equal runs the first source is enough: texts of test sets repeat each other, and themselves.
    const auto [begin, end] = grams.equal_range(hash);
    const bool known = std::any_of(begin, end, [&](const auto& one) {
      return std::equal(&own[at], &own[at] + length, &texts_[one.second.text][one.second.at]);
    });
    if (!known) grams.emplace(hash, Place{static_cast<uint32_t>(texts_.size() - 1), static_cast<uint32_t>(at)});
  }
  return true;
}

std::optional<WordGrams::Hit> WordGrams::find(std::string_view text) const {
  const std::vector<std::string> words = normalised_words(text);
  std::vector<TokenId> ids(words.size(), kNoToken);
  for (size_t i = 0; i < words.size(); ++i)
    if (const auto found = dictionary_.find(words[i]); found != dictionary_.end()) ids[i] = found->second;
  // known[i]: how many words from i on are in the dictionary. Where one is not, no run goes through.
  std::vector<size_t> known(words.size() + 1, 0);
  for (size_t i = words.size(); i-- > 0;) known[i] = ids[i] == kNoToken ? 0 : known[i + 1] + 1;
  for (size_t at = 0; at < ids.size(); ++at) {
    for (size_t length = kLeast; length <= std::min(kMost, known[at]); ++length) {
      const auto& grams = grams_[length - kLeast];
      if (grams.empty()) continue;
      const auto [begin, end] = grams.equal_range(hash_of(&ids[at], length));
      for (auto one = begin; one != end; ++one) {
        const Place place = one->second;
        if (!std::equal(&ids[at], &ids[at] + length, &texts_[place.text][place.at])) continue;
        std::string run;
        for (size_t i = at; i < at + length; ++i) run += (run.empty() ? "" : " ") + words[i];
        return Hit{sources_[place.text], std::move(run)};
      }
    }
  }
  return std::nullopt;
}

}  // namespace fieldprint::distil
