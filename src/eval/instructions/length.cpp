// Instructions on how many words, sentences and paragraphs a response has.
#include "eval/instructions/instruction.h"
#include "eval/instructions/sentences.h"
#include "eval/pattern.h"
#include "jinja/unicode.h"

namespace fieldprint {

InstructionCheck number_words(const InstructionArguments& arguments) {
  return [fits = arguments.relation("relation", "num_words")](std::string_view response) {
    return fits(count_words(response));
  };
}

InstructionCheck number_sentences(const InstructionArguments& arguments) {
  return [fits = arguments.relation("relation", "num_sentences")](std::string_view response) {
    return fits(count_sentences(response));
  };
}

// Paragraphs between dividers "***"; only the first and the last may be empty, and then do not count.
InstructionCheck number_paragraphs(const InstructionArguments& arguments) {
  return [divider = Pattern(R"(\s?\*\*\*\s?)"), wanted = arguments.count("num_paragraphs")](std::string_view response) {
    const std::vector<std::string_view> parts = divider.split(response);
    size_t count = parts.size();
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!strip(parts[i]).empty()) continue;
      if (i != 0 && i + 1 != parts.size()) return false;
      --count;
    }
    return count == wanted;
  };
}

// Paragraphs between empty lines. Where more follow one another, the parts between them hold a place but do not count.
InstructionCheck nth_paragraph_first_word(const InstructionArguments& arguments) {
  return [wanted = arguments.count("num_paragraphs"), nth = arguments.count("nth_paragraph"),
          first_word = jinja::to_lower(arguments.text("first_word"))](std::string_view response) {
    static const Pattern divider("\n\n");
    const std::vector<std::string_view> parts = divider.split(response);
    size_t count = 0;
    for (const std::string_view part : parts) count += !strip(part).empty();
    if (nth == 0 || nth > count) return false;
    std::string_view word = strip(parts[nth - 1]);
    for (size_t at = 0; at < word.size();) {  // to the first space
      const size_t here = at;
      if (jinja::is_space(jinja::decode_at(word, at))) word = word.substr(0, here);
    }
    while (word.starts_with('\'')) word.remove_prefix(1);
    while (word.starts_with('"')) word.remove_prefix(1);
    word = word.substr(0, word.find_first_of(".,?!'\""));
    return count == wanted && !strip(parts[nth - 1]).empty() && jinja::to_lower(word) == first_word;
  };
}

}  // namespace fieldprint
