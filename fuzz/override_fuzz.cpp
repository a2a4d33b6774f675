// Input: a letter, then
//   c  the text of a command         -> what is read is what would be written
//   r  a root file                   -> the same
//   n  a note                        -> it is refused, or was signed by as many as it takes
//   s  a byte whose bits say who signs, and the text that they sign -> the same, and never twice
//   j  entries of a journal: a byte for the kind, two for the length of the text, the text -> a state, or an Error
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/error.h"
#include "ledger/note.h"
#include "override/state.h"

namespace {

using namespace fieldprint;
using namespace fieldprint::overrides;

constexpr int64_t kNow = 1'796'000'000;
const std::string kInstance(32, '7');

void require(bool condition) {
  if (!condition) std::abort();
}

// Two of each role, operators, approvers and roots; known to everybody.
const std::array<ledger::SignerKey, 6>& people() {
  using ledger::SignerKey;
  static const std::array<SignerKey, 6> keys = {
      SignerKey::parse("PRIVATE+KEY+o+bcb41cd9+AccXBWOSMkDQBBGWJRIIDAmMg27QrRdUJQoRG0LOg72t"),
      SignerKey::parse("PRIVATE+KEY+p+727f3b01+AT0oNrf+iZNPKUACkoLfbjLUtDejGsJsNiZHJR9gv56F"),
      SignerKey::parse("PRIVATE+KEY+a+a5627845+Ac58ayWiHnFQWhiu6wZSsLnVLpGTCaa9miCxv5yrsaN+"),
      SignerKey::parse("PRIVATE+KEY+b+4698c5dd+AREV3o913NnguKYD839qauKgzMtRJL1z5hS9HLk+vyHG"),
      SignerKey::parse("PRIVATE+KEY+r+e7fbf71f+AYYaS/ljPX4aU+CKPGlbAr+Lt+YBB9hm5ic+pA858aQc"),
      SignerKey::parse("PRIVATE+KEY+s+bd6e98f1+AWaFi1p32RPR5eVTq1GwSRpMGZUZdXTAZG4V3q5K2St9")};
  return keys;
}

Root root() {
  Root root;
  root.agent = "tester";
  for (size_t i = 0; i < people().size(); ++i) root.roles[i / 2].keys.push_back(people()[i].verifier());
  root.roles[1].needed = root.roles[2].needed = 2;
  return root;
}

State state() {
  State state(root());
  state.apply(begin_entry("tester", std::string(32, '1'), kNow));
  return state;
}

// One that was halted, so that there is something to restore. Its commands have to name this state's digest.
const State& halted() {
  static const State halted = [] {
    State was = state();
    Command halt;
    halt.counter = 1;
    halt.prev = was.prev;
    halt.not_before = kNow;
    halt.not_after = kNow + 1;
    const std::string text = format_command(halt);
    was.apply({EntryKind::kCommand, kNow, ledger::format_note({text, {people()[0].sign(text)}})});
    return was;
  }();
  return halted;
}

void check_note(const std::string& note) {
  State now = halted();
  Command command;
  try {
    command = now.check(note, kInstance, kNow);
  } catch (const Error&) {
    return;
  }
  const ledger::Note read = ledger::parse_note(note);
  require(format_command(command) == read.text);
  const size_t role = static_cast<size_t>(command_kind(command.kind).role);
  size_t signers = 0;
  for (const ledger::VerifierKey& key : now.root.roles[role].keys)
    for (const ledger::NoteSignature& signature : read.signatures) signers += key.verify(read.text, signature);
  require(signers >= static_cast<size_t>(now.root.roles[role].needed));
  require(command.counter > now.counter && command.prev == now.prev);
  require(command.not_before <= kNow && kNow <= command.not_after);
  const uint8_t flags = now.flags;
  now.apply({EntryKind::kCommand, kNow, note});
  require((now.flags & flags) == flags);  // nothing is raised before the ledger has it
  try {
    now.check(note, kInstance, kNow);
    std::abort();
  } catch (const Error&) {
  }
}

std::string sign(uint8_t who, std::string_view text) {
  ledger::Note note{std::string(text), {}};
  for (size_t i = 0; i < people().size(); ++i)
    if ((who >> i & 1) != 0) note.signatures.push_back(people()[i].sign(note.text));
  return ledger::format_note(note);
}

void fold(std::string_view input) {
  State folded(root());
  while (input.size() >= 3) {
    const size_t length = static_cast<uint8_t>(input[1]) | static_cast<size_t>(static_cast<uint8_t>(input[2])) << 8;
    Entry entry{static_cast<EntryKind>(input[0]), kNow, std::string(input.substr(3, length))};
    const uint64_t epoch = folded.epoch, counter = folded.counter;
    folded.apply(entry);
    require(folded.epoch > epoch && folded.counter >= counter);
    input.remove_prefix(std::min(input.size(), 3 + length));
  }
}

void run(char what, std::string_view input) {
  switch (what) {
    case 'c':
      require(format_command(parse_command(input)) == input);
      break;
    case 'r':
      require(format_root(parse_root(input)) == input);
      break;
    case 'n':
      check_note(std::string(input));
      break;
    case 's':
      if (!input.empty()) check_note(sign(static_cast<uint8_t>(input[0]), input.substr(1)));
      break;
    case 'j':
      fold(input);
      break;
    default:
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    run(static_cast<char>(data[0]), {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const Error&) {
  }
  return 0;
}
