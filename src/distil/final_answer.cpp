#include "distil/final_answer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <optional>
#include <vector>

#include "base/utf8.h"
#include "jinja/unicode.h"

namespace fieldprint::distil {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
char at_or_0(std::string_view text, size_t at) { return at < text.size() ? text[at] : '\0'; }
size_t after_spaces(std::string_view text, size_t at) {
  while (at_or_0(text, at) == ' ') ++at;
  return at;
}

// ---- What is written in several ways, in one

void replace_all(std::string& text, std::string_view old, std::string_view with) {
  for (size_t at = 0; (at = text.find(old, at)) != std::string::npos; at += with.size())
    text.replace(at, old.size(), with);
}

// Dashes that stand for a minus, signs of typesetters, spaces; LaTeX's \frac{1}{2} and 1{,}000.
std::string plain(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    at += c.length;
    if (c.code == 0x2212 || c.code == 0x2012 || c.code == 0x2013 || c.code == 0xFE63 || c.code == 0xFF0D) out += '-';
    else if (c.code == 0xD7) out += '*';
    else if (c.code == 0xF7 || c.code == 0x2044 || c.code == 0x2215) out += '/';
    else if (c.broken() || (c.code != '\n' && jinja::is_space(c.code))) out += ' ';
    else append_utf8(out, c.code);
  }
  replace_all(out, "{,}", ",");
  replace_all(out, "\\,", " ");
  static const Pattern fraction(R"(\\[dt]?frac\{(\d+)\}\{(\d+)\})");
  return out.find("frac{") == std::string::npos ? out : fraction.replace(out, "\\1/\\2");
}

// Without the * and _ of emphasis, which touch a word on one side alone.
std::string without_emphasis(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '*' && text[at] != '_') {
      out += text[at++];
      continue;
    }
    const size_t end = std::min(text.find_first_not_of("*_", at), text.size());
    const auto space = [&](char c) { return c == '\0' || c == ' ' || c == '\n'; };
    const auto word = [&](char c) { return digit(c) || letter(c); };
    const char before = at == 0 ? '\0' : text[at - 1], after = at_or_0(text, end);
    if ((space(before) && space(after)) || (word(before) && word(after))) out += text.substr(at, end - at);
    at = end;
  }
  return out;
}

// ---- Numbers

constexpr size_t kFractionDigits = 17;
constexpr int64_t kMostExponent = 300;

// whole.part x 10^exponent without zeros that say nothing.
std::string decimal(bool minus, std::string whole, std::string part, int64_t exponent) {
  for (; exponent > 0; --exponent) {
    whole += part.empty() ? '0' : part.front();
    if (!part.empty()) part.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    part.insert(part.begin(), whole.empty() ? '0' : whole.back());
    if (!whole.empty()) whole.pop_back();
  }
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  part.erase(part.find_last_not_of('0') + 1);
  if (whole.empty()) whole = "0";
  const bool zero = whole == "0" && part.empty();
  return (minus && !zero ? "-" : "") + whole + (part.empty() ? "" : "." + part);
}

// In lowest terms; as a decimal where that ends.
std::string fraction(bool minus, uint64_t above, uint64_t below) {
  const uint64_t common = std::gcd(above, below);
  above /= common, below /= common;
  uint64_t rest = below;
  for (const uint64_t factor : {2, 5})
    while (rest % factor == 0) rest /= factor;
  if (rest != 1) return (minus ? "-" : "") + std::to_string(above) + "/" + std::to_string(below);
  std::string part;
  for (uint64_t left = above % below; left != 0; left = left * 10 % below)
    part += static_cast<char>('0' + left * 10 / below);
  return decimal(minus, std::to_string(above / below), part, 0);
}

struct Written {
  size_t begin = 0, end = 0;         // equal: there is nothing that begins as a number does
  std::optional<std::string> value;  // in one form; nullopt where it runs on into something else: "1:30", "3-5", "2x"
};

