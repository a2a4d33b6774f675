#include "memory/setup.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/json.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/error.h"
#include "fieldprint/override.h"
#include "ledger/ledger.h"
#include "memory/encoder.h"
#include "memory/memory.h"

namespace fieldprint::memory {

namespace {

[[noreturn]] void io(const std::string& what, const std::filesystem::path& path) {
  throw Error(ErrorKind::kIo, what + ": " + std::strerror(errno), path.string());
}

std::string stripped(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

std::string read_secret(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    throw Error(errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo,
                std::string("the key cannot be read: ") + std::strerror(errno), path.string());
  }
  struct stat info {};
  std::string text(64 << 10, '\0');
  const bool good = fstat(fd, &info) == 0;
  const ssize_t n = good ? read(fd, text.data(), text.size()) : -1;
  close(fd);
  if (n < 0) io("the key cannot be read", path);
  if ((info.st_mode & 077) != 0) {
    throw Error(ErrorKind::kBadFile, "others than its owner may read the key", path.string(),
                "chmod 600 " + path.string());
  }
  text.resize(static_cast<size_t>(n));
  return stripped(std::move(text));
}

void write_secret(const std::filesystem::path& path, std::string_view text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) io("the key cannot be written", path);
  const ssize_t n = write(fd, text.data(), text.size());
  const bool good = n == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  close(fd);
  if (!good) {
    std::filesystem::remove(path);
    io("the key cannot be written", path);
  }
}

Config read_config(const Directory& directory) {
  std::ifstream file(directory.config());
  if (!file) {
    throw Error(ErrorKind::kNotFound, "there is no memory here", directory.root.string(),
                "fieldprint memory init makes one");
  }
  std::string text(64 << 10, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  const nlohmann::json json = parse_json(text, directory.config().string(), {.kind = ErrorKind::kBadFile});
  const auto field = [&](const char* name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    if (!json.is_object() || found == json.end() || !found->is_string()) {
      throw Error(ErrorKind::kBadFile, std::string(name) + " is missing", directory.config().string());
    }
    return found->get<std::string>();
  };
  Config config{field("origin"), field("agent"), field("encoder"), {}, {}};
  if (json.contains("model")) config.model = field("model");
  const auto witnesses = json.find("witnesses");
  if (witnesses == json.end()) return config;
  try {
    for (const nlohmann::json& witness : *witnesses) {
      config.witnesses.push_back({witness.at("key").get<std::string>(), witness.at("socket").get<std::string>()});
    }
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kBadFile, "witnesses are a list of objects with key and socket",
                directory.config().string());
  }
  return config;
}

}  // namespace fieldprint::memory

