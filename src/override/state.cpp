#include "override/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "fieldprint/error.h"

namespace fieldprint::overrides {
namespace {

constexpr std::string_view kHead = "fieldprint/override-journal/v1";

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kBadInput, what); }
[[noreturn]] void damaged(const std::string& what) { throw Error(ErrorKind::kBadFile, "the journal " + what); }

uint64_t number(std::string_view& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) damaged("has an entry without its number");
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (!text.empty()) text.remove_prefix(1);
  return number;
}

uint64_t number_near(std::string_view& text, uint64_t here) {
  const uint64_t read = number(text);
  if (read > here + kLeapMax) damaged("leaps too far");
  return read;
}

}  // namespace

Entry begin_entry(const std::string& agent, std::string_view id, int64_t time) {
  return {EntryKind::kBegin, time, fmt::format("{}\nagent={}\nid={}\n", kHead, agent, id)};
}

Command State::signed_command(std::string_view signed_note) const {
  const ledger::Note note = ledger::parse_note(signed_note);
  Command command = parse_command(note.text);
  const CommandKind& kind = command_kind(command.kind);
  const auto& [needed, keys] = root.of(kind.role);
  for (const ledger::NoteSignature& signature : note.signatures)
    if (std::ranges::count(note.signatures, signature) > 1) refuse("a signature that stands twice");
  const size_t signers = ledger::verify_note(note, keys).size();
  if (signers < static_cast<size_t>(needed))
    refuse(fmt::format("{} takes {} signatures, and there {} {}", kind.name, needed, signers == 1 ? "is" : "are",
                       signers));
  return command;
}

Command State::check(std::string_view signed_note, std::string_view instance, int64_t now) const {
  if (signed_note.size() > kNoteBytesMax) refuse("a command that is too long");
  const Command command = signed_command(signed_note);
  if (command.target != "*" && command.target != "agent=" + root.agent &&
      command.target != fmt::format("instance={}", instance)) {
    refuse("the command is for another agent or instance");
  }
  if (now < command.not_before) refuse("the command is not good yet");
  if (now > command.not_after) refuse("the command is not good any more");
  if (command.counter <= counter) refuse(fmt::format("the counter has to be above {}", counter));
  if (command.counter > counter + kCounterStepMax)
    refuse(fmt::format("the counter may be {} at most", counter + kCounterStepMax));
  if (command.prev != prev) refuse("the command does not name the digest of the one before it");

  if (command.kind == Kind::kRestore && command.argument("source").empty() && flags == 0)
    refuse("there is nothing to restore");
  if (command.kind == Kind::kRestore && !command.argument("source").empty() &&
      !sources.contains(command.argument("source"))) {
    refuse("the source is not suspended");
  }
  if (command.kind == Kind::kRotateKey) Root(root).rotate(command.argument("old"), command.argument("key"));
  return command;
}

void State::check_logged(uint64_t which, int64_t now) const {
  const auto found = waiting.find(which);
  if (found == waiting.end()) refuse(fmt::format("no command with the counter {} waits", which));
  if (now > found->second.not_after) refuse("the command came into the ledger too late; it has to be given again");
}

void State::enforce(const Command& command) {
  flags |= command_kind(command.kind).flags;
  if (command.kind == Kind::kSuspendSource) sources.insert(command.argument("source"));
  if (command.kind == Kind::kRotateKey) root.rotate(command.argument("old"), command.argument("key"));
  if (command.kind != Kind::kRestore) return;
  if (const std::string source = command.argument("source"); source.empty()) {
    flags = 0;
  } else {
    sources.erase(source);
  }
}

void State::apply(const Entry& entry) {
  if ((entry.kind == EntryKind::kBegin) != (epoch == 0)) damaged("does not begin once");
  std::string_view text = entry.text;
  switch (entry.kind) {
    case EntryKind::kBegin:
      if (!text.starts_with(fmt::format("{}\nagent={}\nid=", kHead, root.agent)))
        damaged("is of another agent than the root file");
      prev = ledger::tagged_digest("override-journal", ledger::view_of(text));
      break;
    case EntryKind::kCommand: {
      const Command command = signed_command(text);  // again: nobody may write one into the file
      if (command.counter <= counter || command.prev != prev) damaged("has commands out of their order");
      counter = command.counter;
      prev = command_digest(format_command(command));
      if (!command_kind(command.kind).lowers) {
        waiting.emplace(command.counter, command);
        break;
      }
      enforce(command);
      // Whoever lowers after a RESTORE was given has the last word.
      std::erase_if(waiting, [](const auto& item) { return item.second.kind == Kind::kRestore; });
      break;
    }
    case EntryKind::kLogged: {
      const auto found = waiting.find(number(text));
      if (found == waiting.end()) damaged("has a command in force that nobody gave");
      enforce(found->second);
      waiting.erase(found);
      break;
    }
    case EntryKind::kClosed:
      epoch = std::max(epoch, number_near(text, epoch));
      counter = std::max(counter, number_near(text, counter));
      flags |= kEverything;
      waiting.clear();
      break;
    default:
      damaged("has an entry of a kind that is not known");
  }
  if (++epoch > kEpochMax || counter > kCounterMax) damaged("is at its end");
}

}  // namespace fieldprint::overrides
