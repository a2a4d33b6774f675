#include "statements.h"

#include <fmt/format.h>

#include <cassert>
#include <span>

#include "text.h"

namespace fieldprint::verify {
namespace {

enum class Value { kText, kDigest, kNumber };

struct Line {
  std::string_view name;
  Value value;
};

struct Form {
  std::string_view action;
  std::vector<Line> lines;
};

const std::vector<Form>& forms() {
  using enum Value;
  static const std::vector<Form> kForms = {
      {"endorse",
       {{"log", kText},
        {"agent", kText},
        {"record", kDigest},
        {"payload", kDigest},
        {"sources", kDigest},
        {"lineage", kDigest},
        {"policy", kNumber},
        {"size", kNumber},
        {"valid-until", kNumber},
        {"influence", kNumber}}},
      {"release", {{"log", kText}, {"agent", kText}, {"record", kDigest}, {"size", kNumber}, {"reason", kText}}},
      {"revoke", {{"log", kText}, {"agent", kText}, {"record", kDigest}, {"size", kNumber}, {"reason", kText}}},
      {"supersede", {{"log", kText}, {"agent", kText}, {"record", kDigest}, {"successor", kDigest}, {"size", kNumber}}},
      {"key",
       {{"log", kText}, {"agent", kText}, {"role", kText}, {"vkey", kText}, {"action", kText}, {"size", kNumber}}},
      {"policy", {{"log", kText}, {"agent", kText}, {"policy", kText}, {"size", kNumber}}},
  };
  return kForms;
}

bool has_form(std::string_view value, Value form) {
  switch (form) {
    case Value::kDigest: {
      const std::optional<std::string> bytes = from_hex(value);
      return bytes && bytes->size() == 32;
    }
    case Value::kNumber:
      return from_decimal(value).has_value();
    case Value::kText:
      break;
  }
  return !value.empty() && value.front() != ' ' && value.back() != ' ' && value.find('\x7f') == std::string_view::npos;
}

}  // namespace

std::string_view Statement::at(std::string_view name) const {
  for (const auto& [own, value] : fields) {
    if (own == name) return value;
  }
  assert(false);
  return {};
}

std::optional<Statement> parse_statement(std::string_view text, std::string_view action, std::string& error) {
  const Form* form = nullptr;
  for (const Form& one : forms()) {
    if (one.action == action) form = &one;
  }
  assert(form);
  const std::vector<std::string_view> lines = lines_of(text);
  if (lines[0] != fmt::format("fieldprint/{}/v1", action)) {
    error = fmt::format("The statement begins with {} instead of fieldprint/{}/v1.", printable(lines[0]), action);
    return std::nullopt;
  }
  if (lines.size() != 1 + form->lines.size()) {
    error = fmt::format("The statement has {} lines instead of {}.", lines.size(), 1 + form->lines.size());
    return std::nullopt;
  }
  Statement statement;
  for (size_t i = 0; i < form->lines.size(); ++i) {
    const Line& line = form->lines[i];
    const std::string_view own = lines[i + 1];
    const bool named = own.starts_with(line.name) && own.substr(line.name.size()).starts_with(' ');
    if (!named || !has_form(own.substr(line.name.size() + 1), line.value)) {
      error = fmt::format("Line {} of the statement is not \"{}\" and its value: {}", i + 2, line.name, printable(own));
      return std::nullopt;
    }
    statement.fields.emplace_back(line.name, own.substr(line.name.size() + 1));
  }
  return statement;
}

}  // namespace fieldprint::verify
