#include "distil/final_answer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/utf8.h"
#include "jinja/unicode.h"

namespace fieldprint::distil {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

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
  return std::string(
      text.substr(at, text.find('\n', at) == std::string_view::npos ? text.size() - at : text.find('\n', at) - at));
}

// Marks of emphasis may stand within the phrase: "**Answer:** 5", "The answer is: 5".
std::optional<std::string> after_phrase(std::string_view text) {
  constexpr std::string_view kPhrases[] = {"answer is",   "answer:",   "antwort ist", "antwort:",     "antwort lautet",
                                           "réponse est", "réponse :", "réponse:",    "respuesta es", "respuesta:",
                                           "resposta é",  "resposta:", "risposta è",  "risposta:",    "答案是",
                                           "答案：",      "答えは",    "ответ:"};
  std::string lower = jinja::is_valid_utf8(text) ? jinja::to_lower(text) : std::string();
  if (lower.empty()) return std::nullopt;
  size_t best = std::string::npos, end = 0;
  for (const std::string_view phrase : kPhrases) {
    const size_t at = lower.rfind(phrase);
    if (at != std::string::npos && (best == std::string::npos || at + phrase.size() > end))
      best = at, end = at + phrase.size();
  }
  if (best == std::string::npos) return std::nullopt;
  std::string rest = line_after(lower, end);
  const size_t begin = rest.find_first_not_of(" :*_");
  return begin == std::string::npos ? std::nullopt : std::optional(rest.substr(begin));
}

// The digits of a number that begins at text[at], with commas between thousands and one point: where it ends, or `at`.
size_t number_end(std::string_view text, size_t at) {
  size_t i = at;
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  const size_t digits = i;
  const auto thousands = [&](size_t comma) {
    return comma + 3 < text.size() && digit(text[comma + 1]) && digit(text[comma + 2]) && digit(text[comma + 3]) &&
           (comma + 4 >= text.size() || !digit(text[comma + 4]));
  };
  while (i < text.size() && (digit(text[i]) || (i > digits && text[i] == ',' && thousands(i)))) ++i;
  const bool whole = i > digits;
  if (i + 1 < text.size() && text[i] == '.' && digit(text[i + 1])) {
    ++i;
    while (i < text.size() && digit(text[i])) ++i;
    return i;
  }
  return whole ? i : at;
}

std::optional<std::string> last_number(std::string_view text) {
  std::optional<std::string> found;
  for (size_t at = 0; at < text.size();) {
    const bool inside = at > 0 && (std::isalnum(static_cast<unsigned char>(text[at - 1])) != 0);
    const size_t end = inside && !digit(text[at]) ? at : number_end(text, at);
    if (end > at) found = text.substr(at, end - at), at = end;
    else ++at;
  }
  return found;
}

// "$1,250.50" as "1250.5"; nullopt where the whole of it is no number.
std::optional<std::string> plain_number(std::string_view text) {
  for (const std::string_view sign : {"$", "€", "£", "¥", "₹", "usd", "eur"}) {
    if (text.starts_with(sign)) text.remove_prefix(sign.size());
    if (text.ends_with(sign)) text.remove_suffix(sign.size());
  }
  if (text.ends_with('%')) text.remove_suffix(1);
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.starts_with("-$")) return text.size() > 2 ? plain_number("-" + std::string(text.substr(2))) : std::nullopt;
  if (text.empty() || number_end(text, 0) != text.size()) return std::nullopt;
  const bool minus = text.front() == '-';
  if (minus || text.front() == '+') text.remove_prefix(1);
  std::string whole(text.substr(0, text.find('.'))), part;
  if (text.find('.') != std::string_view::npos) part = text.substr(text.find('.') + 1);
  std::erase(whole, ',');
  whole.erase(0, std::min(whole.find_first_not_of('0'), whole.size()));
  part.erase(part.find_last_not_of('0') + 1);
  if (whole.empty()) whole = "0";
  const bool zero = whole == "0" && part.empty();
  return (minus && !zero ? "-" : "") + whole + (part.empty() ? "" : "." + part);
}

}  // namespace

std::string last_match(const Pattern& pattern, std::string_view text) {
  const auto all = pattern.find_all(text);
  if (all.empty()) return {};
  const bool group = !all.back().groups.empty() && !all.back().groups[0].empty();
  return std::string(group ? all.back().groups[0] : all.back().text);
}

std::string final_answer(std::string_view text, const Pattern* pattern, bool number) {
  if (pattern != nullptr) return last_match(*pattern, text);
  if (auto found = boxed(text)) return *found;
  if (const size_t at = text.rfind("####"); at != std::string_view::npos) return line_after(text, at + 4);
  auto phrase = after_phrase(text);
  if (number) {
    // "The answer is 5 apples, since ...": the number is what was asked for.
    if (phrase) {
      const size_t end = phrase->find_first_of("0123456789");
      if (end != std::string::npos) {
        const size_t begin = end > 0 && ((*phrase)[end - 1] == '-' || (*phrase)[end - 1] == '.') ? end - 1 : end;
        return phrase->substr(begin, number_end(*phrase, begin) - begin);
      }
    }
    if (auto found = last_number(text)) return *found;
  }
  return phrase ? *phrase : std::string(text);
}

std::string normalised_answer(std::string_view text) {
  std::string clean;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_at(text, at);
    at += c.length;
    if (c.code == 0x2212) clean += '-';  // the minus sign of typesetters
    else if (c.broken() || jinja::is_space(c.code)) clean += clean.empty() || clean.back() == ' ' ? "" : " ";
    else append_utf8(clean, c.code);
  }
  clean = jinja::to_lower(clean);
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
  return !normalised.empty() && number_end(normalised, 0) == normalised.size();
}

}  // namespace fieldprint::distil
