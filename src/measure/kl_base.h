// Probabilities of a model at every scored position of a text, kept in a file for other models to be compared with: 16
// bits a token of the vocabulary. Layout: docs/formats/kl.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "fieldprint/atomic_file.h"
#include "fieldprint/tokenizer.h"

namespace fieldprint {

struct KlHeader {
  uint32_t vocabulary = 0, context = 0, stride = 0, chunks = 0;
  uint64_t positions = 0;
  std::string model, tokens, text;  // SHA-256, hex: the model's fingerprint, its vocabulary, the text
};

// One position of a base.
struct KlPosition {
  TokenId top = 0;              // the most likely token
  double target = 0;            // log-probability of the token that follows in the text
  std::span<const float> logs;  // [vocabulary] log-probabilities, from 16 bits each; not quite normalised
};

class KlBaseWriter {
 public:
  KlBaseWriter(const std::string& path, const KlHeader& header);  // Error kIo
  // `logits` [vocabulary] of the next position. Throws Error kBadInput where one is no number.
  void add(std::span<const float> logits, TokenId target);
  void commit();  // after header.positions of them

 private:
  AtomicFile file_;
  std::vector<std::byte> row_;
};

class KlBase {
 public:
  // Throws Error kNotFound, kIo, kBadFile.
  explicit KlBase(const std::string& path);

  const KlHeader& header() const { return header_; }
  // Position `index`, valid until the next call. Throws Error kBadFile where its row makes no sense.
  KlPosition read(uint64_t index);

 private:
  std::string path_;
  MappedFile file_;
  KlHeader header_;
  std::vector<float> logs_;
};

}  // namespace fieldprint
