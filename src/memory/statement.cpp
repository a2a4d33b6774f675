#include "memory/statement.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "fieldprint/error.h"

namespace fieldprint::memory {

namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorKind::kBadInput, "the statement is not in its form: " + what, {},
              "what `fieldprint memory statement` writes is signed as it is");
}

// The fields of each action, in their order.
const std::vector<std::string_view>* fields_of(std::string_view action) {
  static const std::map<std::string_view, std::vector<std::string_view>> kFields = {
      {"endorse",
       {"log", "agent", "record", "payload", "sources", "lineage", "policy", "size", "valid-until", "influence"}},
      {"release", {"log", "agent", "record", "size", "reason"}},
      {"revoke", {"log", "agent", "record", "size", "reason"}},
      {"supersede", {"log", "agent", "record", "successor", "size"}},
      {"key", {"log", "agent", "role", "vkey", "action", "size"}},
      {"policy", {"log", "agent", "policy", "size"}},
  };
  const auto found = kFields.find(action);
  return found == kFields.end() ? nullptr : &found->second;
}

constexpr std::string_view kHead = "fieldprint/";
constexpr std::string_view kTail = "/v1";

}  // namespace

const std::string& Statement::at(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &std::pair<std::string, std::string>::first);
  if (found == fields.end()) refuse("it has no " + std::string(name));
  return found->second;
}

int64_t Statement::number(std::string_view name) const {
  const std::string& text = at(name);
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || std::to_string(value) != text) {
    refuse(std::string(name) + " is not a number");
  }
  return value;
}

Digest Statement::digest(std::string_view name) const { return ledger::digest_of(ledger::from_hex(at(name))); }

std::string statement_text(const Statement& statement) {
  const auto* fields = fields_of(statement.action);
  if (!fields) throw Error(ErrorKind::kUsage, "there is no statement to " + statement.action);
  if (!std::ranges::equal(*fields, statement.fields, {}, {}, &std::pair<std::string, std::string>::first)) {
    refuse("its fields are not those of " + statement.action);
  }
  std::string text = std::string(kHead) + statement.action + std::string(kTail) + "\n";
  for (const auto& [name, value] : statement.fields) {
    if (value.empty() || value.front() == ' ' || value.back() == ' ' ||
        std::ranges::any_of(value, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
      refuse(name + " is empty, or has line breaks or other control characters");
    }
    text += name + " " + value + "\n";
  }
  return text;
}

Statement parse_statement(std::string_view text) {
  Statement statement;
  bool first = true;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) refuse("its last line has no end");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (first) {
      if (!line.starts_with(kHead) || !line.ends_with(kTail) || line.size() < kHead.size() + kTail.size()) {
        refuse("its first line is not fieldprint/ACTION/v1");
      }
      statement.action = line.substr(kHead.size(), line.size() - kHead.size() - kTail.size());
      if (!fields_of(statement.action)) refuse("there is no statement to " + statement.action);
      first = false;
      continue;
    }
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) refuse("a line is not a name and a value");
    statement.fields.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  if (first || statement_text(statement) != text) refuse("other text is in it");
  return statement;
}

}  // namespace fieldprint::memory
