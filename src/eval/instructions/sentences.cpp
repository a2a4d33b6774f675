#include "eval/instructions/sentences.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "eval/pattern.h"
#include "jinja/unicode.h"

namespace fieldprint {
namespace {

class WordSet {
 public:
  explicit WordSet(std::string_view words) {  // between single spaces; the text must outlive the set
    for (size_t at = 0; at < words.size();) {
      const size_t end = std::min(words.find(' ', at), words.size());
      words_.push_back(words.substr(at, end - at));
      at = end + 1;
    }
    std::sort(words_.begin(), words_.end());
  }
  bool contains(std::string_view word) const { return std::binary_search(words_.begin(), words_.end(), word); }

 private:
  std::vector<std::string_view> words_;
};

// Without their last period, in lower case.
bool is_abbreviation(std::string_view word) {
  static const WordSet all(
      "adm ala apr ariz aug ave bros calif capt cie co col colo conn corp ct dec del dept dr feb fla fri ft gen ga gov "
      "ill inc jan jr kan ky lt ltd maj mass md messrs mg mich minn mr mrs ms nov oct okla ore pa prof pa reps rep sen "
      "sens sep sept sr st tenn tues va vs vt wash wed wis yr a.m p.m u.s u.k u.n u.s.a u.s.s.r d.c n.y n.j n.c s.c "
      "n.d s.d n.h n.m r.i l.a w.va ph.d m.b.a b.a m.d.c");
  return all.contains(word);
}

// Words that, with a capital letter, begin a sentence: they are no names.
bool is_common(std::string_view word) {
  static const WordSet all(
      "a about above after again all almost also although always an and another any are as at be because been before "
      "being below between both but by can could despite did do does doing don't during each either even every few "
      "finally first for from further had has have having he her here hers him his how however if in indeed instead "
      "into is it it's its itself just last later let like many maybe meanwhile more moreover most much must my "
      "neither never nevertheless next no nor not nothing now of off often on once one only or other our out over "
      "perhaps please remember same several she should similarly since so some something soon still such than that "
      "that's the their them then there there's therefore these they they're this those though through thus to today "
      "together too two under unfortunately unless until up upon use using very was we well were what when where "
      "whether which while who whom whose why will with within without would yet you your yourself yes okay");
  return all.contains(word);
}

// What a word of a sentence ends before, although no space stands there. A period does not.
bool is_punctuation(uint32_t c) {
  switch (c) {
    case ')':
    case '"':
    case ';':
    case '}':
    case ']':
    case '*':
    case ':':
    case '@':
    case '\'':
    case '(':
    case '{':
    case '[':
    case '?':
    case '!':
    case 0x2018:
    case 0x2019:
    case 0x201C:
    case 0x201D:
    case 0xAB:
    case 0xBB:
      return true;
    default:
      return false;
  }
}

bool is_closing(uint32_t c) {  // belongs to the sentence before it
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == 0x2018 || c == 0x2019 || c == 0x201C ||
         c == 0x201D || c == 0xAB || c == 0xBB;
}

bool is_end(char c) { return c == '.' || c == '?' || c == '!'; }

uint32_t char_at(std::string_view text, size_t at) { return jinja::decode_at(text, at); }

bool space_at(std::string_view text, size_t at) { return jinja::is_space(char_at(text, at)); }

size_t skip_spaces(std::string_view text, size_t at) {
  while (at < text.size() && space_at(text, at)) jinja::decode_at(text, at);
  return at;
}

size_t run_of(std::string_view text, size_t at, char c) {
  size_t end = at;
  while (end < text.size() && text[end] == c) ++end;
  return end - at;
}

// Bytes of "--", "...", ". . ." and the like that begin here; 0: none.
size_t dots_or_dashes(std::string_view text, size_t at) {
  for (const char c : {'-', '.'})
    if (const size_t run = run_of(text, at, c); run >= 2) return run;
  size_t end = at, dots = 0;
  while (end < text.size() && text[end] == '.') {
    ++dots;
    if (end + 1 >= text.size() || !space_at(text, end + 1)) return dots >= 3 ? end + 1 - at : 0;
    size_t next = end + 1;
    jinja::decode_at(text, next);
    if (next >= text.size() || text[next] != '.') return dots >= 3 ? end + 1 - at : 0;
    end = next;
  }
  return 0;
}

bool ends_word(std::string_view text, size_t at) {
  const auto ends = [&](size_t i) {
    return i >= text.size() || space_at(text, i) || is_punctuation(char_at(text, i)) || dots_or_dashes(text, i) > 0;
  };
  return ends(at) || (text[at] == ',' && ends(at + 1));
}

std::vector<std::string_view> cut_tokens(std::string_view text) {
  constexpr std::string_view kStartsNoWord = "(\"`{[:;&#*@)}]-,";
  std::vector<std::string_view> tokens;
  for (size_t at = skip_spaces(text, 0); at < text.size(); at = skip_spaces(text, at)) {
    size_t end = at + dots_or_dashes(text, at);
    if (end == at) {
      const bool word = kStartsNoWord.find(text[at]) == std::string_view::npos;
      do jinja::decode_at(text, end);
      while (word && !ends_word(text, end));
    }
    tokens.push_back(text.substr(at, end - at));
    at = end;
  }
  return tokens;
}

// A number with or without a last period: "1.", "-3,000.5".
bool is_number(std::string_view token) {
  if (token.starts_with('-')) token.remove_prefix(1);
  if (token.starts_with('.') || token.starts_with(',')) token.remove_prefix(1);
  if (token.empty() || !jinja::is_decimal(char_at(token, 0))) return false;
  for (size_t at = 0; at < token.size();) {
    const uint32_t c = jinja::decode_at(token, at);
    if (!jinja::is_decimal(c) && c != ',' && c != '.' && c != '-') return false;
  }
  return true;
}

bool is_initial(std::string_view token) {  // "J."
  size_t at = 0;
  const uint32_t c = jinja::decode_at(token, at);
  return jinja::is_word(c) && !jinja::is_decimal(c) && token.substr(at) == ".";
}

// Whether the sentence ends with `token`, of which it is known that `next` follows.
bool ends_sentence(std::string_view token, std::string_view next) {
  if (token == "?" || token == "!") return true;
  if (!token.ends_with('.')) return false;
  const bool ellipsis = token.starts_with("..");
  const std::string word = jinja::to_lower(token.substr(0, token.size() - 1));
  const bool abbreviation = !ellipsis && (is_abbreviation(word) || is_abbreviation(word.substr(word.rfind('-') + 1)));
  if (token.ends_with("..") && !ellipsis) return false;

  const uint32_t first = char_at(next, 0);
  std::string next_word = jinja::to_lower(next);
  if (next_word.size() > 1 && next_word.ends_with('.')) next_word.pop_back();
  const bool upper = jinja::is_upper(first);
  const bool begins = upper && is_common(next_word);  // the next word surely begins a sentence
  const bool goes_on = jinja::is_lower(first) ||
                       (next.size() == 1 && std::string_view(";:,.!?").find(next[0]) != std::string_view::npos);

  if (is_initial(token)) return begins || (!goes_on && !upper);
  if (ellipsis || abbreviation) return begins;
  if (is_number(token)) return !goes_on;
  return true;
}

bool has_sentence_end(std::string_view context) {
  const std::vector<std::string_view> tokens = cut_tokens(context);
  for (size_t i = 0; i + 1 < tokens.size(); ++i)
    if (ends_sentence(tokens[i], tokens[i + 1])) return true;
  return false;
}

// Bytes at the beginning of a sentence that belong to the one before it: closing quotes and brackets, spaces behind.
size_t closing_part(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && is_closing(char_at(text, at))) {
    jinja::decode_at(text, at);
    if (at == text.size() || text.substr(at).starts_with("--")) return at;
    if (space_at(text, at)) return skip_spaces(text, at);
  }
  return 0;
}

struct Slice {
  size_t begin, end;
};

// Where periods, question and exclamation marks end sentences. A word is looked at once, with its last such mark.
std::vector<Slice> cut_sentences(std::string_view text) {
  std::vector<Slice> sentences;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    at = skip_spaces(text, at);
    const size_t word = at;
    size_t mark = text.npos, after = 0;  // the last mark that anything follows, and the end of what follows
    for (; at < text.size() && !space_at(text, at); jinja::decode_at(text, at)) {
      if (!is_end(text[at]) || at + 1 >= text.size()) continue;
      size_t next = at + 1;
      if (is_punctuation(char_at(text, next))) {
        jinja::decode_at(text, next);
      } else if (space_at(text, next)) {
        next = skip_spaces(text, next);
        if (next == text.size()) continue;
        while (next < text.size() && !space_at(text, next)) jinja::decode_at(text, next);
      } else {
        continue;
      }
      mark = at, after = next;
    }
    if (mark == text.npos || !has_sentence_end(text.substr(word, after - word))) continue;
    sentences.push_back({begin, mark + 1});
    begin = skip_spaces(text, mark + 1);
  }
  sentences.push_back({begin, std::max(begin, text.size())});
  return sentences;
}

}  // namespace

