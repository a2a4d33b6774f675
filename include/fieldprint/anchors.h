// Anchors of a scheduler: texts that prompts begin with, computed once. Their pages are pinned, checked against their
// digest before that and again and again while they are used, and shared by every request that begins with them.
#pragma once

#include <cstdint>
#include <string>

namespace fieldprint {

struct AnchorInfo {
  uint64_t id = 0;
  std::string domain;  // Request::cache_domain of those that may share it
  int tokens = 0;
  uint64_t bytes = 0;
  // SHA-256 over the SHA-256 (32 bytes each) of what is kept, piece by piece: of each page in order the keys and values
  // of each layer, as they lie; the same of layers with a window; the recurrent state. 64 hex digits. The same
  // for any threads, chunk and instruction set; not for another page size or type of keys and values.
  std::string kv_digest;
  std::string chain;  // PageInfo::hash of its last page; empty where the executor has no pages
  int pieces = 0;
  bool pinned = false;  // else it is computed, and nobody shares it
};

// A piece of a pinned anchor is not what it was: a bit of memory has flipped. When this is told the anchor and all that
// was computed with it are gone, and answers that had read it begin anew (Rollback::damaged).
struct AnchorFault {
  uint64_t id = 0;
  std::string source;  // of its first span
  int piece = 0;
  std::string expected, found;  // digests of the piece, 64 hex digits
  bool recomputed = false;      // it is pinned again, under its id, with the digest that it had
};

}  // namespace fieldprint