void skip_money(std::string_view text, size_t& at) {
  for (const std::string_view sign : {"\\$", "$", "€", "£", "¥", "₹"})
    if (text.substr(at).starts_with(sign)) {
      at = after_spaces(text, at + sign.size());
      return;
    }
}

bool runs_on(std::string_view text, size_t at) {
  const char next = at_or_0(text, at);
  if (next == '^' || next == '(') return true;
  if (std::string_view(":,.'").find(next) != std::string_view::npos && digit(at_or_0(text, at + 1))) return true;
  if (std::string_view("xyzn").find(next) != std::string_view::npos && !letter(at_or_0(text, at + 1)))
    return true;  // a variable
  const size_t sign = after_spaces(text, at);
  if (at_or_0(text, sign) == '\\') {
    const std::string_view command = text.substr(sign + 1);
    for (const char* harmless : {"text", "mathrm", "%", "$", ")", "]", " ", "quad", "\\", "circ"})
      if (command.starts_with(harmless)) return false;
    return true;
  }
  if (std::string_view("+-*/^").find(at_or_0(text, sign)) == std::string_view::npos || sign >= text.size())
    return false;
  const char then = at_or_0(text, after_spaces(text, sign + 1));
  return digit(then) || then == '(' || then == '$';
}

// What begins at text[at]: sign, digits with thousands apart by commas or spaces, a fraction, a point, an exponent, %.
// `spaced`: a space may stand behind the sign, which begins an item of a list elsewhere.
Written number_at(std::string_view text, size_t at, bool spaced) {
  Written none{at, at, {}};
  size_t i = at;
  skip_money(text, i);
  bool minus = false;
  if (at_or_0(text, i) == '-' || at_or_0(text, i) == '+') {
    minus = text[i++] == '-';
    if (spaced) i = after_spaces(text, i);
    skip_money(text, i);
  }
  const auto digits = [&](size_t& from) {
    std::string found;
    while (digit(at_or_0(text, from))) found += text[from++];
    return found;
  };
  std::string whole = digits(i), part;
  if (whole.empty() && !(at_or_0(text, i) == '.' && digit(at_or_0(text, i + 1)))) return none;
  if (!whole.empty() && whole.size() <= 3 && (at_or_0(text, i) == ',' || at_or_0(text, i) == ' ')) {
    const char apart = text[i];
    std::string longer = whole;
    size_t j = i;
    while (at_or_0(text, j) == apart) {
      size_t next = j + 1;
      const std::string group = digits(next);
      if (group.size() != 3) break;
      longer += group, j = next;
    }
    // "1 000" is one number, "1 200/3" are two.
    if (apart == ',' || at_or_0(text, j) != '/') whole = longer, i = j;
  }
  std::optional<std::string> value;
  const auto below_at = [&](size_t slash) -> std::pair<uint64_t, size_t> {
    if (at_or_0(text, slash) != '/') return {0, slash};
    size_t j = after_spaces(text, slash + 1);
    const std::string below = digits(j);
    if (below.empty() || below.size() > kFractionDigits) return {0, slash};
    return {std::stoull(below), j};
  };
  if (!whole.empty() && whole.size() <= kFractionDigits) {
    if (const auto [below, end] = below_at(after_spaces(text, i)); below != 0) {
      value = fraction(minus, std::stoull(whole), below), i = end;
    } else if (at_or_0(text, i) == ' ' && digit(at_or_0(text, i + 1)) && whole.size() <= 6) {  // "1 3/4"
      size_t j = i + 1;
      const std::string above = digits(j);
      const auto [under, stop] = below_at(j);
      if (under != 0 && under < 1'000'000 && above.size() <= 6)
        value = fraction(minus, std::stoull(whole) * under + std::stoull(above), under), i = stop;
    }
  }
  if (!value) {
    if (at_or_0(text, i) == '.' && digit(at_or_0(text, i + 1))) part = digits(++i);
    int64_t exponent = 0;
    if (at_or_0(text, i) == 'e' || at_or_0(text, i) == 'E') {
      size_t j = i + 1;
      const bool below = at_or_0(text, j) == '-';
      j += below || at_or_0(text, j) == '+';
      const std::string power = digits(j);
      if (!power.empty() && !letter(at_or_0(text, j))) {
        exponent = power.size() > 4 ? kMostExponent + 1 : std::stoll(power);
        i = j;
        if (below) exponent = -exponent;
      }
    }
    if (std::abs(exponent) <= kMostExponent) value = decimal(minus, std::move(whole), std::move(part), exponent);
  }
  if (const size_t sign = after_spaces(text, i); at_or_0(text, sign) == '%') i = sign + 1;
  else if (text.substr(sign).starts_with("\\%")) i = sign + 2;
  Written found{at, i, std::move(value)};
  if (!runs_on(text, i)) return found;
  found.value.reset();
  for (; i < text.size(); ++i) {
    const bool more =
        digit(text[i]) || std::string_view(".,:'/^*+-()").find(text[i]) != std::string_view::npos ||
        (std::string_view("xyzn").find(text[i]) != std::string_view::npos && !letter(at_or_0(text, i + 1)));
    if (more) found.end = i + 1;
    else if (text[i] != ' ') break;
  }
  return found;
}