namespace fieldprint {

using namespace memory;

namespace {
// The override has the same people above it; what raises there needs as many of them as what is EXTERNAL here.
OverrideKeys above_all(const MemorySetup& setup) {
  OverrideKeys keys;
  keys.agent = setup.agent;
  for (const MemoryKey& key : setup.keys) {
    if (key.role == "root") keys.roots.push_back(key.vkey);
    if (key.role == "operator") keys.operators.push_back(key.vkey);
    if (key.role == "approver") keys.approvers.push_back(key.vkey);
  }
  keys.roots_needed = 1;
  keys.approvers_needed =
      static_cast<int>(std::min<int64_t>(setup.approvals_external, static_cast<int64_t>(keys.approvers.size())));
  return keys;
}
}  // namespace

void make_memory(const MemorySetup& setup) {
  namespace fs = std::filesystem;
  const Directory directory(setup.directory);
  if (!ledger::is_key_name(setup.origin)) {
    throw Error(ErrorKind::kUsage, "the origin is a name without spaces and '+', such as example.org/assistant");
  }
  if (setup.agent.empty() || setup.agent.find_first_of("\n\r") != std::string::npos || setup.agent.size() > 64) {
    throw Error(ErrorKind::kUsage, "the agent has a name of 1 to 64 bytes in one line");
  }
  if (const auto names = encoder_names(); std::ranges::find(names, setup.encoder) == names.end()) {
    make_encoder(setup.encoder, nullptr);  // says which there are
  }
  make_encoder(setup.encoder, setup.model.empty() ? nullptr : Model::load(setup.model));  // it works, before all else
  ledger::Array keys;
  for (const char* role : {"root", "operator", "approver"}) {
    if (std::ranges::find(setup.keys, role, &MemoryKey::role) == setup.keys.end()) {
      throw Error(ErrorKind::kUsage, std::string("a memory needs at least one ") + role + " key", {},
                  "fieldprint memory keygen makes keys; who holds them stands above the agent");
    }
  }
  for (const MemoryKey& key : setup.keys) {
    keys.emplace_back(
        ledger::Array{static_cast<int64_t>(role_named(key.role)), ledger::VerifierKey::parse(key.vkey).vkey()});
  }
  for (const MemoryWitness& witness : setup.witnesses) {
    keys.emplace_back(
        ledger::Array{static_cast<int64_t>(KeyRole::kWitness), ledger::VerifierKey::parse(witness.vkey).vkey()});
  }
  const auto signer = ledger::SignerKey::generate(setup.origin, ledger::KeyType::kEd25519);
  keys.emplace_back(ledger::Array{static_cast<int64_t>(KeyRole::kLog), signer.verifier().vkey()});
  Policy policy;
  policy.approvals = setup.approvals;
  policy.approvals_external = setup.approvals_external;
  policy.anchor_tokens = setup.anchor_tokens;
  Policy::from_cbor(policy.cbor());
  std::array<std::byte, 16> instance;
  randombytes_buf(instance.data(), instance.size());
  Event genesis(EventKind::kGenesis, now_ms(), "init");
  genesis.set(Field::kOrigin, setup.origin)
      .set(Field::kAgent, setup.agent)
      .set(Field::kKeys, std::move(keys))
      .set(Field::kPolicy, policy.cbor())
      .set(Field::kInstance, ledger::ByteView(instance));
  Registry().apply(0, genesis);  // keys twice and the like are refused before anything is written

  if (fs::exists(directory.root) && !fs::is_empty(directory.root)) {
    throw Error(ErrorKind::kUsage, "the directory is there and not empty", setup.directory);
  }
  const bool own = !fs::exists(directory.root);
  try {
    fs::create_directories(directory.root / "secret");
    fs::permissions(directory.root, fs::perms::owner_all);
    fs::permissions(directory.root / "secret", fs::perms::owner_all);
    write_secret(directory.log_key(), signer.skey() + "\n");
    Digest text_key;
    randombytes_buf(text_key.data(), text_key.size());
    write_secret(directory.text_key(), ledger::to_hex(text_key) + "\n");
    make_override((directory.root / "override").string(), above_all(setup));
    {
      ledger::Ledger log(directory.ledger(), {.origin = setup.origin, .signer = signer});
      log.append({encode_event(genesis)}, {});
      log.sign();
    }
    nlohmann::ordered_json config = {{"origin", setup.origin}, {"agent", setup.agent}, {"encoder", setup.encoder}};
    if (!setup.model.empty()) config["model"] = std::filesystem::absolute(setup.model).string();
    for (const MemoryWitness& witness : setup.witnesses) {
      config["witnesses"].push_back(
          {{"key", witness.vkey}, {"socket", fs::absolute(witness.socket).lexically_normal().string()}});
    }
    AtomicFile file(directory.config().string());  // last: a directory without it is no memory
    file.write(config.dump(2) + "\n");
    file.commit();
  } catch (...) {
    std::error_code ignored;
    if (own) fs::remove_all(directory.root, ignored);
    throw;
  }
}

namespace {
std::string make_key(const std::string& name, const std::string& file, ledger::KeyType type) {
  if (!ledger::is_key_name(name)) throw Error(ErrorKind::kUsage, "a key's name has no spaces and no '+'");
  const auto key = ledger::SignerKey::generate(name, type);
  write_secret(file, key.skey() + "\n");
  return key.verifier().vkey();
}
}  // namespace

std::string make_memory_key(const std::string& name, const std::string& file) {
  return make_key(name, file, ledger::KeyType::kEd25519);
}
std::string make_witness_key(const std::string& name, const std::string& file) {
  return make_key(name, file, ledger::KeyType::kCosignature);
}

std::string memory_key_of(const std::string& file) {
  return ledger::SignerKey::parse(read_secret(file)).verifier().vkey();
}

std::string sign_statement(std::string_view statement, const std::string& key_file) {
  const auto key = ledger::SignerKey::parse(read_secret(key_file));
  ledger::Note note;
  if (statement.find("\n\n") == std::string_view::npos) {
    note.text = statement;
  } else {
    note = ledger::parse_note(statement);
  }
  parse_statement(note.text);
  const auto own = [&](const ledger::NoteSignature& signature) { return key.verifier().made(signature); };
  std::erase_if(note.signatures, own);
  note.signatures.push_back(key.sign(note.text));
  return ledger::format_note(note);
}

}  // namespace fieldprint
