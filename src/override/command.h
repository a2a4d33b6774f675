// Commands of the override: a text of lines KEY=VALUE in one order, which people sign as a note. There is one parser
// and it takes nothing that format_command() would not write.
//
//   fieldprint/override/v1
//   cmd=REVOKE
//   target=*                          or agent=NAME, or instance=ID
//   counter=42                        above that of the last command
//   prev=<64 hex digits>              the last command's digest, or what the journal began with
//   nonce=<32 hex digits>
//   not-before=1796000000             seconds since 1970
//   not-after=1796000600              at most 900 later
//   reason=<64 hex digits>            SHA-256 of what people wrote down
//   record=<64 hex digits>            arguments: those of the command, in its order
//
// Pure functions, for any thread. Refusals are Error kBadInput.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/hash.h"

namespace fieldprint::overrides {

inline constexpr size_t kNoteBytesMax = 4032;      // a signed command fills a slot of the journal at most
inline constexpr int64_t kSecondsMax = 900;        // from not-before to not-after
inline constexpr uint64_t kCounterStepMax = 1024;  // so that nobody uses the counters up
inline constexpr uint64_t kCounterMax = (uint64_t{1} << 40) - 1;

enum class Kind : uint8_t {
  kHalt,
  kNoAnchors,
  kRevoke,
  kSuspendSource,
  kFreezeWrites,
  kCleanBoot,
  kRestore,
  kRotateKey
};
enum class Role : uint8_t { kOperator, kApprover, kRoot };

// Bits of the state that everything else reads.
inline constexpr uint8_t kHalted = 1, kNoAnchors = 2, kFrozen = 4, kCleanBoot = 8;
inline constexpr uint8_t kEverything = kHalted | kNoAnchors | kFrozen;  // where nothing is known

struct CommandKind {
  Kind kind;
  std::string_view name;
  Role role;      // whose keys sign it
  bool lowers;    // in force at once; else the ledger has to have it first
  uint8_t flags;  // that it sets
  std::span<const std::string_view> arguments;
  size_t required;  // of them; those after may be left out
};
std::span<const CommandKind> command_kinds();
const CommandKind& command_kind(Kind kind);
const CommandKind& command_kind(std::string_view name);  // Error kBadInput, with the names there are

using Arguments = std::vector<std::pair<std::string, std::string>>;
using Nonce = std::array<std::byte, 16>;

struct Command {
  Kind kind = Kind::kHalt;
  std::string target = "*";
  uint64_t counter = 0;
  ledger::Digest prev = {};
  Nonce nonce = {};
  int64_t not_before = 0, not_after = 0;
  ledger::Digest reason = {};
  Arguments arguments = {};

  std::string argument(std::string_view name) const;  // "" where it was left out
  bool operator==(const Command&) const = default;
};

// 1 to 64 printable ASCII characters.
bool is_agent_name(std::string_view name);

// Refuses a command that parse_command() would refuse.
std::string format_command(const Command& command);
Command parse_command(std::string_view text);

// What the next command's prev is, once the one with this text is accepted.
ledger::Digest command_digest(std::string_view text);

}  // namespace fieldprint::overrides
