#include "kv/page_hash.h"

#include <fmt/format.h>

#include "base/sha256.h"

namespace fieldprint {

// Lazily, for whoever asks: 32,768 tokens are 512 pages of some 400 bytes, a millisecond. A step hashes nothing.
std::vector<std::string> page_hashes(const std::string& fingerprint, const KvSequence& kv, const Spans& spans,
                                     std::span<const TokenId> tokens) {
  const std::string root = fmt::format("fieldprint pages 1\n{}\n{}\n", fingerprint, kv_type_name(kv.layout().type()));
  std::string parent = sha256_hex(std::as_bytes(std::span(root)));
  std::vector<std::string> hashes;
  for (const KvEntry& entry : kv.entries()) {
    const SpanLabel& label = spans.at(entry.begin).label;
    const int32_t numbers[] = {entry.begin, entry.end, static_cast<int32_t>(label.kind), label.clearance,
                               static_cast<int32_t>(label.source.size())};
    Sha256 hash;
    hash.update(std::as_bytes(std::span(parent)));
    hash.update(std::as_bytes(std::span(numbers)));
    hash.update(std::as_bytes(std::span(label.source)));
    hash.update(
        std::as_bytes(tokens.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin))));
    parent = hash.hex();
    hashes.push_back(parent);
  }
  return hashes;
}

}  // namespace fieldprint
