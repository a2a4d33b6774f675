// The content hash chain of a sequence's pages: what was computed, from what, and whose it was. Two pages of equal hash
// hold the same keys and values, because everything that these depend on is in the hash:
//   root    = SHA-256("fieldprint pages 1\n" <model fingerprint> "\n" <type of keys and values> "\n")
//   page[i] = SHA-256(page[i-1] (64 hex digits; root for the first), begin, end (int32),
//                     kind, clearance (int32), length of source (int32), source, token ids (int32 each))
// Numbers are little-endian. It depends on the page size, which says where pages are cut.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kv/sequence.h"
#include "kv/spans.h"

namespace fieldprint {

std::vector<std::string> page_hashes(const std::string& fingerprint, const KvSequence& kv, const Spans& spans,
                                     std::span<const TokenId> tokens);

}  // namespace fieldprint
