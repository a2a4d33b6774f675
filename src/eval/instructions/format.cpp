// Instructions on what marks a response has: lists, sections, titles, JSON, beginnings and ends.
#include <array>

#include "base/json.h"
#include "eval/instructions/instruction.h"
#include "eval/pattern.h"
#include "jinja/unicode.h"

namespace fieldprint {

InstructionCheck number_placeholders(const InstructionArguments& arguments) {
  return [placeholder = Pattern(R"(\[.*?\])"), least = arguments.count("num_placeholders")](std::string_view response) {
    return placeholder.count(response) >= least;
  };
}

InstructionCheck postscript(const InstructionArguments& arguments) {
  const std::string marker(strip(arguments.text("postscript_marker")));
  const std::string beginning = marker == "P.P.S"  ? R"(p\.\s?p\.\s?s)"
                                : marker == "P.S." ? R"(p\.\s?s\.)"
                                                   : jinja::to_lower(marker);
  return [pattern = Pattern(R"(\s*)" + beginning + ".*$", {.multiline = true})](std::string_view response) {
    return pattern.search(jinja::to_lower(response));
  };
}

InstructionCheck number_bullet_lists(const InstructionArguments& arguments) {
  return [star = Pattern(R"(^\s*\*[^\*].*$)", {.multiline = true}), dash = Pattern(R"(^\s*-.*$)", {.multiline = true}),
          wanted = arguments.count("num_bullets")](std::string_view response) {
    return star.count(response) + dash.count(response) == wanted;
  };
}

InstructionCheck constrained_response(const InstructionArguments&) {
  return [](std::string_view response) {
    for (const std::string_view option : {"My answer is yes.", "My answer is no.", "My answer is maybe."})
      if (response.find(option) != response.npos) return true;
    return false;
  };
}

// *One* or **two** asterisks; what stands between two counts for both.
InstructionCheck number_highlighted_sections(const InstructionArguments& arguments) {
  return [one = Pattern(R"(\*[^\n\*]*\*)"), two = Pattern(R"(\*\*[^\n\*]*\*\*)"),
          least = arguments.count("num_highlights")](std::string_view response) {
    size_t count = 0;
    for (const PatternMatch& match : one.find_all(response)) count += !strip(strip(match.text, '*')).empty();
    for (const PatternMatch& match : two.find_all(response))
      count += !strip(match.text.substr(2, match.text.size() - 4)).empty();
    return count >= least;
  };
}

InstructionCheck multiple_sections(const InstructionArguments& arguments) {
  const std::string name(strip(arguments.text("section_spliter")));  // the data set spells it so
  return [head = Pattern(R"(\s?)" + name + R"(\s?\d+\s?)"),
          least = arguments.count("num_sections")](std::string_view response) { return head.count(response) >= least; };
}

InstructionCheck json_format(const InstructionArguments&) {
  return [](std::string_view response) {
    std::string_view text = strip(response);
    for (const std::string_view fence : {"```json", "```Json", "```JSON", "```"})
      if (text.starts_with(fence)) text.remove_prefix(fence.size());
    if (text.ends_with("```")) text.remove_suffix(3);
    text = strip(text);
    if (text.starts_with("\xEF\xBB\xBF")) return false;
    try {
      parse_json(text, "", {.python = true});
      return true;
    } catch (const Error&) {
      return false;
    }
  };
}

InstructionCheck title(const InstructionArguments&) {
  return [pattern = Pattern(R"(<<[^\n]+>>)")](std::string_view response) {
    for (const PatternMatch& match : pattern.find_all(response)) {
      std::string_view inside = match.text;
      while (inside.starts_with('<')) inside.remove_prefix(1);
      while (inside.ends_with('>')) inside.remove_suffix(1);
      if (!strip(inside).empty()) return true;
    }
    return false;
  };
}

InstructionCheck two_responses(const InstructionArguments&) {
  return [](std::string_view response) {
    constexpr std::string_view kDivider = "******";
    std::vector<std::string_view> parts;
    for (size_t begin = 0; begin != response.npos;) {
      const size_t end = response.find(kDivider, begin);
      parts.push_back(response.substr(begin, end - begin));
      begin = end == response.npos ? end : end + kDivider.size();
    }
    std::vector<std::string_view> answers;
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::string_view answer = strip(parts[i]);
      if (!answer.empty()) answers.push_back(answer);
      else if (i != 0 && i + 1 != parts.size()) return false;
    }
    return answers.size() == 2 && answers[0] != answers[1];
  };
}

InstructionCheck repeat_prompt(const InstructionArguments& arguments) {
  const std::string prompt = arguments.text("prompt_to_repeat");
  return [wanted = jinja::to_lower(strip(prompt))](std::string_view response) {
    return jinja::to_lower(strip(response)).starts_with(wanted);
  };
}

InstructionCheck end_phrase(const InstructionArguments& arguments) {
  const std::string phrase = arguments.text("end_phrase");
  return [wanted = jinja::to_lower(strip(phrase))](std::string_view response) {
    return jinja::to_lower(strip(strip(response), '"')).ends_with(wanted);
  };
}

InstructionCheck quotation(const InstructionArguments&) {
  return [](std::string_view response) {
    const std::string_view text = strip(response);
    return text.size() > 1 && text.starts_with('"') && text.ends_with('"');
  };
}

}  // namespace fieldprint
