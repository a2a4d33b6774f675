// A document of a data set: one JSON object, its members in the order of the file, as the harness's hashes want them.
// Members are read through these functions, which say in a sentence what a row lacks.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fieldprint {

using Document = nlohmann::ordered_json;

// All throw Error kBadInput where the member is missing or is none of what is asked for; `name` may be a path as
// "question.stem".
const Document& member(const Document& document, std::string_view name);
const std::string& text_member(const Document& document, std::string_view name);
std::vector<std::string> texts_member(const Document& document, std::string_view name);
int64_t integer_member(const Document& document, std::string_view name);  // a number, or a text that is one
bool has_member(const Document& document, std::string_view name);

// Lists and dictionaries that a CSV file holds as Python prints them: ["a" 'b'], {'text': array([...])}, numpy's arrays
// among them. Numbers, True, False and None are what JSON has for them. Throws Error kBadInput.
Document parse_python_value(std::string_view text);

}  // namespace fieldprint
