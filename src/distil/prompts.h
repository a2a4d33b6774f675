// Prompts from files, templates and lists, in one form.
#pragma once

#include <string>
#include <vector>

#include "fieldprint/distil.h"

namespace fieldprint {

struct Prompt {
  // JSON list, each message with its role first, its content second and the rest as it came; without spaces.
  std::string messages;
  std::string tools;             // JSON list without spaces; "" = none
  std::string id, answer, task;  // of the line, where it has them
};

// In the order of the files and lines. A line of JSON has "messages", or "prompt" (a text, or such messages), or
// "question" or "instruction" (with "input" below it), beside them "system", "tools", "id", "answer" and "task"; with a
// template whatever that names. Throws Error kUsage where there is no prompt at all, kNotFound, kIo, kBadInput with the
// line.
std::vector<Prompt> read_prompts(const DistilPrompts& from);

// "a,b\n" of RFC 4180, quotes and line breaks within them too. Throws Error kBadInput for a quote that does not end.
std::vector<std::vector<std::string>> read_csv(std::string_view text, const std::string& where);

}  // namespace fieldprint
