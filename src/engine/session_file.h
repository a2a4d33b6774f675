// A session on disk: its tokens with their labels, keys and values (docs/formats/session.md). Recurrent state is in it
// only where a replay of the last tokens would not give it back exactly.
#pragma once

#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "fieldprint/tokenizer.h"
#include "kv/spans.h"
#include "ops/sequence_state.h"

namespace fieldprint {

// `fingerprint`: the model's, 64 hex digits. `state` is that after the last of `tokens`, nothing left to replay where
// its format has recurrent bytes. Throws Error kIo, kUnsupported.
void save_session(const std::string& path, const std::string& fingerprint, std::span<const TokenId> tokens,
                  const SequenceState& state);

// A file, hostile until checked.
class SavedSession {
 public:
  // Throws Error kNotFound, kIo, kBadFile: cut short, altered, no session. With `head_only` the hash of the whole is
  // not computed: tokens and labels are then what the file says, for whoever looks it over and checks later.
  explicit SavedSession(const std::string& path, bool head_only = false);

  // Throws Error kBadInput where it was saved with another model or in another format; kLimit where it would take far
  // more memory than its size.
  void check(const std::string& fingerprint, const StateFormat& format) const;

  std::span<const TokenId> tokens() const { return tokens_; }
  const Spans& spans() const { return spans_; }
  const std::string& fingerprint() const { return fingerprint_; }
  const std::string& kv_type() const { return kv_type_; }
  std::span<const std::byte> bytes() const { return file_.bytes(); }

  // All of it, and the labels, into an empty state of the format that was checked. Returns how many of the last tokens
  // must be replayed. `steps` is taken for a few tokens at a time: a step may come between.
  int fill(SequenceState& state, std::mutex& steps) const;

 private:
  std::string path_;
  MappedFile file_;
  std::string fingerprint_, kv_type_;
  std::vector<TokenId> tokens_;
  Spans spans_;
  size_t token_bytes_ = 0;
  std::span<const std::byte> kv_, recurrent_;
};

}  // namespace fieldprint
