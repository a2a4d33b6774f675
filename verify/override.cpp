#include "override.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "note.h"
#include "text.h"

namespace fieldprint::verify {
namespace {

constexpr std::array<std::string_view, 8> kCommands = {"HALT",          "NO_ANCHORS", "REVOKE",  "SUSPEND_SOURCE",
                                                       "FREEZE_WRITES", "CLEAN_BOOT", "RESTORE", "ROTATE_KEY"};
constexpr std::array<std::string_view, 10> kLines = {"cmd",  "target", "agent",      "instance",  "counter",
                                                     "prev", "nonce",  "not-before", "not-after", "reason"};
constexpr uint64_t kValidMsMax = 15 * 60 * 1000;

bool is_hex_of(std::string_view text, size_t bytes) {
  const std::optional<std::string> decoded = from_hex(text);
  return decoded && decoded->size() == bytes;
}

}  // namespace

std::optional<OverrideCommand> parse_override(std::string_view bytes, std::string& error) {
  const std::optional<Note> note = parse_note(bytes, error);
  if (!note) return std::nullopt;
  const std::vector<std::string_view> lines = lines_of(note->text);
  std::array<std::string_view, kLines.size()> values;
  if (lines.size() != 1 + kLines.size() || lines[0] != "fieldprint/override/v1") {
    error = fmt::format("It is not fieldprint/override/v1 and {} lines.", kLines.size());
    return std::nullopt;
  }
  for (size_t i = 0; i < kLines.size(); ++i) {
    const std::string_view line = lines[i + 1];
    if (!line.starts_with(kLines[i]) || !line.substr(kLines[i].size()).starts_with('=')) {
      error = fmt::format("Line {} is not {}=...: {}", i + 2, kLines[i], printable(line));
      return std::nullopt;
    }
    values[i] = line.substr(kLines[i].size() + 1);
  }
  const auto [command, target, agent, instance, counter, prev, nonce, not_before, not_after, reason] = values;
  const std::optional<uint64_t> count = from_decimal(counter), begin = from_decimal(not_before),
                                end = from_decimal(not_after);
  const auto wrong = [&](std::string_view what) {
    error = fmt::format("Its {}.", what);
    return std::nullopt;
  };
  if (std::find(kCommands.begin(), kCommands.end(), command) == kCommands.end()) return wrong("command is unknown");
  if (command == "REVOKE"           ? !is_hex_of(target, 32)
      : command == "SUSPEND_SOURCE" ? !is_hex_of(target, 16)
                                    : target.empty())
    return wrong("target is not what the command is done to");
  if (agent.empty() || !is_hex_of(instance, 16) || !is_hex_of(prev, 32) || !is_hex_of(nonce, 16) ||
      !is_hex_of(reason, 32))
    return wrong("agent, instance, prev, nonce or reason does not have its form");
  if (!count || !begin || !end) return wrong("counter and times are not all decimal numbers");
  if (*end < *begin || *end - *begin > kValidMsMax) return wrong("time is longer than 15 minutes");
  return OverrideCommand{note->text, command, target, agent, *count};
}

}  // namespace fieldprint::verify
