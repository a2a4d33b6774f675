// A session on disk: its tokens with their labels, keys and values (docs/formats/session.md). What convolutions
// remember is not in it: a replay of the last tokens gives it back exactly.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "fieldprint/tokenizer.h"
#include "kv/sequence.h"
#include "kv/spans.h"

namespace fieldprint {

// `fingerprint`: the model's, 64 hex digits. Throws Error kIo.
void save_session(const std::string& path, const std::string& fingerprint, std::span<const TokenId> tokens,
                  const Spans& spans, const KvSequence& kv);

// A file, hostile until checked.
class SavedSession {
 public:
  explicit SavedSession(const std::string& path);  // Error kNotFound, kIo, kBadFile: cut short, altered, no session

  // Throws Error kBadInput where it was saved with another model or another kind of K/V.
  void check(const std::string& fingerprint, const KvLayout& layout) const;

  std::span<const TokenId> tokens() const { return tokens_; }
  const Spans& spans() const { return spans_; }
  void fill(KvSequence& kv) const;  // the whole K/V; `kv` is empty and of the layout that was checked

 private:
  std::string path_;
  MappedFile file_;
  std::string fingerprint_, kv_type_;
  std::vector<TokenId> tokens_;
  Spans spans_;
  size_t token_bytes_ = 0;
  std::span<const std::byte> kv_;
};

}  // namespace fieldprint
