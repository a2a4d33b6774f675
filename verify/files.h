// The files of an export, from a directory or from memory (tests, fuzzing). A directory is hostile: links are not
// followed, and what is not a plain file is not opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fieldprint::verify {

class Reader {
 public:
  virtual ~Reader() = default;
  virtual uint64_t size() const = 0;  // when it was opened
  // Fills `out` from byte `offset` on. False where so many bytes cannot be read.
  virtual bool read(uint64_t offset, char* out, size_t length) const = 0;
};

// What became of opening a path; only kOpen brings a reader.
enum class Opening { kOpen, kMissing, kNotPlain, kFailed };

struct Opened {
  Opening state = Opening::kMissing;
  std::unique_ptr<Reader> reader = {};
};

class Files {
 public:
  virtual ~Files() = default;
  // `path` is relative, its parts separated by '/', none of them "..".
  virtual Opened open(const std::string& path) const = 0;
  // Calls `file(path, plain)` for everything that is not a directory, in no certain order, at most 16 folders deep.
  // False where a folder cannot be listed.
  virtual bool each(const std::function<void(const std::string& path, bool plain)>& file) const = 0;
};

// Of a directory. Null where it cannot be opened.
std::unique_ptr<Files> open_directory(const std::string& path);
// Of texts by path. `files` must outlive it.
std::unique_ptr<Files> in_memory(const std::map<std::string, std::string>& files);

class Report;

// The whole of a file that has to be there, of at most `size_max` bytes; where that fails it is a fault
// ("export.missing", "export.link", "export.read", "export.size") and nothing.
std::optional<std::string> read_file(const Files& files, const std::string& path, size_t size_max, Report& report);
// Opens a file that has to be there, with the same faults.
std::unique_ptr<Reader> open_file(const Files& files, const std::string& path, Report& report);

// A file that the user named, anywhere, links followed. Nothing where it cannot be read or is larger.
std::optional<std::string> read_named(const std::string& path, size_t size_max);

}  // namespace fieldprint::verify
