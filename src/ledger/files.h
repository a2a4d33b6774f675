// Files that have to survive: what is written is on the disk, with its name, when a call returns. An fsync that fails
// is never tried again (the kernel may have dropped the pages that it could not write), so each error here, an Error
// kIo, is for its caller to stop at.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "ledger/bytes.h"

namespace fieldprint::ledger {

// The whole file; nothing where there is none.
std::optional<Bytes> read_file(const std::filesystem::path& path);

// A new file in the place of the old one, by a temporary name beside it.
void replace_file(const std::filesystem::path& path, ByteView bytes);

void sync_directory(const std::filesystem::path& path);

// Files below a directory that are written once and never again. Their names are on the disk after sync().
class WriteOnceFiles {
 public:
  explicit WriteOnceFiles(std::filesystem::path root) : root_(std::move(root)) {}

  // Makes the folders on the way. A file that is there already has to have the same bytes, else Error kBadFile.
  void write(const std::string& name, ByteView bytes);
  void sync();
  const std::filesystem::path& root() const { return root_; }

 private:
  void make_folder(const std::filesystem::path& folder);
  std::filesystem::path root_;
  std::set<std::filesystem::path> unsynced_;  // folders with new names
};

// What tells a file or a directory from a copy of it: the number that the file system gave it, and when it was made.
// Neither copying nor restoring from a copy keeps these; renaming and restarting the machine do. Where the file system
// knows no time of making, the number of the device stands for it.
std::string file_identity(const std::filesystem::path& path);

}  // namespace fieldprint::ledger
