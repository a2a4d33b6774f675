// Instructions on words, letters, case and language.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "eval/instructions/instruction.h"
#include "eval/instructions/sentences.h"
#include "eval/pattern.h"
#include "fieldprint/error.h"
#include "jinja/unicode.h"
#include "text/language.h"

namespace fieldprint {
namespace {

constexpr Pattern::Flags kAnyCase{.ignore_case = true};

size_t count_of(std::string_view text, std::string_view wanted) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(wanted, at)) != text.npos; at += wanted.size()) ++count;
  return count;
}

// The harness asks langdetect; our profiles know fewer languages, but those of the data set are among them. A text
// without letters passes, as there. One in plain Latin letters of which nothing is known, such as a single name, passes
// for English.
bool may_be(std::string_view text, std::string_view language) {
  const std::string guess = guess_language(text).code;
  if (!guess.empty()) {
    const LanguageProfile* wanted = find_language(language);
    return wanted != nullptr && wanted->code == guess;
  }
  bool any = false, plain = true;
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = jinja::decode_at(text, at);
    any = any || jinja::is_alpha(c);
    plain = plain && (c < 128 || !jinja::is_alpha(c));
  }
  return !any || (plain && language == "en");
}

}  // namespace

// Keywords are regular expressions, found within words too.
InstructionCheck keywords_exist(const InstructionArguments& arguments) {
  std::vector<Pattern> keywords;
  for (const std::string& keyword : arguments.texts("keywords")) keywords.emplace_back(keyword, kAnyCase);
  return [keywords](std::string_view response) {
    return std::all_of(keywords.begin(), keywords.end(),
                       [&](const Pattern& keyword) { return keyword.search(response); });
  };
}

InstructionCheck keyword_frequency(const InstructionArguments& arguments) {
  const std::string keyword = arguments.text("keyword");
  return [pattern = Pattern(strip(keyword), kAnyCase), fits = arguments.relation("relation", "frequency")](
             std::string_view response) { return fits(pattern.count(response)); };
}

InstructionCheck forbidden_words(const InstructionArguments& arguments) {
  std::vector<Pattern> words;
  for (const std::string& word : arguments.texts("forbidden_words")) words.emplace_back("\\b" + word + "\\b", kAnyCase);
  return [words](std::string_view response) {
    return std::none_of(words.begin(), words.end(), [&](const Pattern& word) { return word.search(response); });
  };
}

// In place of what is no letter of the alphabet, as the '#' of one of the published prompts, the harness counts a
// random one; here what the prompt says is counted.
InstructionCheck letter_frequency(const InstructionArguments& arguments) {
  return [letter = jinja::to_lower(arguments.text("letter")),
          fits = arguments.relation("let_relation", "let_frequency")](std::string_view response) {
    return fits(count_of(jinja::to_lower(response), letter));
  };
}

InstructionCheck response_language(const InstructionArguments& arguments) {
  const std::string language = arguments.text("language");
  if (find_language(language) == nullptr)
    throw Error(ErrorKind::kBadInput, fmt::format("'{}' is no code of a language that is known", language), {},
                "ISO 639-1, as \"en\" or \"zh-cn\"");
  return [language](std::string_view response) { return may_be(response, language); };
}

InstructionCheck capital_word_frequency(const InstructionArguments& arguments) {
  return [fits = arguments.relation("capital_relation", "capital_frequency")](std::string_view response) {
    return fits(count_capital_words(response));
  };
}

InstructionCheck english_capital(const InstructionArguments&) {
  return [](std::string_view response) { return is_upper_text(response) && may_be(response, "en"); };
}

InstructionCheck english_lowercase(const InstructionArguments&) {
  return [](std::string_view response) { return is_lower_text(response) && may_be(response, "en"); };
}

InstructionCheck no_comma(const InstructionArguments&) {
  return [](std::string_view response) { return response.find(',') == response.npos; };
}

}  // namespace fieldprint
