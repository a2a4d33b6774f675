#include "override/root_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "fieldprint/error.h"
#include "ledger/lines.h"

namespace fieldprint::overrides {
namespace {

constexpr std::string_view kHead = "fieldprint/override-root/v1";
constexpr std::string_view kNames[] = {"operator", "approver", "root"};  // by Role
constexpr size_t kBytesMax = 64 << 10;

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kBadInput, what); }

void check(const Root& root) {
  if (!is_agent_name(root.agent)) refuse("the agent's name has to be 1 to 64 printable ASCII characters");
  std::vector<const ledger::VerifierKey*> known;
  for (size_t role = 0; role < root.roles.size(); ++role) {
    const auto& [needed, keys] = root.roles[role];
    if (needed < 1 || static_cast<size_t>(needed) > keys.size())
      refuse(fmt::format("{} {} keys are needed, and there are {}", needed, kNames[role], keys.size()));
    for (const ledger::VerifierKey& key : keys) {
      if (key.type() != ledger::KeyType::kEd25519) refuse("keys of the override have to be of the type Ed25519");
      const auto same = [&](const auto* other) { return other->key() == key.key() || other->name() == key.name(); };
      if (std::ranges::any_of(known, same)) refuse(fmt::format("the key {} or its name stands twice", key.name()));
      known.push_back(&key);
    }
  }
}

}  // namespace

void Root::rotate(const std::string& old, const std::string& key) {
  Root changed = *this;
  const ledger::VerifierKey before = ledger::VerifierKey::parse(old);
  for (RoleKeys& role : changed.roles) {
    const auto found = std::ranges::find(role.keys, before);
    if (found == role.keys.end()) continue;
    *found = ledger::VerifierKey::parse(key);
    check(changed);
    *this = std::move(changed);
    return;
  }
  refuse("no role has the old key");
}

std::string format_root(const Root& root) {
  check(root);
  std::string text = fmt::format("{}\nagent={}\n", kHead, root.agent);
  for (size_t role = 0; role < root.roles.size(); ++role) {
    text += fmt::format("{}s={}\n", kNames[role], root.roles[role].needed);
    for (const ledger::VerifierKey& key : root.roles[role].keys)
      text += fmt::format("{}={}\n", kNames[role], key.vkey());
  }
  return text;
}

Root parse_root(std::string_view text) {
  Root root;
  ledger::Lines lines(text);
  const auto value = [](std::string_view line, std::string_view key) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != '=')
      refuse(fmt::format("the next line of a root file has to be {}=...", key));
    return line.substr(key.size() + 1);
  };
  if (lines.next() != kHead) refuse(fmt::format("a root file has to begin with {}", kHead));
  root.agent = value(lines.next(), "agent");
  for (size_t role = 0; role < root.roles.size(); ++role) {
    const std::string_view needed = value(lines.next(), fmt::format("{}s", kNames[role]));
    if (needed.size() != 1 || needed[0] < '1' || needed[0] > '9') refuse("it takes 1 to 9 keys of a role");
    root.roles[role].needed = needed[0] - '0';
    const std::string start = fmt::format("{}=", kNames[role]);
    while (!lines.done() && lines.left().starts_with(start))
      root.roles[role].keys.push_back(ledger::VerifierKey::parse(value(lines.next(), kNames[role])));
  }
  if (!lines.done()) refuse("a root file with a line that is not known");
  check(root);
  return root;
}

Root read_root(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    const ErrorKind kind = errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kBadFile;
    throw Error(kind, fmt::format("cannot be opened: {}", std::strerror(errno)), path);
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    throw Error(ErrorKind::kBadFile, "is not a plain file", path);
  if (status.st_uid != 0 && status.st_uid != ::geteuid())
    throw Error(ErrorKind::kBadFile, "belongs to another user", path);
  if ((status.st_mode & 0222) != 0)
    throw Error(ErrorKind::kBadFile, "may be written to", path, "chmod a-w it, once you have read it");
  std::string text(kBytesMax + 1, '\0');
  size_t size = 0;
  for (ssize_t read = 1; read != 0 && size < text.size(); size += static_cast<size_t>(read)) {
    read = ::read(file.get(), text.data() + size, text.size() - size);
    if (read < 0) throw Error(ErrorKind::kBadFile, fmt::format("cannot be read: {}", std::strerror(errno)), path);
  }
  if (size > kBytesMax) throw Error(ErrorKind::kBadFile, "is too long", path);
  text.resize(size);
  try {
    return parse_root(text);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFile, error.what(), path);
  }
}

}  // namespace fieldprint::overrides
