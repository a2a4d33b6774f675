#include "text/language.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "text/unicode_class.h"
#include "text/words.h"

namespace fieldprint {
namespace {

constexpr LanguageProfile kProfiles[] = {
#define LANGUAGE(code, name, script, letters, words) {code, name, script, letters, words},
#include "text/languages.def"
#undef LANGUAGE
};

struct Block {
  uint32_t first, last;
  std::string_view script;
};
constexpr Block kBlocks[] = {
    {0x0041, 0x024F, "Latin"},     {0x1E00, 0x1EFF, "Latin"},    {0x0370, 0x03FF, "Greek"},
    {0x1F00, 0x1FFF, "Greek"},     {0x0400, 0x052F, "Cyrillic"}, {0x0530, 0x058F, "Armenian"},
    {0x0590, 0x05FF, "Hebrew"},    {0x0600, 0x06FF, "Arabic"},   {0x0750, 0x077F, "Arabic"},
    {0xFB50, 0xFDFF, "Arabic"},    {0xFE70, 0xFEFE, "Arabic"},   {0x0900, 0x097F, "Devanagari"},
    {0x0980, 0x09FF, "Bengali"},   {0x0A00, 0x0A7F, "Gurmukhi"}, {0x0A80, 0x0AFF, "Gujarati"},
    {0x0B80, 0x0BFF, "Tamil"},     {0x0C00, 0x0C7F, "Telugu"},   {0x0C80, 0x0CFF, "Kannada"},
    {0x0D00, 0x0D7F, "Malayalam"}, {0x0D80, 0x0DFF, "Sinhala"},  {0x0E00, 0x0E7F, "Thai"},
    {0x0E80, 0x0EFF, "Lao"},       {0x1000, 0x109F, "Myanmar"},  {0x10A0, 0x10FF, "Georgian"},
    {0x1100, 0x11FF, "Hangul"},    {0x1200, 0x139F, "Ethiopic"}, {0x1780, 0x17FF, "Khmer"},
    {0x3040, 0x30FF, "Kana"},      {0x3130, 0x318F, "Hangul"},   {0xAC00, 0xD7AF, "Hangul"},
    {0x3400, 0x4DBF, "Han"},       {0x4E00, 0x9FFF, "Han"},      {0xF900, 0xFAFF, "Han"},
    {0x20000, 0x3FFFF, "Han"},
};

std::string_view script_of(uint32_t c) {
  for (const Block& block : kBlocks)
    if (c >= block.first && c <= block.last) return block.script;
  return "";
}

std::vector<uint32_t> code_points(std::string_view text) {
  std::vector<uint32_t> all;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    all.push_back(c.code);
    at += c.length;
  }
  return all;
}

// The languages of one script, made ready: how much a word or a letter says for each of them.
struct Rivals {
  std::vector<const LanguageProfile*> profiles;
  std::unordered_map<std::string, std::vector<size_t>> words;  // whose it is
  std::map<uint32_t, std::vector<size_t>> letters;

  explicit Rivals(std::string_view script) {
    for (const LanguageProfile& profile : kProfiles) {
      if (profile.script != script) continue;
      const size_t own = profiles.size();
      profiles.push_back(&profile);
      for (const std::string& word : normalised_words(profile.words)) {
        auto& owners = words[word];
        if (owners.empty() || owners.back() != own) owners.push_back(own);
      }
      for (const uint32_t letter : code_points(profile.letters)) letters[letter].push_back(own);
    }
  }
};

const Rivals& rivals_of(std::string_view script) {
  static const std::map<std::string_view, Rivals> kAll = [] {
    std::map<std::string_view, Rivals> all;
    for (const LanguageProfile& profile : kProfiles) all.try_emplace(profile.script, profile.script);
    return all;
  }();
  return kAll.at(script);
}

// A word counts 1, less where others have it too (1 / n); so does a letter beside a-z, by a third. A word with letters
// that a language does not write speaks against it by a half: it may be a name, or a guest as in "café". The best has
// to have a word in twenty.
std::string best_of(const Rivals& rivals, const std::vector<std::string>& words) {
  std::vector<double> scores(rivals.profiles.size(), 0);
  for (const std::string& word : words) {
    if (const auto found = rivals.words.find(word); found != rivals.words.end())
      for (const size_t owner : found->second) scores[owner] += 1.0 / static_cast<double>(found->second.size());
    std::vector<bool> foreign(scores.size(), false);
    for (const uint32_t c : code_points(word)) {
      const auto found = rivals.letters.find(c);
      if (found == rivals.letters.end()) continue;  // a-z, or a foreign name's
      size_t next = 0;
      for (size_t i = 0; i < scores.size(); ++i) {
        if (next < found->second.size() && found->second[next] == i) {
          scores[i] += 1.0 / 3 / static_cast<double>(found->second.size());
          ++next;
        } else if (!rivals.profiles[i]->letters.empty() || rivals.profiles[i]->script == "Latin") {
          foreign[i] = true;
        }
      }
    }
    for (size_t i = 0; i < scores.size(); ++i) scores[i] -= foreign[i] ? 0.5 : 0;
  }
  const auto best = std::max_element(scores.begin(), scores.end());
  if (words.empty() || *best <= 0 || *best < 0.05 * static_cast<double>(words.size())) return "";
  return std::string(rivals.profiles[static_cast<size_t>(best - scores.begin())]->code);
}

}  // namespace

std::span<const LanguageProfile> language_profiles() { return kProfiles; }

const LanguageProfile* find_language(std::string_view code) {
  const std::string_view first = code.substr(0, code.find_first_of("-_"));
  for (const LanguageProfile& profile : kProfiles)
    if (profile.code == first) return &profile;
  return nullptr;
}

LanguageGuess guess_language(std::string_view text) {
  const CharClass* classes = char_classes();
  std::map<std::string_view, size_t> scripts;
  size_t letters = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    at += c.length;
    if (c.broken() || classes[c.code] != kLetter) continue;
    ++letters;
    ++scripts[script_of(c.code)];
  }
  if (letters == 0) return {};
  // Japanese is written with Han characters too, Chinese never with kana: a tenth of kana decides.
  const size_t han = scripts["Han"], kana = scripts["Kana"];
  if (kana * 10 >= han + kana && kana > 0) scripts["Kana"] += std::exchange(scripts["Han"], 0);
  else scripts["Han"] += std::exchange(scripts["Kana"], 0);
  // A Han character or a syllable of Hangul is about what three letters are elsewhere.
  const auto weight = [](std::string_view script) {
    return script == "Han" || script == "Kana" || script == "Hangul" ? 3.0 : 1.0;
  };
  std::string_view script;
  double most = 0;
  for (const auto& [name, count] : scripts) {
    const double weighted = weight(name) * static_cast<double>(count);
    if (!name.empty() && weighted > most) script = name, most = weighted;
  }
  if (script.empty()) return {};
  const Rivals& rivals = rivals_of(script);
  LanguageGuess guess;
  guess.share = static_cast<double>(scripts[script]) / static_cast<double>(letters);
  if (rivals.profiles.size() == 1) {
    guess.code = rivals.profiles.front()->code;
  } else {
    std::vector<std::string> words = normalised_words(text);
    std::erase_if(words, [&](const std::string& word) { return script_of(utf8_at(word, 0).code) != script; });
    guess.code = best_of(rivals, words);
    if (guess.code.empty()) guess.share = 0;
  }
  return guess;
}

}  // namespace fieldprint
