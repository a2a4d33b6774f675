// One file over HTTP(S), by libcurl: it resumes, follows redirects, tries again where trying again may help.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "fieldprint/progress.h"
#include "hub/store.h"

namespace fieldprint {

struct Download {
  std::string url;
  // "" = none. Sent as a bearer token to the host of `url` alone, and only by https or to this machine.
  std::string token;
  uint64_t bytes = 0;  // 0 = unknown
  std::string sha256;  // "" = unknown
};

struct DownloadPolicy {
  int attempts = 5;                         // failures in a row without a new byte, and changes of the file
  std::chrono::milliseconds backoff{1000};  // doubles with each of them
  long connect_timeout_s = 30;
  long stall_timeout_s = 30;                 // less than 1 KB/s for so long counts as a break
  uint64_t most_bytes = uint64_t{64} << 30;  // of a file whose size nobody has announced
};

// Leaves the whole file, checked and flushed, at `place.part`; the caller holds the place's lock. Size and SHA-256 are
// checked against `download`, or against what the Hugging Face hub announces with the file; where neither says a size,
// the file has the one that the server states (Content-Length, Content-Range). A partial file stays for the next try,
// unless it is damaged. It is continued only where the server says that it is still the same file (RFC 9110, 13.1.5 and
// 15.3.7): another ETag or another size begins anew, and of each answer no more is taken than its range.
// Throws Error kNotFound, kIo (network, disk), kBadFile (not the file that was asked for) or kLimit (asked to stop, or
// more than `policy.most_bytes`).
void download_file(const Download& download, const Place& place, const Progress& progress,
                   const DownloadPolicy& policy = {});

}  // namespace fieldprint