std::vector<Written> numbers_in(std::string_view text, bool spaced) {
  std::vector<Written> all;
  for (size_t at = 0; at < text.size();) {
    const size_t last = at == 0 ? std::string_view::npos : text.find_last_not_of(' ', at - 1);
    const char before = last == std::string_view::npos ? '\0' : text[last];
    // "x-5" and "x - 5" hold no -5.
    const bool operand = digit(before) || letter(before) || before == ')';
    const bool sign = text[at] == '-' || text[at] == '+';
    const bool inside = at > 0 && last == at - 1 && operand;
    Written found = (sign && operand && (inside || spaced)) || (inside && !sign && !digit(text[at]))
                        ? Written{at, at, {}}
                        : number_at(text, at, spaced);
    if (found.end == found.begin) {
      ++at;
      continue;
    }
    if (before == '^') found.value.reset();
    at = found.end;
    all.push_back(std::move(found));
  }
  return all;
}

std::optional<std::string> plain_number(std::string_view text) {
  for (const std::string_view sign : {"€", "£", "¥", "₹", "usd", "eur", "$"}) {
    if (text.starts_with(sign)) text.remove_prefix(sign.size());
    if (text.ends_with(sign)) text.remove_suffix(sign.size());
  }
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  Written found = number_at(text, 0, true);
  return found.end == text.size() && found.end > 0 ? found.value : std::nullopt;
}

// ---- Where a final answer stands

