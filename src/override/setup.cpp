// Making an override, making commands, reading what was commanded.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/descriptor.h"
#include "base/random_id.h"
#include "fieldprint/error.h"
#include "fieldprint/override.h"
#include "override/accept.h"

namespace fieldprint {

namespace fs = std::filesystem;
using namespace overrides;

namespace {

int64_t seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Root root_of(const OverrideKeys& keys) {
  Root root;
  root.agent = keys.agent;
  const auto fill = [&](Role role, const std::vector<std::string>& vkeys, int needed) {
    root.of(role).needed = needed;
    for (const std::string& vkey : vkeys) root.of(role).keys.push_back(ledger::VerifierKey::parse(vkey));
  };
  fill(Role::kOperator, keys.operators, keys.operators_needed);
  fill(Role::kApprover, keys.approvers, keys.approvers_needed);
  fill(Role::kRoot, keys.roots, keys.roots_needed);
  return root;
}

void write_root(const std::string& path, std::string_view text) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fchmod(file.get(), 0444) != 0 || ::fsync(file.get()) != 0) {
    throw Error(ErrorKind::kIo, fmt::format("cannot be written: {}", std::strerror(errno)), path);
  }
}

void fill_status(OverrideStatus& status, const overrides::State& state) {
  status.agent = state.root.agent;
  status.prev = ledger::to_hex(state.prev);
  status.sources.assign(state.sources.begin(), state.sources.end());
  for (const auto& [counter, command] : state.waiting) status.waiting.push_back(counter);
}

}  // namespace

void make_override(const std::string& directory, const OverrideKeys& keys) {
  std::string text;
  try {
    text = format_root(root_of(keys));
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, error.what());
  }
  const Files files(directory);
  std::error_code failed;
  const bool there = fs::exists(directory, failed);
  if (there && (!fs::is_directory(directory) || !fs::is_empty(directory)))
    throw Error(ErrorKind::kIo, "is there already", directory);
  try {
    if (!there && ::mkdir(directory.c_str(), 0700) != 0)
      throw Error(ErrorKind::kIo, fmt::format("cannot be made: {}", std::strerror(errno)), directory);
    write_root(files.root(), text);
    overrides::State state(parse_root(text));
    const Entry begin = begin_entry(keys.agent, random_id(), seconds_now());
    state.apply(begin);
    FlagsPage::create(files.flags());
    FlagsPage(files.flags(), true).set(state.epoch, state.flags, state.counter);
    Journal::create(files.journal(), begin);
  } catch (const Error&) {
    for (const std::string& file : {files.root(), files.flags(), files.journal()}) fs::remove(file, failed);
    if (!there) fs::remove(directory, failed);
    throw;
  }
}

OverrideStatus override_status(const std::string& directory) {
  OverrideStatus status;
  const OverrideFlags flags(directory);
  const InForce now = flags.now();
  status.epoch = now.epoch;
  status.counter = flags.counter();
  status.instance = flags.instance();
  status.halted = now.halted();
  status.no_anchors = now.no_anchors();
  status.frozen = now.frozen();
  status.clean_boot = now.clean_boot();
  status.fault = flags.fault();
  if (flags.state()) fill_status(status, *flags.state());
  return status;
}

std::vector<OverrideEntry> override_entries(const std::string& directory, uint64_t epoch) {
  const Files files(directory);
  overrides::State state(read_root(files.root()));
  std::vector<OverrideEntry> entries;
  for (const Entry& entry : read_journal(files.journal()).entries) {
    fold_one(state, entry, files.journal());
    if (entry.kind == EntryKind::kCommand) {
      const Command command = parse_command(ledger::parse_note(entry.text).text);
      entries.push_back(tell(command, entry, state.epoch, command_kind(command.kind).lowers));
    } else if (entry.kind == EntryKind::kLogged) {
      for (OverrideEntry& waited : entries) waited.in_force |= fmt::to_string(waited.counter) == entry.text;
    }
  }
  std::erase_if(entries, [&](const OverrideEntry& entry) { return entry.epoch <= epoch; });
  return entries;
}

std::string make_override_command(const OverrideStatus& status, const OverrideRequest& request) {
  try {
    Command command;
    command.kind = command_kind(request.command).kind;
    command.target = request.target;
    command.counter = status.counter + 1;
    command.prev = ledger::digest_of(ledger::from_hex(status.prev));
    const ledger::Bytes nonce = ledger::from_hex(random_id());
    std::copy(nonce.begin(), nonce.end(), command.nonce.begin());
    command.not_before = seconds_now();
    command.not_after = command.not_before + request.seconds;
    command.reason = ledger::sha256({ledger::view_of(request.reason)});
    command.arguments = request.arguments;
    return format_command(command);
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, error.what());
  }
}

std::string sign_override_command(std::string_view command, std::string_view skey) {
  const bool signed_already = command.find("\n\n") != command.npos;
  ledger::Note note = signed_already ? ledger::parse_note(command) : ledger::Note{std::string(command), {}};
  parse_command(note.text);
  note.signatures.push_back(ledger::SignerKey::parse(skey).sign(note.text));
  std::string text = ledger::format_note(note);
  if (text.size() > kNoteBytesMax) throw Error(ErrorKind::kBadInput, "a command with too many signatures");
  return text;
}

}  // namespace fieldprint
