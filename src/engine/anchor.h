// A text at the start of contexts, computed once: its pages are pinned as long as somebody holds the anchor, and all
// that begin with it share them. What it holds does not change, so any thread may read it; fork it as any sequence.
#pragma once

#include <array>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "engine/stepper.h"

namespace fieldprint {

class Anchor {
 public:
  using Digest = std::array<std::byte, 32>;

  explicit Anchor(Sequence sequence) : sequence_(std::move(sequence)) {
    const std::lock_guard lock(sequence_.stepper->model().step_mutex());
    sequence_.state->pin();
  }
  ~Anchor() {
    const std::lock_guard lock(sequence_.stepper->model().step_mutex());
    sequence_.state->unpin();
  }
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

  const Sequence& sequence() const { return sequence_; }

  // What it keeps, piece by piece (SequenceState::read_piece), as SHA-256. `bytes` is room to work in.
  int pieces() const { return sequence_.state->pieces(); }
  Digest digest(int piece, std::vector<std::byte>& bytes) const {
    sequence_.state->read_piece(piece, bytes);
    Sha256 hash;
    hash.update(bytes);
    return hash.digest();
  }
  std::vector<Digest> digests() const {
    std::vector<Digest> all;
    std::vector<std::byte> bytes;
    for (int piece = 0; piece < pieces(); ++piece) all.push_back(digest(piece, bytes));
    return all;
  }

 private:
  Sequence sequence_;
};

// Of all pieces together: AnchorInfo::kv_digest.
inline std::string kv_digest(std::span<const Anchor::Digest> pieces) { return sha256_hex(std::as_bytes(pieces)); }

}  // namespace fieldprint
