// The files of a prefix cache: saved sessions (session_file.h) in one directory, which may be that of several models
// and processes. A file's name says whose it is and what it holds:
//   d<domain in hex>-<32 hex digits of the SHA-256 of fingerprint, K/V type, tokens and labels>.fpcache
// Nothing in a file is trusted before its hash is checked. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/session_file.h"
#include "engine/stepper.h"

namespace fieldprint {

inline constexpr size_t kMaxDomain = 64;  // bytes: it is part of a file's name

class CacheFiles {
 public:
  struct File {
    std::string path, domain;
    uint64_t bytes = 0;
    std::filesystem::file_time_type used;
    bool ours = false;  // of this model, and of K/V and clearance as here
    std::vector<TokenId> tokens;
    Spans labels;
  };

  // Makes the directory where there is none, for this user alone. Throws Error kIo; kUnsupported where the executor
  // cannot save sequences.
  CacheFiles(std::shared_ptr<Stepper> stepper, const std::string& directory);

  // Those that are there, the one used longest ago first. What is no saved session, was left by a writer that died, or
  // holds a revoked source is removed.
  std::vector<File> list() const;

  std::string path_of(const std::string& domain, const Sequence& sequence) const;
  // Throws Error kIo.
  uint64_t write(const std::string& path, const Sequence& sequence) const;
  // Throws Error as SavedSession does, kBadInput where it is not for this model.
  Sequence read(const std::string& path) const;
  void touch(const std::string& path) const;  // it was used now
  void remove(const std::string& path) const;

 private:
  std::shared_ptr<Stepper> stepper_;
  std::filesystem::path directory_;
};

// A saved session as a sequence of `stepper`. Throws Error as SavedSession does, kLimit where it does not fit the
// context, kBadInput for text above the clearance and for a revoked source.
Sequence read_sequence(Stepper& stepper, const std::string& path);

}  // namespace fieldprint
