#include "override/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>

#include "fieldprint/error.h"
#include "ledger/bytes.h"
#include "ledger/lines.h"
#include "ledger/note.h"

namespace fieldprint::overrides {
namespace {

constexpr std::string_view kHead = "fieldprint/override/v1";
constexpr std::string_view kRecord[] = {"record"}, kSource[] = {"source"}, kKeys[] = {"old", "key"};

constexpr CommandKind kKinds[] = {
    {Kind::kHalt, "HALT", Role::kOperator, true, kHalted, {}, 0},
    {Kind::kNoAnchors, "NO_ANCHORS", Role::kOperator, true, kNoAnchors, {}, 0},
    {Kind::kRevoke, "REVOKE", Role::kOperator, true, 0, kRecord, 1},
    {Kind::kSuspendSource, "SUSPEND_SOURCE", Role::kOperator, true, 0, kSource, 1},
    {Kind::kFreezeWrites, "FREEZE_WRITES", Role::kOperator, true, kFrozen, {}, 0},
    {Kind::kCleanBoot, "CLEAN_BOOT", Role::kOperator, true, kCleanBoot, {}, 0},
    {Kind::kRestore, "RESTORE", Role::kApprover, false, 0, kSource, 0},
    {Kind::kRotateKey, "ROTATE_KEY", Role::kRoot, false, 0, kKeys, 2},
};

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kBadInput, what); }

std::string_view value(ledger::Lines& lines, std::string_view key) {
  std::string_view line = lines.next();
  if (!line.starts_with(key) || line.size() == key.size() || line[key.size()] != '=')
    refuse(fmt::format("a command's next line has to be {}=...", key));
  return line.substr(key.size() + 1);
}

template <class Number>
Number number(std::string_view text, std::string_view key) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || fmt::to_string(number) != text)
    refuse(fmt::format("a command's {} has to be a plain number", key));
  return number;
}

template <size_t kSize>
std::array<std::byte, kSize> bytes(std::string_view text, std::string_view key) {
  const ledger::Bytes read = text.size() == 2 * kSize ? ledger::from_hex(text) : ledger::Bytes();
  if (read.size() != kSize) refuse(fmt::format("a command's {} has to be {} hex digits", key, 2 * kSize));
  std::array<std::byte, kSize> array;
  std::ranges::copy(read, array.begin());
  return array;
}

void check_argument(std::string_view name, std::string_view value) {
  if (name == "record") {
    bytes<32>(value, name);
  } else if (name == "source") {
    bytes<16>(value, name);
  } else if (ledger::VerifierKey::parse(value).type() != ledger::KeyType::kEd25519) {
    refuse("a key of the override has to be of the type Ed25519");
  }
}

void check_target(std::string_view target) {
  constexpr std::string_view kAgent = "agent=", kInstance = "instance=";
  if (target == "*") return;
  if (target.starts_with(kAgent) && is_agent_name(target.substr(kAgent.size()))) return;
  if (!target.starts_with(kInstance)) refuse("a command's target has to be *, agent=NAME or instance=ID");
  bytes<16>(target.substr(kInstance.size()), "instance");
}

void check(const Command& command) {
  const CommandKind& kind = command_kind(command.kind);
  check_target(command.target);
  if (command.counter == 0 || command.counter > kCounterMax) refuse("a command's counter is out of bounds");
  if (command.not_before < 0 || command.not_after <= command.not_before ||
      command.not_after - command.not_before > kSecondsMax) {
    refuse(fmt::format("a command has to be good for 1 to {} seconds", kSecondsMax));
  }
  if (command.arguments.size() < kind.required || command.arguments.size() > kind.arguments.size())
    refuse(fmt::format("{} has {} arguments", kind.name, kind.arguments.size()));
  for (size_t i = 0; i < command.arguments.size(); ++i) {
    if (command.arguments[i].first != kind.arguments[i])
      refuse(fmt::format("{} has the argument {}, not {}", kind.name, kind.arguments[i], command.arguments[i].first));
    check_argument(command.arguments[i].first, command.arguments[i].second);
  }
}

}  // namespace

std::span<const CommandKind> command_kinds() { return kKinds; }

const CommandKind& command_kind(Kind kind) {
  const auto found = std::ranges::find(kKinds, kind, &CommandKind::kind);
  assert(found != std::end(kKinds));
  return *found;
}

const CommandKind& command_kind(std::string_view name) {
  const auto found = std::ranges::find(kKinds, name, &CommandKind::name);
  if (found != std::end(kKinds)) return *found;
  std::string names;
  for (const CommandKind& kind : kKinds) names += fmt::format("{}{}", names.empty() ? "" : ", ", kind.name);
  refuse("there is no such command; there are " + names);
}

std::string Command::argument(std::string_view name) const {
  const auto found = std::ranges::find(arguments, name, &Arguments::value_type::first);
  return found == arguments.end() ? "" : found->second;
}

bool is_agent_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~'; });
}

std::string format_command(const Command& command) {
  check(command);
  std::string text =
      fmt::format("{}\ncmd={}\ntarget={}\ncounter={}\nprev={}\nnonce={}\nnot-before={}\nnot-after={}\nreason={}\n",
                  kHead, command_kind(command.kind).name, command.target, command.counter, ledger::to_hex(command.prev),
                  ledger::to_hex(command.nonce), command.not_before, command.not_after, ledger::to_hex(command.reason));
  for (const auto& [name, value] : command.arguments) text += fmt::format("{}={}\n", name, value);
  return text;
}

Command parse_command(std::string_view text) {
  if (text.size() > kNoteBytesMax) refuse("a command that is too long");
  if (!std::ranges::all_of(text, [](char c) { return (c >= ' ' && c <= '~') || c == '\n'; }))
    refuse("a command has to be ASCII");
  ledger::Lines lines(text);
  if (lines.next() != kHead) refuse(fmt::format("a command has to begin with {}", kHead));
  Command command;
  command.kind = command_kind(value(lines, "cmd")).kind;
  command.target = value(lines, "target");
  command.counter = number<uint64_t>(value(lines, "counter"), "counter");
  command.prev = bytes<32>(value(lines, "prev"), "prev");
  command.nonce = bytes<16>(value(lines, "nonce"), "nonce");
  command.not_before = number<int64_t>(value(lines, "not-before"), "not-before");
  command.not_after = number<int64_t>(value(lines, "not-after"), "not-after");
  command.reason = bytes<32>(value(lines, "reason"), "reason");
  for (const std::string_view name : command_kind(command.kind).arguments) {
    if (lines.done()) break;
    command.arguments.emplace_back(name, value(lines, name));
  }
  if (!lines.done()) refuse("a command with a line that is not known");
  check(command);
  return command;
}

ledger::Digest command_digest(std::string_view text) {
  return ledger::tagged_digest("override", ledger::view_of(text));
}

}  // namespace fieldprint::overrides