size_t count_sentences(std::string_view text) {
  while (!text.empty()) {  // spaces at the end are of no sentence
    size_t at = text.size();
    if (!jinja::is_space(jinja::decode_before(text, at))) break;
    text = text.substr(0, at);
  }
  const std::vector<Slice> sentences = cut_sentences(text);
  size_t count = 0, moved = 0;  // bytes of a sentence that went to the one before it
  for (size_t i = 0; i < sentences.size(); ++i) {
    const size_t begin = sentences[i].begin + moved;
    moved = i + 1 < sentences.size()
                ? closing_part(text.substr(sentences[i + 1].begin, sentences[i + 1].end - sentences[i + 1].begin))
                : 0;
    count += moved > 0 || begin < sentences[i].end;
  }
  return count;
}

namespace {

// Of a run of characters between spaces and punctuation: its word and what the Treebank cuts off as a word of its own.
size_t capitals_of(std::string_view piece) {
  piece = strip(piece, '\'');
  const std::string lower = jinja::to_lower(piece);
  size_t cut = piece.size();
  for (const std::string_view end : {"'s", "'m", "'d", "'ll", "'re", "'ve", "n't"})
    if (lower.ends_with(end) && lower.size() > end.size() && lower.size() == piece.size()) cut -= end.size();
  static const std::array<std::pair<std::string_view, size_t>, 8> kJoined = {{{"cannot", 3},
                                                                              {"gonna", 3},
                                                                              {"wanna", 3},
                                                                              {"gotta", 3},
                                                                              {"gimme", 3},
                                                                              {"lemme", 3},
                                                                              {"d'ye", 1},
                                                                              {"more'n", 4}}};
  for (const auto& [word, first] : kJoined)
    if (lower == word) cut = first;
  return (is_upper_text(piece.substr(0, cut)) ? 1u : 0u) + (is_upper_text(piece.substr(cut)) ? 1u : 0u);
}

bool stands_alone(uint32_t c) {
  return jinja::is_space(c) ||
         (c < 128 && std::string_view(";@#$%&?!*()[]{}<>\"`").find(static_cast<char>(c)) != std::string_view::npos) ||
         c == 0xAB || c == 0xBB || (c >= 0x2012 && c <= 0x2015) || c == 0x2018 || c == 0x2019 || c == 0x201C ||
         c == 0x201D || c == 0x201E;
}

}  // namespace

size_t count_capital_words(std::string_view text) {
  size_t count = 0, begin = 0;
  const auto end_piece = [&](size_t end, size_t next) {
    if (end > begin) count += capitals_of(text.substr(begin, end - begin));
    begin = next;
  };
  for (size_t at = 0; at < text.size();) {
    const size_t here = at;
    const uint32_t c = jinja::decode_at(text, at);
    const bool before_digit = at < text.size() && jinja::is_decimal(char_at(text, at));
    if (stands_alone(c) || ((c == ':' || c == ',') && !before_digit)) {
      end_piece(here, at);
    } else if (c == '.' || c == '-') {
      const size_t run = run_of(text, here, static_cast<char>(c));
      if (run >= 2) end_piece(here, here + run);
      at = here + run;
    } else if (c == '\'' && text.substr(at).starts_with('\'')) {
      end_piece(here, at + 1);
      ++at;
    }
  }
  end_piece(text.size(), text.size());
  return count;
}

}  // namespace fieldprint