std::optional<std::string> boxed(std::string_view text) {
  constexpr std::string_view kMark = "\\boxed{";
  const size_t at = text.rfind(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  int open = 1;
  for (size_t i = at + kMark.size(); i < text.size(); ++i) {
    open += (text[i] == '{') - (text[i] == '}');
    if (open == 0) return std::string(text.substr(at + kMark.size(), i - at - kMark.size()));
  }
  return std::nullopt;
}

std::string line_after(std::string_view text, size_t at) {
  return std::string(text.substr(at, std::min(text.find('\n', at), text.size()) - at));
}

// Marks of emphasis may stand within the phrase: "**Answer:** 5", "The answer is: 5".
std::optional<std::string> after_phrase(std::string_view text) {
  constexpr std::string_view kPhrases[] = {"answer is",   "answer:",   "antwort ist", "antwort:",     "antwort lautet",
                                           "réponse est", "réponse :", "réponse:",    "respuesta es", "respuesta:",
                                           "resposta é",  "resposta:", "risposta è",  "risposta:",    "答案是",
                                           "答案：",      "答案:",     "答えは",      "ответ:"};
  const std::string lower = without_emphasis(jinja::to_lower(text));
  size_t best = std::string::npos, end = 0;
  for (const std::string_view phrase : kPhrases) {
    const size_t at = lower.rfind(phrase);
    if (at != std::string::npos && (best == std::string::npos || at + phrase.size() > end))
      best = at, end = at + phrase.size();
  }
  if (best == std::string::npos) return std::nullopt;
  const std::string rest = line_after(lower, end);
  const size_t begin = rest.find_first_not_of(" :*_");
  if (begin == std::string::npos || rest.find_last_not_of(' ') == rest.find_last_of(':')) return std::nullopt;
  return rest.substr(begin);
}

std::string behind_equals(std::string_view text) {
  const size_t at = text.rfind('=');
  return std::string(at == std::string_view::npos ? text : text.substr(at + 1));
}

// The number that a sentence gives: "10 - 3 = 7, since ..." gives 7.
std::optional<std::string> number_of_phrase(std::string_view phrase) {
  size_t end = phrase.size();
  for (const char* mark : {". ", ", ", "; ", " (", " because ", " since ", " as ", " where ", " which ", " so "})
    if (const size_t at = phrase.find(mark, 1); at != std::string_view::npos) end = std::min(end, at);
  for (const std::string& part : {behind_equals(phrase.substr(0, end)), std::string(phrase)}) {
    const auto all = numbers_in(part, true);
    if (!all.empty()) return part.substr(all[0].begin, all[0].end - all[0].begin);
  }
  return std::nullopt;
}

// Of a text that is all of the answer: its number where it has one alone, with its unit.
std::string number_of_all(const std::string& text) {
  const std::string part = behind_equals(text);
  const auto all = numbers_in(part, true);
  return all.size() == 1 && all[0].value ? *all[0].value : text;
}

}  // namespace

std::string last_match(const Pattern& pattern, std::string_view text) {
  const auto all = pattern.find_all(text);
  if (all.empty()) return {};
  const bool group = !all.back().groups.empty() && !all.back().groups[0].empty();
  return std::string(group ? all.back().groups[0] : all.back().text);
}

std::string final_answer(std::string_view given, const Pattern* pattern, bool number) {
  if (pattern != nullptr) return last_match(*pattern, given);
  const std::string text = plain(given);
  if (const auto found = boxed(text)) return number ? number_of_all(*found) : *found;
  if (const size_t at = text.rfind("####"); at != std::string_view::npos) {
    const std::string line = line_after(text, at + 4);
    return number ? number_of_all(line) : line;
  }
  if (const auto phrase = after_phrase(text)) {
    // "The answer is 5 apples, since ...": the number is what was asked for.
    const auto found = number ? number_of_phrase(*phrase) : std::nullopt;
    return found ? *found : *phrase;
  }
  if (number)
    if (const auto all = numbers_in(text, false); !all.empty())
      return text.substr(all.back().begin, all.back().end - all.back().begin);
  return text;
}

std::string normalised_answer(std::string_view text) {
  std::string clean;
  for (const char c : jinja::to_lower(plain(text)))
    if (c != ' ' && c != '\n') clean += c;
    else if (!clean.empty() && clean.back() != ' ') clean += ' ';
  std::string_view left = clean;
  // A stop ends a sentence and is no part of its answer; "$5$" is mathematics, "$5" money: both are 5.
  constexpr std::string_view kBefore = " *_`\"'([{", kAfter = " *_`\"')]}.,;:!";
  while (!left.empty() && kBefore.find(left.front()) != std::string_view::npos) left.remove_prefix(1);
  while (!left.empty() && kAfter.find(left.back()) != std::string_view::npos) left.remove_suffix(1);
  if (left.size() > 1 && left.front() == '$' && left.back() == '$') left = left.substr(1, left.size() - 2);
  if (const auto number = plain_number(left)) return *number;
  return std::string(left);
}

bool is_number(std::string_view normalised) {
  const auto number = plain_number(normalised);
  return number && *number == normalised;
}

}  // namespace fieldprint::distil
