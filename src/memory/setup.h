// A memory's directory, made once: its keys, its first event, what it is opened with.
//
//   memory.json        origin, agent, encoder, witnesses and their sockets: what MemoryOptions leaves out; not trusted,
//                      the ledger's keys are compared
//   ledger/            the ledger (docs/formats/ledger.md)
//   secret/            0700: log.skey signs checkpoints, payload.keys, text.key
//   override/          what the override keeps (docs/override.md)
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "fieldprint/memory_setup.h"
#include "ledger/hash.h"
#include "ledger/note.h"
#include "memory/policy.h"

namespace fieldprint::memory {

struct Directory {
  explicit Directory(std::filesystem::path path) : root(std::move(path)) {}
  const std::filesystem::path root;
  std::filesystem::path config() const { return root / "memory.json"; }
  std::filesystem::path ledger() const { return root / "ledger"; }
  std::filesystem::path log_key() const { return root / "secret" / "log.skey"; }
  std::filesystem::path payload_keys() const { return root / "secret" / "payload.keys"; }
  std::filesystem::path text_key() const { return root / "secret" / "text.key"; }
};

struct Config {
  std::string origin, agent, encoder, model;
  std::vector<MemoryWitness> witnesses;
};
Config read_config(const Directory& directory);  // Error kNotFound, kBadFile

// A secret file of at most 64 KiB that nobody else may read or write. Error kNotFound, kBadFile for wider permissions.
std::string read_secret(const std::filesystem::path& path);
// Written whole, 0600, never over one that is there: Error kIo.
void write_secret(const std::filesystem::path& path, std::string_view text);

}  // namespace fieldprint::memory
