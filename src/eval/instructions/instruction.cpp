#include "eval/instructions/instruction.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "eval/pattern.h"
#include "fieldprint/error.h"

namespace fieldprint {

#define INSTRUCTION(id, name) InstructionCheck name(const InstructionArguments& arguments);
#include "eval/instructions/instructions.def"
#undef INSTRUCTION

const std::vector<InstructionType>& instruction_types() {
  static const std::vector<InstructionType> all = {
#define INSTRUCTION(id, name) {id, name},
#include "eval/instructions/instructions.def"
#undef INSTRUCTION
  };
  return all;
}

InstructionCheck instruction_check(std::string_view id, const Document& arguments) {
  for (const InstructionType& type : instruction_types()) {
    if (type.id != id) continue;
    try {
      return type.make(InstructionArguments(arguments));
    } catch (const Error& error) {
      throw Error(error.kind(), error.what(), std::string(id), error.hint());
    }
  }
  throw Error(ErrorKind::kBadInput, fmt::format("there is no instruction '{}'", id));
}

const Document& InstructionArguments::find(std::string_view name) const {
  const auto found = values_.is_object() ? values_.find(std::string(name)) : values_.end();
  if (!values_.is_object() || found == values_.end() || found->is_null())
    throw Error(ErrorKind::kBadInput, fmt::format("its '{}' is missing", name));
  return *found;
}

size_t InstructionArguments::count(std::string_view name) const {
  const Document& value = find(name);  // Python's exports turn whole columns into floats where one is missing
  const double number = value.is_number() ? value.get<double>() : -1;
  if (!(number >= 0 && number <= 1e9) || number != static_cast<double>(static_cast<size_t>(number)))
    throw Error(ErrorKind::kBadInput, fmt::format("its '{}' is {}, not a whole number from 0", name, value.dump()));
  return static_cast<size_t>(number);
}

std::string InstructionArguments::text(std::string_view name) const {
  const Document& value = find(name);
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    throw Error(ErrorKind::kBadInput, fmt::format("its '{}' is {}, not a text", name, value.dump()));
  return value.get<std::string>();
}

std::vector<std::string> InstructionArguments::texts(std::string_view name) const {
  const Document& value = find(name);
  const auto is_text = [](const Document& one) { return one.is_string(); };
  if (!value.is_array() || value.empty() || !std::all_of(value.begin(), value.end(), is_text))
    throw Error(ErrorKind::kBadInput, fmt::format("its '{}' is {}, not a list of texts", name, value.dump()));
  return value.get<std::vector<std::string>>();
}

std::function<bool(size_t)> InstructionArguments::relation(std::string_view relation, std::string_view bound) const {
  const std::string how = text(relation);
  const size_t limit = count(bound);
  if (how == "at least") return [limit](size_t n) { return n >= limit; };
  if (how == "less than") return [limit](size_t n) { return n < limit; };
  throw Error(ErrorKind::kBadInput, fmt::format("its '{}' is '{}'", relation, how), {},
              "known are 'at least' and 'less than'");
}

std::vector<bool> follow_strict(const std::vector<InstructionCheck>& checks, std::string_view response) {
  const bool empty = strip(response).empty();
  std::vector<bool> follows;
  for (const InstructionCheck& check : checks) follows.push_back(!empty && check(response));
  return follows;
}

std::vector<bool> follow_loose(const std::vector<InstructionCheck>& checks, std::string_view response) {
  const size_t first = response.find('\n'), last = response.rfind('\n');
  const std::string_view no_first = first == response.npos ? "" : response.substr(first + 1);
  const std::string_view no_last = last == response.npos ? "" : response.substr(0, last);
  const std::string_view neither = first == last ? "" : response.substr(first + 1, last - first - 1);
  std::vector<std::string> readings;
  for (const std::string_view part : {response, strip(no_first), strip(no_last), strip(neither)}) {
    readings.emplace_back(part);
    readings.push_back(replace_all(std::string(part), "*", ""));
  }
  std::erase_if(readings, [](const std::string& reading) { return strip(reading).empty(); });
  std::vector<bool> follows;
  for (const InstructionCheck& check : checks) follows.push_back(std::any_of(readings.begin(), readings.end(), check));
  return follows;
}

}  // namespace fieldprint
