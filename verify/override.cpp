#include "override.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "note.h"
#include "text.h"

namespace fieldprint::verify {
namespace {

// A command and the arguments that it has behind the lines of all, the first `needed` of them always.
struct Form {
  std::string_view command;
  std::vector<std::string_view> arguments = {};
  size_t needed = 0;
};

const std::vector<Form>& forms() {
  static const std::vector<Form> kForms = {
      {"HALT"},          {"NO_ANCHORS"}, {"REVOKE", {"record"}, 1}, {"SUSPEND_SOURCE", {"source"}, 1},
      {"FREEZE_WRITES"}, {"CLEAN_BOOT"}, {"RESTORE", {"source"}},   {"ROTATE_KEY", {"old", "key"}, 2}};
  return kForms;
}

constexpr std::array<std::string_view, 8> kLines = {"cmd",   "target",     "counter",   "prev",
                                                    "nonce", "not-before", "not-after", "reason"};
constexpr uint64_t kSecondsMax = 15 * 60;
constexpr uint64_t kCounterMax = (uint64_t{1} << 40) - 1;

bool is_hex_of(std::string_view text, size_t bytes) {
  const std::optional<std::string> decoded = from_hex(text);
  return decoded && decoded->size() == bytes;
}

bool is_argument(std::string_view name, std::string_view value) {
  if (name == "record") return is_hex_of(value, 32);
  if (name == "source") return is_hex_of(value, 16);
  const std::optional<Vkey> key = parse_vkey(value);
  return key && key->type == kEd25519;
}

}  // namespace

std::optional<OverrideCommand> parse_override(std::string_view bytes, std::string& error) {
  const std::optional<Note> note = parse_note(bytes, error);
  if (!note) return std::nullopt;
  const auto wrong = [&](std::string what) {
    error = std::move(what);
    return std::nullopt;
  };
  const std::vector<std::string_view> lines = lines_of(note->text);
  if (lines.size() < 1 + kLines.size() || lines[0] != "fieldprint/override/v1")
    return wrong(fmt::format("It is not fieldprint/override/v1 and {} lines or more.", kLines.size()));
  size_t next = 1;
  const auto value = [&](std::string_view name) -> std::optional<std::string_view> {
    if (next >= lines.size() || !lines[next].starts_with(name) || !lines[next].substr(name.size()).starts_with('='))
      return std::nullopt;
    return lines[next++].substr(name.size() + 1);
  };
  std::array<std::string_view, kLines.size()> values;
  for (size_t i = 0; i < kLines.size(); ++i) {
    const auto found = value(kLines[i]);
    if (!found) return wrong(fmt::format("Line {} is not {}=...: {}", i + 2, kLines[i], printable(lines[next])));
    values[i] = *found;
  }
  const auto [command, target, counter, prev, nonce, not_before, not_after, reason] = values;
  const auto form = std::find_if(forms().begin(), forms().end(),
                                 [&name = values[0]](const Form& one) { return one.command == name; });
  if (form == forms().end()) return wrong(fmt::format("There is no command {}.", printable(command)));
  OverrideCommand result{command, {}, {}, 0};
  if (target.starts_with("agent=")) result.agent = target.substr(6);
  else if (target != "*" && !(target.starts_with("instance=") && is_hex_of(target.substr(9), 16)))
    return wrong("Its target is not *, agent=NAME or instance=ID.");
  const std::optional<uint64_t> count = from_decimal(counter), begin = from_decimal(not_before),
                                end = from_decimal(not_after);
  if (!count || *count == 0 || *count > kCounterMax) return wrong("Its counter is no number from 1 to 2^40 - 1.");
  if (!begin || !end || *end <= *begin || *end - *begin > kSecondsMax)
    return wrong(fmt::format("It is not good for 1 to {} seconds.", kSecondsMax));
  if (!is_hex_of(prev, 32) || !is_hex_of(nonce, 16) || !is_hex_of(reason, 32))
    return wrong("Its prev, nonce or reason does not have its form.");
  result.counter = *count;
  for (size_t i = 0; i < form->arguments.size() && (next < lines.size() || i < form->needed); ++i) {
    const auto argument = value(form->arguments[i]);
    if (!argument || !is_argument(form->arguments[i], *argument))
      return wrong(fmt::format("It does not have its argument {}.", form->arguments[i]));
    if (i == 0) result.argument = *argument;
  }
  if (next != lines.size())
    return wrong(fmt::format("It has a line that it does not need: {}", printable(lines[next])));
  return result;
}

}  // namespace fieldprint::verify
